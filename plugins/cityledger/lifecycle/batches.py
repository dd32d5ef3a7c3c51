"""What parse streams to validate, batch by batch.

The stages don't import each other: both know this shape, and the runner wires them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import polars as pl

if TYPE_CHECKING:
    from quality_checks.session import Tally


class Judgeable(Protocol):
    """Records of one stretch of one file, as validate sees them."""

    @property
    def typed(self) -> pl.DataFrame:
        """See :class:`Batch`."""
        ...

    @property
    def rejects(self) -> pl.DataFrame:
        """See :class:`Batch`."""
        ...

    @property
    def known(self) -> Mapping[str, pl.Series]:
        """Masks of the rules that are judged already: True where a row breaks the rule."""
        ...

    def held(self, blocked: pl.Series) -> pl.DataFrame:
        """The text of the rows where ``blocked`` is True."""
        ...


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one stretch of one file.

    Attributes:
        text: Contract columns as text in the contract's order (null for a column that the file
            doesn't have), then ``_source_object``, ``_source_row`` and ``_row_id``.
        typed: ``Suite.read(text)``: the same rows in the same order.
        rejects: ``_source_object``, ``_source_row``, ``_reason``, ``_text`` of what is no record
            of the contract's shape; may be empty.
    """

    text: pl.DataFrame
    typed: pl.DataFrame
    rejects: pl.DataFrame
    known: Mapping[str, pl.Series] = field(default_factory=dict)

    def held(self, blocked: pl.Series) -> pl.DataFrame:
        """The text of the rows where ``blocked`` is True."""
        return self.text.filter(blocked)


@dataclass(frozen=True, slots=True)
class ParseSummary:
    """Known when all batches have been read.

    Attributes:
        declared: Rows that the department said it handed in.
        extracted: Records below the headers, blank lines apart.
        rejects: Reason → count; ``extracted`` less their sum is what was parsed.
        expected_rejects: Those that layouts foresee: totals, notes, group headings, blank rows.
        control_totals: Texts of 合计 rows by column name (``_marker`` holds the marker), and one
            entry per group heading (group column, ``_marker`` ``group``, ``_count``).
        drift: Notes on columns and on a declared count that doesn't fit.
        corrected: Parsed rows whose text came from a correction.
    """

    declared: int | None
    extracted: int
    rejects: dict[str, int]
    expected_rejects: int
    control_totals: list[dict[str, str]]
    drift: tuple[str, ...]
    corrected: int = 0


class Batches(Protocol):
    """One pass over a delivery: iterate once, then ask for the summary."""

    @property
    def judged(self) -> Mapping[str, Tally]:
        """What was counted of rules that are judged already, by key."""
        ...

    def __iter__(self) -> Iterator[Judgeable]: ...

    def summary(self) -> ParseSummary: ...
