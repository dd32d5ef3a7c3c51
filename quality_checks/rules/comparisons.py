"""Rules between columns of one row. A null on either side leaves nothing to compare: good."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
from cityledger.contracts.model import ColumnType

from quality_checks.rules.base import Call, Example, row_rule
from quality_checks.rules.columns import literal
from quality_checks.values.citizen_id import LENGTH

_OPERATORS: Mapping[str, Callable[[Any, Any], pl.Expr]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
_EARLY, _LATE = date(2026, 3, 1), date(2026, 3, 31)


_BINARY_NOISE = 1e-12
"""Relative error that sums of float64 carry; far below a cent in ten billion."""


def adds_up(total: pl.Expr, parts: pl.Expr, tolerance: float) -> pl.Expr:
    """Whether two sums agree: within a tolerance, and within the noise of binary fractions."""
    difference = (total - parts).abs().cast(pl.Float64)
    return difference <= tolerance + total.abs().cast(pl.Float64) * _BINARY_NOISE


def _null_safe(verdict: pl.Expr) -> pl.Expr:
    return verdict.fill_null(value=True)


def all_given(call: Call) -> pl.Expr:
    """Rows where every column of the rule has a value: only they can be compared."""
    return pl.all_horizontal(pl.col(name).is_not_null() for name in call.spec.columns)


def _some_part(call: Call) -> pl.Expr:
    parts = (pl.col(name).is_not_null() for name in call.spec.columns[1:])
    return call.value.is_not_null() & pl.any_horizontal(parts)


@row_rule(
    looks_at=all_given,
    gb_code="0503",
    source="GB/T 36344 0503 时序性",
    least_columns=2,
    example=Example(
        good={"a": [_LATE, _EARLY], "b": [_EARLY, _EARLY]}, bad={"a": [_EARLY], "b": [_LATE]}
    ),
)
def not_before(call: Call) -> pl.Expr:
    """The first column's date or time does not lie before the second's."""
    return _ordered(call, operator.ge)


@row_rule(
    looks_at=all_given,
    gb_code="0402",
    source="GB/T 36344 0402 关联数据一致性",
    least_columns=2,
    example=Example(good={"a": [3, 2], "b": [2, 2]}, bad={"a": [1], "b": [2]}),
)
def at_least_column(call: Call) -> pl.Expr:
    """The first column is at least the second."""
    return _ordered(call, operator.ge)


@row_rule(
    looks_at=all_given,
    gb_code="0402",
    source="GB/T 36344 0402 关联数据一致性",
    least_columns=2,
    example=Example(good={"a": [1, 2], "b": [2, 2]}, bad={"a": [3], "b": [2]}),
)
def at_most_column(call: Call) -> pl.Expr:
    """The first column is at most the second."""
    return _ordered(call, operator.le)


def _ordered(call: Call, compare: Callable[[Any, Any], pl.Expr]) -> pl.Expr:
    first, second = call.spec.columns[:2]
    if _family(call.types[first]) != _family(call.types[second]):
        raise call.refuse(f"'{first}' and '{second}' are of different types", "compare like types")
    return _null_safe(compare(pl.col(first), pl.col(second)))


def _family(kind: ColumnType) -> str:
    numbers = (ColumnType.INTEGER, ColumnType.NUMBER)
    days = (ColumnType.DATE, ColumnType.TIMESTAMP)
    return "number" if kind in numbers else "day" if kind in days else kind.value


@row_rule(
    looks_at=all_given,
    gb_code="0104",
    source="GB/T 36344 0104 业务规则",
    required=("operator",),
    optional=("value", "factor"),
    example=Example(
        good={"a": [10, 4], "b": [5, 2]},
        bad={"a": [11], "b": [5]},
        arguments={"operator": "<=", "factor": 2},
    ),
)
def compare(call: Call) -> pl.Expr:
    """The first column stands in relation ``operator`` to ``value``, or to the second column.

    With ``factor`` the second column is multiplied first.
    """
    name = str(call.get("operator"))
    if name not in _OPERATORS:
        raise call.refuse(f"no operator is called '{name}'", f"use one of {' '.join(_OPERATORS)}")
    if len(call.spec.columns) < 2:
        if call.get("value") is None:
            raise call.refuse("nothing to compare with", "give `value` or a second column")
        return _null_safe(_OPERATORS[name](call.value, literal(call, "value", call.column)))
    other = pl.col(call.spec.columns[1])
    if call.get("factor") is not None:
        other = other * Decimal(str(call.get("factor")))
    return _null_safe(_OPERATORS[name](call.value, other))


@row_rule(
    looks_at=_some_part,
    gb_code="0402",
    source="GB/T 36344 0402; DB31/T 1523 040202 表内逻辑",
    optional=("tolerance",),
    least_columns=2,
    example=Example(
        good={"a": [10, 3], "b": [4, 3], "c": [6, None]}, bad={"a": [11], "b": [4], "c": [6]}
    ),
)
def sum_of(call: Call) -> pl.Expr:
    """The first column is the sum of the others, within ``tolerance``.

    An empty part counts as nothing; a row without any part, or without a sum, is not judged.
    """
    parts = [pl.col(name) for name in call.spec.columns[1:]]
    total = pl.sum_horizontal(parts)
    verdict = adds_up(call.value, total, float(call.get("tolerance", 0)))
    return _null_safe(verdict) | pl.all_horizontal(part.is_null() for part in parts)


@row_rule(
    looks_at=all_given,
    gb_code="0402",
    source="GB/T 36344 0402; shares and rates of statistical reports",
    optional=("factor", "tolerance"),
    least_columns=3,
    example=Example(
        good={"a": [25.0, 33.33], "b": [1, 1], "c": [4, 3]},
        bad={"a": [0.25], "b": [1], "c": [4]},
        arguments={"factor": 100, "tolerance": 0.005},
    ),
)
def ratio_of(call: Call) -> pl.Expr:
    """The first column is the second divided by the third, times ``factor``, within ``tolerance``.

    A denominator of nought leaves nothing to compare with.
    """
    above, below = (pl.col(name).cast(pl.Float64) for name in call.spec.columns[1:3])
    expected = above * float(call.get("factor", 1)) / below
    verdict = adds_up(call.value.cast(pl.Float64), expected, float(call.get("tolerance", 0)))
    return _null_safe(verdict) | (below == 0).fill_null(value=False)


@row_rule(
    looks_at=all_given,
    gb_code="0401",
    source="GB/T 36344 0401 相同数据一致性; DB31/T 1523 040201 表内等值",
    least_columns=2,
    example=Example(good={"a": ["x", None], "b": ["x", "y"]}, bad={"a": ["x"], "b": ["y"]}),
)
def equal_columns(call: Call) -> pl.Expr:
    """The same datum, stored twice, is the same: the first column equals the second."""
    return _ordered(call, operator.eq)


@row_rule(
    looks_at=all_given,
    gb_code="0402",
    source="GB/T 2260: the code of an area begins with those of the areas above it",
    required=("length",),
    least_columns=2,
    example=Example(
        good={"a": ["990102", None], "b": ["990100", "990100"]},
        bad={"a": ["110102"], "b": ["990100"]},
        arguments={"length": 4},
    ),
)
def same_prefix(call: Call) -> pl.Expr:
    """Both columns begin with the same ``length`` characters, as a district and its city do."""
    length = int(call.get("length"))
    first, second = (pl.col(name).str.slice(0, length) for name in call.spec.columns[:2])
    return _null_safe(first == second)


@row_rule(
    looks_at=_some_part,
    gb_code="0402",
    source="GB/T 36344 0402; 827 rows of a public series have more outcomes than cases",
    least_columns=2,
    example=Example(
        good={"a": [10, 3, None], "b": [4, 3, 1], "c": [6, None, 1]},
        bad={"a": [9], "b": [4], "c": [6]},
    ),
)
def at_least_sum(call: Call) -> pl.Expr:
    """The first column is at least the sum of the others; an empty part counts as nothing."""
    parts = [pl.col(name) for name in call.spec.columns[1:]]
    return _null_safe(call.value >= pl.sum_horizontal(parts))


def _needed(call: Call) -> pl.Expr:
    condition = call.spec.columns[1]
    needed = pl.col(condition).is_not_null()
    if call.get("equals") is not None:
        needed = pl.col(condition) == pl.lit(literal(call, "equals", condition))
    elif call.get("in") is not None:
        needed = pl.col(condition).cast(pl.String).is_in([str(value) for value in call.get("in")])
    return needed.fill_null(value=False)


@row_rule(
    looks_at=_needed,
    gb_code="0201",
    source="GB/T 36344 0201 数据元素完整性 (elements expected to be assigned)",
    optional=("equals", "in"),
    skips_null=False,
    least_columns=2,
    example=Example(
        good={"a": ["x", None], "b": ["done", "open"]},
        bad={"a": [None], "b": ["done"]},
        arguments={"equals": "done"},
    ),
)
def required_if(call: Call) -> pl.Expr:
    """The first column has a value wherever the second says so.

    The second column ``equals`` a value, is ``in`` a list, or, without both, has any value.
    """
    return call.value.is_not_null() | ~_needed(call)


@row_rule(
    looks_at=all_given,
    gb_code="0402",
    source="GB 11643: digit 17 is odd for men",
    least_columns=2,
    example=Example(
        good={"a": ["2", "0"], "b": ["11010519491231002X", "11010519491231002X"]},
        bad={"a": ["1"], "b": ["11010519491231002X"]},
    ),
)
def sex_matches_id(call: Call) -> pl.Expr:
    """A sex of 1 or 2 agrees with the citizen id in the second column."""
    number = pl.col(call.spec.columns[1])
    odd = number.str.slice(LENGTH - 2, 1).cast(pl.UInt8, strict=False) % 2
    said = pl.when(call.value == "1").then(1).when(call.value == "2").then(0)
    return _null_safe(said == odd)


@row_rule(
    looks_at=all_given,
    gb_code="0402",
    source="GB 11643: digits 7 to 14 are the date of birth",
    least_columns=2,
    example=Example(
        good={"a": [date(1949, 12, 31)], "b": ["11010519491231002X"]},
        bad={"a": [date(1949, 12, 30)], "b": ["11010519491231002X"]},
    ),
)
def birth_matches_id(call: Call) -> pl.Expr:
    """The date of birth agrees with the citizen id in the second column."""
    number = pl.col(call.spec.columns[1])
    return _null_safe(call.value == number.str.slice(6, 8).str.to_date("%Y%m%d", strict=False))
