"""What taking stock finds out. Values of personal or sensitive columns never get in here."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from cityledger.records import Record


class TopValue(Record):
    """A frequent value and how many rows have it."""

    value: str
    rows: int


class Bin(Record):
    """One bar of a histogram: ``low <= value < high`` (the last one includes ``high``)."""

    low: str
    high: str
    rows: int


class Suspicion(Record):
    """Personal data where the contract does not say so.

    Attributes:
        kind: What the values look like, e.g. ``citizen_id``.
        share: Of the sampled values, 0 to 1.
    """

    kind: str
    share: float


class ColumnProfile(Record):
    """One column of the good rows.

    Attributes:
        nulls: Rows without a value.
        distinct: Different values; estimated (± 2 %) unless ``distinct_exact``.
        minimum, maximum, mean: Of numbers, dates and times; None for text and where hidden.
        shortest, longest: Characters of texts.
        hidden: Values are not shown, because the column is personal, sensitive or suspected to be.
    """

    name: str
    business_name: str
    type: str
    classification: str
    nulls: int
    distinct: int
    distinct_exact: bool
    minimum: str | None = None
    maximum: str | None = None
    mean: str | None = None
    shortest: int | None = None
    longest: int | None = None
    hidden: bool = False
    top: tuple[TopValue, ...] = ()
    histogram: tuple[Bin, ...] = ()
    suspicions: tuple[Suspicion, ...] = ()


class Profile(Record):
    """What the good rows of one delivery look like.

    Attributes:
        validated_sha256: Of the Parquet file that was profiled.
        keys: Column combinations that tell all rows apart, the shortest ones.
        declared_key: The contract's primary key.
    """

    dataset: str
    partition: str
    delivery: str
    validated_sha256: str
    rows: int
    columns: tuple[ColumnProfile, ...]
    keys: tuple[tuple[str, ...], ...]
    declared_key: tuple[str, ...]

    @property
    def suspected(self) -> tuple[str, ...]:
        """Names of columns with personal data that the contract calls something else."""
        return tuple(column.name for column in self.columns if column.suspicions)


class FileGroup(Record):
    """Files of one kind in one department's folder.

    Attributes:
        department: First folder below the root; empty for files in the root itself.
        kind: ``table``, ``document``, ``image``, …
        suffix: Lower case, with its dot; empty when there is none.
        size: Bytes, together.
        covered: Files that a contract's source pattern takes in.
    """

    department: str
    kind: str
    suffix: str
    files: int
    size: int
    covered: int
    newest: datetime


class Problem(StrEnum):
    """What can be odd about a file."""

    EMPTY = "empty"
    UNREADABLE = "unreadable"
    WEB_PAGE = "web_page"
    OTHER_CONTENT = "other_content"


class Oddity(Record):
    """A file or folder that is not what its name says, or can't be read."""

    path: str
    problem: Problem


class Inventory(Record):
    """Everything below a folder, counted.

    Attributes:
        truncated: The walk stopped at the limit; the figures are lower bounds.
    """

    root: str
    taken_at: datetime
    groups: tuple[FileGroup, ...]
    oddities: tuple[Oddity, ...] = ()
    truncated: bool = False
    files: int = Field(ge=0)
    size: int = Field(ge=0)
