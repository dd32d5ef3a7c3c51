"""What column lineage is made of: sources, how they count, and the columns that come from them.

Types and subtypes are those of OpenLineage's column lineage facet (1-2-0): ``DIRECT`` when values
go in (``IDENTITY``, ``TRANSFORMATION``, ``AGGREGATION``), ``INDIRECT`` when they only decide
(``JOIN``, ``FILTER``, ``GROUP_BY``, ``SORT``, ``WINDOW``, ``CONDITIONAL``).
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from cityledger.records import Record


class SourceKind(StrEnum):
    """Where a column is read from."""

    TABLE = "table"  # of the lake: schema.table
    VALIDATED = "validated"  # the validated objects of a dataset: department.dataset
    INPUT = "input"  # a small file that standardise writes: areas, releases, …


class Source(NamedTuple):
    """A thing with columns."""

    kind: SourceKind
    name: str


class How(NamedTuple):
    """How a source column counts for a target.

    Attributes:
        masking: Its values cannot be read off the target's (a hash).
    """

    type: str
    subtype: str
    masking: bool = False


IDENTITY = How("DIRECT", "IDENTITY")
TRANSFORMATION = How("DIRECT", "TRANSFORMATION")
AGGREGATION = How("DIRECT", "AGGREGATION")
HASH = How("DIRECT", "TRANSFORMATION", masking=True)
JOIN, FILTER, GROUP_BY, SORT, WINDOW, CONDITIONAL = (
    How("INDIRECT", subtype)
    for subtype in ("JOIN", "FILTER", "GROUP_BY", "SORT", "WINDOW", "CONDITIONAL")
)
_STRENGTH = {"IDENTITY": 0, "TRANSFORMATION": 1, "AGGREGATION": 2}


def compose(outer: How, inner: How) -> How:
    """How a column counts through two steps; what only decides in one step only decides."""
    masking = outer.masking or inner.masking
    for step in (outer, inner):
        if step.type == "INDIRECT":
            return How(step.type, step.subtype, masking)
    stronger = max((outer, inner), key=lambda step: _STRENGTH[step.subtype])
    return How(stronger.type, stronger.subtype, masking)


class Origin(Record):
    """One source column, with every way in which it counts."""

    kind: SourceKind
    source: str
    column: str
    how: tuple[How, ...]


class ColumnLineage(Record):
    """Where one column comes from.

    Attributes:
        origins: Source columns.
        reason: Why there are none: ``constant``, ``count of rows``, ``generated``, ``seed``.
        type: As the project declares it, if it does.
    """

    column: str
    type: str | None = None
    origins: tuple[Origin, ...] = ()
    reason: str | None = None


class TableLineage(Record):
    """Where the columns of one table come from.

    Attributes:
        table: ``schema.table``.
        rows: Columns that decide which rows there are (joins, filters, groups, order).
        problem: Why the columns could not be traced; ``columns`` are the declared ones then.
    """

    model: str
    table: str
    columns: tuple[ColumnLineage, ...]
    rows: tuple[Origin, ...] = ()
    problem: str | None = None

    def column(self, name: str) -> ColumnLineage:
        """The lineage of one column.

        Raises:
            KeyError: the table has no such column.
        """
        for one in self.columns:
            if one.column == name:
                return one
        raise KeyError(f"{self.table} has no column {name}")
