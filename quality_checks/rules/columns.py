"""Rules about one column's values. Every rule here ignores nulls: ``not_null`` judges those."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import polars as pl
from cityledger.contracts.model import ColumnType, Scope

from quality_checks.rules.base import Call, Example, row_rule

_LITERALS: Mapping[ColumnType, Callable[[str], Any]] = {
    ColumnType.DATE: lambda text: date.fromisoformat(text[:10]),
    ColumnType.TIMESTAMP: datetime.fromisoformat,
    ColumnType.TIME: time.fromisoformat,
    ColumnType.NUMBER: Decimal,
    ColumnType.INTEGER: Decimal,
}
ABSENT = pl.lit(value=True)


def unless_null(column: pl.Expr, verdict: pl.Expr) -> pl.Expr:
    """The verdict, and True where there is no value to judge."""
    return verdict | column.is_null()


def literal(call: Call, name: str, column: str) -> Any:
    """An argument in the type of the column that it is compared with.

    YAML gives numbers, dates or texts; a contract may quote any of them.
    """
    given, kind = call.get(name), call.types[column]
    if given is None or isinstance(given, bool):
        return given
    read = _LITERALS.get(kind, str)
    try:
        return read(str(given))
    except (ValueError, ArithmeticError):
        raise call.refuse(
            f"argument '{name}' does not fit column '{column}' ({kind.value})",
            f"write a {kind.value}",
        ) from None


def _there_was_text(call: Call) -> pl.Expr:
    return call.value.is_not_null() | pl.col(f"__reason__{call.column}").is_not_null()


@row_rule(
    looks_at=_there_was_text,
    gb_code="0302",
    source="GB/T 36344 0302 数据格式合规性; the value type's own standard",
    skips_null=False,
    scopes=(Scope.ROW,),
    example=Example(good={"a": [1]}, bad={"a": [None], "__reason__a": ["format"]}),
)
def type(call: Call) -> pl.Expr:  # noqa: A001 - rules are named as contracts name them
    """The text could be read as the column's type; the reason code says why not."""
    return pl.col(f"__reason__{call.column}").is_null()


@row_rule(
    gb_code="0201",
    source="GB/T 36344 0201 数据元素完整性",
    skips_null=False,
    example=Example(good={"a": [1]}, bad={"a": [None]}),
)
def not_null(call: Call) -> pl.Expr:
    """There is a value; a text that could not be read is none for anybody downstream."""
    return call.value.is_not_null()


@row_rule(
    gb_code="0201",
    source="ODCS metric missingValues; GB/T 36344 0201 数据元素完整性",
    skips_null=False,
    required=("values",),
    example=Example(good={"a": ["x"]}, bad={"a": [None, "N/A"]}, arguments={"values": ["", "N/A"]}),
)
def not_missing(call: Call) -> pl.Expr:
    """There is a value, and it is none of ``values``, which stand for a missing one."""
    values = [str(value) for value in call.get("values") if value is not None]
    return call.value.is_not_null() & ~call.value.cast(pl.String).is_in(values).fill_null(
        value=False
    )


@row_rule(
    gb_code="0101",
    source="GB/T 36344 0101 数据标准 (code list)",
    optional=("values", "codes", "dateColumn"),
    example=Example(good={"a": ["1", "2"]}, bad={"a": ["7"]}, arguments={"values": ["1", "2"]}),
)
def in_set(call: Call) -> pl.Expr:
    """The value is one of ``values``, or a code of the list named ``codes``.

    Codes count at any time; with ``dateColumn`` only if they are in force on that row's day.
    """
    values = call.get("values")
    if values is None and call.get("codes") is None:
        raise call.refuse("nothing to compare with", "give `values` or `codes`")
    if values is None and call.get("dateColumn") is not None:
        return unless_null(call.value, _in_force(call))
    allowed = [str(v) for v in values] if values is not None else _codes(call)
    return unless_null(call.value, call.value.cast(pl.String).is_in(allowed))


