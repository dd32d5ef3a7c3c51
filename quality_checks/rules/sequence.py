"""Rules about order: running numbers, validity periods, magnitudes from one period to the next."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
from cityledger.contracts.model import ColumnType, Scope

from quality_checks.rules.base import Call, CannotCheckError, Example, row_rule, total_rule

_NUMERIC = (ColumnType.INTEGER, ColumnType.NUMBER)
_DAYS = [date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)]


def named(call: Call, argument: str) -> list[str]:
    """The columns that an argument names."""
    given = call.get(argument, ())
    names = [given] if isinstance(given, str) else [str(name) for name in given]
    for name in names:
        if name not in call.types:
            raise call.refuse(f"the dataset has no column '{name}'", f"correct `{argument}`")
    return names


def _series(call: Call) -> list[Any]:
    return [pl.col(name) for name in named(call, "by")] or [pl.lit(1)]


def _before(call: Call) -> pl.Expr:
    """The last value before this one in its series."""
    (order,) = named(call, "orderBy")
    filled = call.value.forward_fill().shift(1)
    return filled.over(_series(call), order_by=order)


def _has_positive_pair(call: Call) -> pl.Expr:
    return ((call.value > 0) & (_before(call) > 0)).fill_null(value=False)


@row_rule(
    gb_code="0301",
    looks_at=_has_positive_pair,
    source="GB/T 36344 0301; 万元 delivered as 元, mg/m³ as µg/m³, persons as thousands",
    required=("orderBy",),
    optional=("by", "factor"),
    scopes=(Scope.HISTORY,),
    example=Example(
        good={"a": [120.0, 150.0, None], "day": _DAYS},
        bad={"a": [1_500_000.0], "day": [date(2026, 3, 4)]},
        arguments={"orderBy": "day"},
        columns=("a",),
    ),
)
def same_magnitude(call: Call) -> pl.Expr:
    """A value is less than ``factor`` (default 10) times the one before it, and more than 1/factor.

    ``orderBy`` is the column of time, ``by`` the columns that make up one series. Values that are
    not above nought have no magnitude and are passed over.
    """
    factor = float(call.get("factor", 10))
    if call.types[call.column] not in _NUMERIC:
        raise call.refuse(f"'{call.column}' is no number", "name a number column")
    if factor <= 1:
        raise call.refuse(f"a factor of {factor:g} is none", "write more than 1, e.g. 10")
    ratio = call.value.cast(pl.Float64) / _before(call).cast(pl.Float64)
    near = (ratio < factor) & (ratio > 1 / factor)
    return near.fill_null(value=True) | ~_has_positive_pair(call)


@row_rule(
    gb_code="0503",
    source="GB/T 36344 0503; validity of codes in GB/T 2260",
    required=("by",),
    least_columns=2,
    scopes=(Scope.HISTORY,),
    example=Example(
        good={"a": _DAYS[:2], "b": [_DAYS[0], None], "g": ["x", "x"]},
        bad={"a": [date(2026, 3, 5)], "b": [None], "g": ["x"]},
        arguments={"by": ["g"]},
        columns=("a", "b"),
    ),
)
def not_overlapping(call: Call) -> pl.Expr:
    """The periods (first day, last day; an empty last day has no end) of one series don't overlap.

    A period that begins before an earlier one has ended breaks the rule.
    """
    last = pl.col(call.spec.columns[1]).fill_null(date.max)
    ended = last.cum_max().shift(1).over(_series(call), order_by=call.column)
    return (call.value > ended).fill_null(value=True)


class _Consecutive:
    def __init__(self, call: Call) -> None:
        self._by, self._value = named(call, "by"), call.value
        self._numbers: pl.DataFrame | None = None

    def add(self, batch: pl.DataFrame) -> None:
        found = batch.select(*self._by, number=self._value).drop_nulls("number").unique()
        self._numbers = found if self._numbers is None else self._numbers.vstack(found).unique()

    def table(self, control_totals: Any) -> tuple[pl.DataFrame, pl.Expr]:  # noqa: ARG002
        if self._numbers is None or self._numbers.is_empty():
            raise CannotCheckError("there are no numbers")
        number = pl.col("number")
        series = self._numbers.group_by(self._by or [pl.lit(1).alias("all")]).agg(
            found=number.n_unique(), expected=number.max() - number.min() + 1
        )
        return series, pl.col("found") == pl.col("expected")


@total_rule(
    gb_code="0202",
    source="GB/T 36344 0202; running numbers of registers and receipts",
    optional=("by",),
    element="series",
    example=Example(good={"a": [7, 9, 8]}, bad={"a": [7, 9]}),
)
def consecutive(call: Call) -> _Consecutive:
    """Between the least and the greatest number of each series (``by``) none is missing."""
    if call.types[call.column] is not ColumnType.INTEGER:
        raise call.refuse(f"'{call.column}' holds no whole numbers", "name an integer column")
    return _Consecutive(call)
