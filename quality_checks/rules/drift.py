"""Rules that compare a partition with those before it: volume and distribution.

One element is one partition. The first partitions have too few before them (``least``, default 3)
and are not judged. Compared is always with the median of up to ``window`` (default 8) partitions,
so that one odd month neither hides the next nor accuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
from cityledger.contracts.model import ColumnType, Scope

from quality_checks.rules.base import PARTITION, Call, CannotCheckError, Example, total_rule

_NUMERIC = (ColumnType.INTEGER, ColumnType.NUMBER)
_HISTORY = (Scope.HISTORY,)
_WINDOW, _LEAST = 8, 3

Table = tuple[pl.DataFrame, pl.Expr]
Within = Callable[[pl.Expr, pl.Expr], pl.Expr]


def _months(*figures: Sequence[Any]) -> dict[str, list[Any]]:
    """Rows of the months 2026-01, 2026-02 …: example data."""
    rows = [(f"2026-{month:02}", value) for month, part in enumerate(figures, 1) for value in part]
    return {"a": [value for _, value in rows], PARTITION: [month for month, _ in rows]}


class _Series:
    """One figure a partition, compared with the median of those before.

    Args:
        call: For ``window`` and ``least``.
        sums: Named sums over rows, from which the figure is made.
        figure: The partition's figure, of its sums.
        within: Whether a figure and the median before it agree.
    """

    def __init__(self, call: Call, sums: dict[str, pl.Expr], figure: pl.Expr, within: Within):
        self._sums, self._figure, self._within = sums, figure, within
        self._window, self._least = _whole(call, "window", _WINDOW), _whole(call, "least", _LEAST)
        self._found: pl.DataFrame | None = None

    def add(self, batch: pl.DataFrame) -> None:
        found = batch.group_by(PARTITION).agg(**self._sums)
        self._found = found if self._found is None else pl.concat([self._found, found])

    def table(self, control_totals: Any) -> Table:  # noqa: ARG002 - partitions need no control
        if self._found is None:
            raise CannotCheckError("there are no partitions")
        whole = self._found.group_by(PARTITION).agg(pl.all().sum()).sort(PARTITION)
        figures = whole.select(PARTITION, figure=self._figure).drop_nulls()
        before = pl.col("figure").shift(1).rolling_median(self._window, min_samples=self._least)
        judged = figures.with_columns(before=before).drop_nulls("before")
        if judged.is_empty():
            raise CannotCheckError(f"fewer than {self._least + 1} partitions: no history yet")
        return judged, self._within(pl.col("figure"), pl.col("before"))


def _whole(call: Call, name: str, default: int) -> int:
    given = call.get(name, default)
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise call.refuse(f"argument '{name}' is no number of partitions", "write 1, 2, 3 …")
    return int(given)


def _percent(call: Call, name: str, default: float) -> float:
    given = call.get(name, default)
    if isinstance(given, bool) or not isinstance(given, int | float) or given <= 0:
        raise call.refuse(f"argument '{name}' is no share", "write a number above 0, in percent")
    return float(given)


@total_rule(
    gb_code="0501",
    source="GB/T 36344 0501 基于时间段的正确性 (counts as needed)",
    optional=("percent", "window", "least"),
    least_columns=0,
    scopes=_HISTORY,
    element="partition",
    by_partition=True,
    example=Example(
        good=_months([1] * 4, [1] * 5, [1] * 4, [1] * 5),
        bad=_months([1] * 4, [1] * 5, [1] * 4, [1]),
        columns=(),
    ),
)
def stable_row_count(call: Call) -> _Series:
    """A partition has as many rows as those before it, give or take ``percent`` (default 50)."""
    share = _percent(call, "percent", 50) / 100
    return _Series(
        call,
        {"rows": pl.len()},
        pl.col("rows").cast(pl.Float64),
        lambda now, before: (now - before).abs() <= share * before,
    )


@total_rule(
    gb_code="0201",
    source="GB/T 36344 0201; a system's update that stops filling a field",
    optional=("points", "window", "least"),
    scopes=_HISTORY,
    element="partition",
    by_partition=True,
    example=Example(
        good=_months([1, None], [1, 1], [1, None], [None, 1]),
        bad=_months([1, 1], [1, 1], [1, 1], [None, 1]),
        arguments={"points": 30},
    ),
)
def stable_null_share(call: Call) -> _Series:
    """The share of empty cells stays within ``points`` percentage points (default 10)."""
    points = _percent(call, "points", 10)
    return _Series(
        call,
        {"rows": pl.len(), "empty": call.value.is_null().sum()},
        pl.col("empty") * 100.0 / pl.col("rows"),
        lambda now, before: (now - before).abs() <= points,
    )


@total_rule(
    gb_code="0301",
    source="GB/T 36344 0301; a whole delivery in another unit (万元 for 元)",
    optional=("factor", "window", "least"),
    scopes=_HISTORY,
    element="partition",
    by_partition=True,
    example=Example(
        good=_months([10], [12], [11], [15]),
        bad=_months([10], [12], [11], [110000]),
    ),
)
def stable_mean(call: Call) -> _Series:
    """The mean of a partition's magnitudes is within ``factor`` (default 2) of those before it."""
    if call.types[call.column] not in _NUMERIC:
        raise call.refuse(f"'{call.column}' is no number", "name a number column")
    factor = call.get("factor", 2)
    if isinstance(factor, bool) or not isinstance(factor, int | float) or factor <= 1:
        raise call.refuse("the factor is none", "write more than 1, e.g. 2")
    return _Series(
        call,
        {"total": call.value.cast(pl.Float64).abs().sum(), "filled": call.value.count()},
        pl.when(pl.col("filled") > 0).then(pl.col("total") / pl.col("filled")),
        lambda now, before: (now <= factor * before) & (now * factor >= before),
    )