def _in_force(call: Call) -> pl.Expr:
    """Whether one of the code's periods holds the day; without a day, whether the code exists."""
    name = str(call.get("dateColumn"))
    if call.types.get(name) not in (ColumnType.DATE, ColumnType.TIMESTAMP):
        raise call.refuse(f"'{name}' is no date", "name a column with dates")
    day = pl.col(name).cast(pl.Date)
    periods = [
        (call.value == entry.code)
        & day.is_between(entry.valid_from or date.min, entry.valid_to or date.max)
        for entry in call.codes(str(call.get("codes"))).entries
    ]
    known = call.value.is_in(_codes(call))
    return pl.when(day.is_null()).then(known).otherwise(pl.any_horizontal(periods))


def _codes(call: Call) -> list[str]:
    return sorted({entry.code for entry in call.codes(str(call.get("codes"))).entries})


@row_rule(
    gb_code="0302",
    source="GB/T 36344 0302 数据格式合规性",
    required=("pattern",),
    example=Example(
        good={"a": ["A1"]}, bad={"a": ["1A", "A1 "]}, arguments={"pattern": "[A-Z][0-9]"}
    ),
)
def pattern(call: Call) -> pl.Expr:
    """The whole text matches the regular expression ``pattern``."""
    anchored = whole_text(call, str(call.get("pattern")))
    return unless_null(call.value, call.value.str.contains(anchored))


def whole_text(call: Call, expression: str) -> str:
    """The regular expression that matches whole texts only.

    Raises:
        BadInputError: it is none.
    """
    anchored = rf"^(?:{expression})\z"
    try:
        pl.Series([""]).str.contains(anchored)
    except pl.exceptions.PolarsError:
        raise call.refuse("the pattern is no regular expression", "mend the pattern") from None
    return anchored


@row_rule(
    gb_code="0302",
    source="GB/T 36344 0302; DB31/T 1523 010103 长度",
    optional=("minimum", "maximum"),
    example=Example(
        good={"a": ["云港"]},
        bad={"a": ["云", "云汐市云港区"]},
        arguments={"minimum": 2, "maximum": 4},
    ),
)
def length(call: Call) -> pl.Expr:
    """The text has ``minimum`` to ``maximum`` characters."""
    chars = call.value.str.len_chars()
    return unless_null(call.value, _within(chars, call.get("minimum"), call.get("maximum")))


@row_rule(
    gb_code="0302",
    source="GB/T 36344 0302 (value range)",
    optional=("minimum", "maximum"),
    example=Example(good={"a": [1, 5]}, bad={"a": [0, 6]}, arguments={"minimum": 1, "maximum": 5}),
)
def between(call: Call) -> pl.Expr:
    """The value lies between ``minimum`` and ``maximum``, both included (numbers or dates)."""
    low, high = literal(call, "minimum", call.column), literal(call, "maximum", call.column)
    return unless_null(call.value, _within(call.value, low, high))


def _within(value: pl.Expr, low: Any, high: Any) -> pl.Expr:
    verdict = ABSENT
    if low is not None:
        verdict = verdict & (value >= low)
    if high is not None:
        verdict = verdict & (value <= high)
    return verdict


@row_rule(
    gb_code="0302",
    source="GB/T 36344 0302 数据格式合规性 (precision); ISO/IEC 25012 precision",
    required=("maximum",),
    example=Example(good={"a": [0.1, 12.25]}, bad={"a": [0.125]}, arguments={"maximum": 2}),
)
def decimal_places(call: Call) -> pl.Expr:
    """The number has at most ``maximum`` decimal places: no finer than it can have been measured.

    Binary fractions count as the decimal number that they are nearest to (15 digits).
    """
    places = call.get("maximum")
    if isinstance(places, bool) or not isinstance(places, int) or not 0 <= places <= 15:
        raise call.refuse("`maximum` is no number of places", "write 0 to 15")
    if call.types[call.column] not in (ColumnType.INTEGER, ColumnType.NUMBER):
        raise call.refuse(f"'{call.column}' is no number", "name a number column")
    number = call.value.cast(pl.Float64)
    return unless_null(call.value, (number - number.round(places)).abs() <= number.abs() * 1e-15)
