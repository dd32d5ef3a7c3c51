"""The answer key: what was planted, and what a correct pipeline must therefore find.

It is the generator's own bookkeeping and never the output of the pipeline that it judges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Place(NamedTuple):
    """Where a record stands: file below the drop folder, archive member, 1-based line or row."""

    file: str
    member: str | None
    row: int


class QuarantinedRow(_Entry):
    """A row that must be quarantined.

    Attributes:
        file: Path below the drop folder.
        member: File inside the archive, if the file is one.
        row: 1-based physical line, or row of the worksheet.
        rules: Every rule that the row breaks, warnings included, in sorted order.
    """

    file: str
    member: str | None
    row: int
    defect: str
    rules: tuple[str, ...]


class WarnedRow(QuarantinedRow):
    """A row that stays, but breaks a rule that warns."""


class RejectedRecord(_Entry):
    """A record that is not of the contract's shape, with the reason parsing must give."""

    file: str
    member: str | None
    row: int
    defect: str
    reason: str


class ToleratedCell(_Entry):
    """Dirt that must be normalised without complaint.

    Attributes:
        value: The expected value as text (ISO dates, plain decimals); None for "no value".
    """

    file: str
    member: str | None
    row: int
    defect: str
    column: str
    value: str | None


class FileEntry(_Entry):
    """One generated file."""

    path: str
    size: int
    sha256: str


class DeliveryAnswer(_Entry):
    """What one delivery of one partition must come to.

    Attributes:
        declared: Rows that the department's control file states.
        rejects: Reason → count over all rejects, foreseen ones included.
        expected_rejects: Those that the layout foresees: totals, notes, group headings.
        rules: Rule key → failing elements over all parsed rows; every other rule has none.
        drift: Texts that the notes on the header must mention.
    """

    dataset: str
    partition: str
    sequence: int
    files: tuple[FileEntry, ...]
    declared: int | None
    extracted: int
    rejected: int
    expected_rejects: int
    rejects: dict[str, int]
    parsed: int
    quarantined: int
    validated: int
    rules: dict[str, int]
    quarantined_rows: tuple[QuarantinedRow, ...]
    warned_rows: tuple[WarnedRow, ...]
    rejected_records: tuple[RejectedRecord, ...]
    tolerated: tuple[ToleratedCell, ...]
    drift: tuple[str, ...]
    defects: dict[str, int]


class AnswerKey(_Entry):
    """The key of one generated drop folder."""

    notice: str
    city: str
    scale: float
    seed: int
    deliveries: tuple[DeliveryAnswer, ...]


def count_rules(rows: Sequence[QuarantinedRow], extra: dict[str, int]) -> dict[str, int]:
    """Failing elements per rule: rows, and verdicts on whole deliveries."""
    counts = Counter(rule for row in rows for rule in row.rules)
    counts.update(extra)
    return dict(sorted(counts.items()))
