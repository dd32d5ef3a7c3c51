"""Rules about a whole delivery: how many rows, and sums that must agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl
from cityledger.contracts.model import ColumnType

from quality_checks.rules.base import Call, CannotCheckError, Example, total_rule
from quality_checks.rules.comparisons import adds_up

GROUP_MARKER = "group"
"""What parsing writes into ``_marker`` for a group heading with a declared count (``_count``)."""

_SUBTOTALS = ("小计", GROUP_MARKER)
_NUMERIC = (ColumnType.INTEGER, ColumnType.NUMBER)
_FLOAT_NOISE = 1e-9

Table = tuple[pl.DataFrame, pl.Expr]
Control = Sequence[Mapping[str, str]]


class _RowCount:
    def __init__(self, minimum: int, maximum: int | None, excluded: Sequence[int]) -> None:
        self._minimum, self._maximum, self._excluded = minimum, maximum, excluded
        self._rows = 0

    @property
    def measured(self) -> float:
        return self._rows

    def add(self, batch: pl.DataFrame) -> None:
        self._rows += batch.height

    def table(self, control_totals: Control) -> Table:  # noqa: ARG002 - a count needs no control
        good = pl.col("rows") >= self._minimum
        if self._maximum is not None:
            good = good & (pl.col("rows") <= self._maximum)
        if self._excluded:
            good = good & ~pl.col("rows").is_between(self._excluded[0], self._excluded[-1])
        return pl.DataFrame({"rows": [self._rows]}), good


@total_rule(
    gb_code="0202",
    source="GB/T 36344 0202 数据记录完整性",
    optional=("minimum", "maximum", "excluded"),
    least_columns=0,
    example=Example(good={"a": [1, 2]}, bad={"a": [1]}, arguments={"minimum": 2}),
)
def row_count(call: Call) -> _RowCount:
    """The delivery has ``minimum`` (default 1) to ``maximum`` rows.

    ``excluded``: nor may it have so many rows (one number, or the first and the last of a range).
    """
    maximum = call.get("maximum")
    return _RowCount(
        int(call.get("minimum", 1)),
        None if maximum is None else int(maximum),
        [int(bound) for bound in call.get("excluded", ())],
    )


class _MatchesTotal:
    def __init__(self, call: Call) -> None:
        self._call = call
        self._sums: list[Any] = []

    def add(self, batch: pl.DataFrame) -> None:
        values = batch[self._call.column].drop_nulls()
        exact = not values.dtype.is_float()
        self._sums.append(values.sum() if exact else math.fsum(values))

    def table(self, control_totals: Control) -> Table:
        column = self._call.column
        texts = [
            row[column]
            for row in control_totals
            if row.get(column) and row.get("_marker") not in _SUBTOTALS
        ]
        declared = self._call.reads(column, texts).drop_nulls()
        if declared.is_empty():
            raise CannotCheckError("there is no total row with a readable value to compare with")
        tolerance = float(self._call.get("tolerance", 0))
        if isinstance(declared[0], float):
            total = math.fsum(declared)
            difference = abs(total - math.fsum(self._sums))
            tolerance = max(tolerance, _FLOAT_NOISE * abs(total))
        else:
            difference = float(abs(sum(declared) - sum(self._sums)))
        return pl.DataFrame({"difference": [difference]}), pl.col("difference") <= tolerance


@total_rule(
    gb_code="0402",
    source="GB/T 36344 0402 (Σ parts = total); 合计 rows of yearbooks and registers",
    optional=("tolerance",),
    example=Example(
        good={"a": [1, 2]}, bad={"a": [1, 1]}, control=({"a": "3", "_marker": "合计"},)
    ),
)
def matches_total(call: Call) -> _MatchesTotal:
    """The column's sum is what the 合计 rows say, within ``tolerance``.

    All delivered rows count, quarantined ones included: the department added them up, too.
    小计 rows and group headings are left aside. Without a total row the rule can't be checked.
    """
    if call.types[call.column] not in _NUMERIC:
        raise call.refuse(f"'{call.column}' is no number", "name a number column")
    return _MatchesTotal(call)


class _MatchesGroups:
    def __init__(self, call: Call) -> None:
        self._call = call
        self._counts: dict[Any, int] = {}

    def add(self, batch: pl.DataFrame) -> None:
        for group, count in batch[self._call.column].value_counts().iter_rows():
            self._counts[group] = self._counts.get(group, 0) + count

    def table(self, control_totals: Control) -> Table:
        column = self._call.column
        headings = [row for row in control_totals if row.get("_marker") == GROUP_MARKER]
        headings = [row for row in headings if row.get("_count", "").isdecimal()]
        if not headings:
            raise CannotCheckError("there is no group heading with a count to compare with")
        groups = self._call.reads(column, [row.get(column, "") for row in headings])
        table = pl.DataFrame(
            {
                "declared": [int(row["_count"]) for row in headings],
                "found": [self._counts.get(group, 0) for group in groups],
            }
        )
        return table, pl.col("declared") == pl.col("found")


@total_rule(
    element="group",
    gb_code="0202",
    source="GB/T 36344 0202; group headings such as 北京市（92所）",
    example=Example(
        good={"a": ["x", "x", "y"]},
        bad={"a": ["x", "y", "y"]},
        control=(
            {"a": "x", "_marker": GROUP_MARKER, "_count": "2"},
            {"a": "y", "_marker": GROUP_MARKER, "_count": "1"},
        ),
    ),
)
def matches_group_counts(call: Call) -> _MatchesGroups:
    """Each group has as many rows as its heading says; one element is one group."""
    return _MatchesGroups(call)


class _SumOfParts:
    def __init__(self, call: Call) -> None:
        self._by = [str(name) for name in call.get("by")]
        self._value = call.value
        self._total = selection(call, "total")
        self._parts = selection(call, "parts")
        self._tolerance = float(call.get("tolerance", 0))
        self._sums: pl.DataFrame | None = None

    def add(self, batch: pl.DataFrame) -> None:
        there = self._value.is_not_null()
        found = batch.group_by(self._by).agg(
            total=self._value.filter(self._total).sum(),
            totals=(self._total & there).sum(),
            parts=self._value.filter(self._parts).sum(),
            part_rows=(self._parts & there).sum(),
        )
        if self._sums is not None:
            whole = pl.concat([self._sums, found])
            found = whole.group_by(self._by).agg(pl.all().sum())
        self._sums = found

    def table(self, control_totals: Control) -> Table:  # noqa: ARG002 - totals are rows here
        sums = pl.DataFrame() if self._sums is None else self._sums
        if not sums.is_empty():
            sums = sums.filter((pl.col("totals") > 0) & (pl.col("part_rows") > 0))
        if sums.is_empty():
            raise CannotCheckError("no group has both a total row and parts")
        return sums, adds_up(pl.col("total"), pl.col("parts"), self._tolerance)


def selection(call: Call, name: str) -> pl.Expr:
    """The rows that a declarative filter selects.

    ``column: value`` (equals), ``column: [..]`` (one of), ``column: null`` (empty), ``column: "*"``
    (not empty); all of them must hold.
    """
    conditions = call.get(name)
    if not isinstance(conditions, Mapping) or not conditions:
        raise call.refuse(f"'{name}' is no filter", "write {column: value}")
    found: list[pl.Expr] = []
    for column, wanted in conditions.items():
        if column not in call.types:
            raise call.refuse(f"the dataset has no column '{column}'", "correct the filter")
        found.append(_condition(pl.col(column), wanted))
    return pl.all_horizontal(found).fill_null(value=False)


def _condition(column: pl.Expr, wanted: Any) -> pl.Expr:
    if wanted is None:
        return column.is_null()
    if wanted == "*":
        return column.is_not_null()
    values = wanted if isinstance(wanted, list | tuple) else [wanted]
    return column.cast(pl.String).is_in([str(value) for value in values])


@total_rule(
    element="group",
    gb_code="0402",
    source="GB/T 36344 0402; 863 of 10,958 province-days of a public series don't add up",
    required=("by", "total", "parts"),
    optional=("tolerance",),
    example=Example(
        good={"a": [3, 1, 2], "g": ["p", "p", "p"], "city": [None, "x", "y"]},
        bad={"a": [4, 1, 2], "g": ["p", "p", "p"], "city": [None, "x", "y"]},
        arguments={"by": ["g"], "total": {"city": None}, "parts": {"city": "*"}},
        columns=("a",),
    ),
)
def sum_of_parts(call: Call) -> _SumOfParts:
    """In each group the total row is the sum of its parts; one element is one group.

    ``by`` names the columns of a group (day, province), ``total`` and ``parts`` select its rows.
    Groups without a total row or without parts are not judged.
    """
    if call.types[call.column] not in _NUMERIC:
        raise call.refuse(f"'{call.column}' is no number", "name a number column")
    for name in call.get("by"):
        if name not in call.types:
            raise call.refuse(f"the dataset has no column '{name}'", "correct `by`")
    return _SumOfParts(call)


class _Calendar:
    def __init__(self, column: str, by: list[str]) -> None:
        self._column, self._by = column, by
        self._days: pl.DataFrame | None = None

    def add(self, batch: pl.DataFrame) -> None:
        day = pl.col(self._column).cast(pl.Date)
        found = batch.select(*self._by, day=day).drop_nulls("day").unique()
        self._days = found if self._days is None else pl.concat([self._days, found]).unique()

    def table(self, control_totals: Control) -> Table:  # noqa: ARG002 - a calendar needs no control
        if self._days is None or self._days.is_empty():
            raise CannotCheckError("there are no dates")
        day = pl.col("day")
        series = self._days.group_by(self._by or [pl.lit(1).alias("all")]).agg(
            found=day.n_unique(), expected=(day.max() - day.min()).dt.total_days() + 1
        )
        return series, pl.col("found") == pl.col("expected")


@total_rule(
    element="series",
    gb_code="0202",
    source="GB/T 36344 0202, 0501; 2,309 of 74,134 city-hours absent from a public series",
    optional=("by",),
    example=Example(
        good={"a": [date(2026, 3, 1), date(2026, 3, 2)]},
        bad={"a": [date(2026, 3, 1), date(2026, 3, 3)]},
    ),
)
def complete_calendar(call: Call) -> _Calendar:
    """Between the first and the last day of each series (``by``) no day is missing."""
    if call.types[call.column] not in (ColumnType.DATE, ColumnType.TIMESTAMP):
        raise call.refuse(f"'{call.column}' is no date", "name a date column")
    return _Calendar(call.column, [str(name) for name in call.get("by", ())])