class _Shares:
    """Shares of categories, each partition against the partitions before it taken together."""

    def __init__(self, call: Call, points: float) -> None:
        self._value, self._points = call.value, points
        self._window, self._least = _whole(call, "window", _WINDOW), _whole(call, "least", _LEAST)
        self._counts: pl.DataFrame | None = None

    def add(self, batch: pl.DataFrame) -> None:
        found = batch.group_by(PARTITION, value=self._value.cast(pl.String)).len("rows")
        whole = found if self._counts is None else pl.concat([self._counts, found])
        self._counts = whole.group_by(PARTITION, "value").agg(pl.col("rows").sum())

    def table(self, control_totals: Any) -> Table:  # noqa: ARG002 - partitions need no control
        counts = pl.DataFrame() if self._counts is None else self._counts.drop_nulls("value")
        if counts.is_empty():
            raise CannotCheckError("there are no values")
        wide = counts.pivot("value", index=PARTITION, values="rows").fill_null(0).sort(PARTITION)
        kinds = pl.all().exclude(PARTITION)
        now = wide.select(kinds.cast(pl.Float64))
        before = now.select(kinds.shift(1).rolling_sum(self._window, min_samples=self._least))
        far = wide.select(PARTITION).with_columns(points=_distance(now, before)).drop_nulls()
        if far.is_empty():
            raise CannotCheckError(f"fewer than {self._least + 1} partitions: no history yet")
        return far, pl.col("points") <= self._points


def _distance(now: pl.DataFrame, before: pl.DataFrame) -> pl.Series:
    """How many percentage points have moved from one category to another, row by row."""
    share, usual = (
        frame.select(pl.all() * 100 / pl.sum_horizontal(pl.all(), ignore_nulls=False))
        for frame in (now, before)
    )
    moved = [(share[name] - usual[name]).abs() for name in share.columns]
    return pl.select(pl.sum_horizontal(moved, ignore_nulls=False) / 2).to_series()


@total_rule(
    gb_code="0301",
    source="GB/T 36344 0301; a code table that a department changed without telling",
    optional=("points", "window", "least"),
    scopes=_HISTORY,
    element="partition",
    by_partition=True,
    example=Example(
        good=_months(["x", "y"], ["x", "y"], ["y", "x"], ["x", "y"]),
        bad=_months(["x", "y"], ["x", "y"], ["y", "x"], ["z", "z"]),
    ),
)
def stable_shares(call: Call) -> _Shares:
    """At most ``points`` percentage points (default 20) move between the categories of a column.

    Compared is with the partitions before taken together; empty cells are left aside. Only for
    columns with few different values.
    """
    return _Shares(call, _percent(call, "points", 20))
