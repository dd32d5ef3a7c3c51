"""``date`` and ``chinese_date``: days as departments write them (spellings: ``spellings.py``).

Reason codes: ``format`` (no date), ``calendar`` (a day that does not exist), ``year`` (two-digit or
missing year), ``precision`` (a period or a time of day where a day is asked for).
"""

from __future__ import annotations

from types import MappingProxyType

import polars as pl
from cityledger.contracts.model import Column, ColumnType

from quality_checks.values.base import (
    Context,
    Reading,
    ValueType,
    reading_of,
    rescue,
    without_tokens,
)
from quality_checks.values.formats import best_format, parse_date, strptime_format
from quality_checks.values.spellings import NULL_LIKE, Day, read_day

FORMATS = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y年%m月%d日", "%Y.%m.%d")
_SCHEMA = {"value": pl.Date(), "precision": pl.String()}


def day_formats(column: Column) -> tuple[str, ...]:
    """The column's own format first, then the unambiguous ones."""
    own = column.options.get("format")
    return (strptime_format(str(own)), *FORMATS) if own else FORMATS


def _fast(given: pl.Expr, formats: tuple[str, ...]) -> pl.Expr:
    def parse(texts: pl.Series) -> pl.Series:
        value = best_format(texts, formats, parse_date)
        if value.is_in(NULL_LIKE).any():
            value = pl.select(pl.when(~value.is_in(NULL_LIKE)).then(value)).to_series()
        return value

    return given.map_batches(parse, return_dtype=pl.Date(), is_elementwise=True)


def _frame(days: list[Day]) -> pl.DataFrame:
    schema = {"value": pl.Date, "precision": pl.String, "reason": pl.String}
    return pl.DataFrame(days, schema=schema, orient="row")


class ChineseDate(ValueType):
    """``chinese_date``: any spelling, with its precision as ``<column>_precision``."""

    name = "chinese_date"
    extra_columns = MappingProxyType({"precision": ColumnType.STRING})
    logical_types = (ColumnType.DATE,)
    options = ("format",)

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:
        """Fixed formats first, spellings for the rest."""
        given = without_tokens(text, context.null_tokens)
        value = _fast(given, day_formats(column))
        fast = {"value": value}
        work = rescue(given, fast, _slow, _SCHEMA, context.null_tokens)
        name = f"__work__{column.name}"
        plain = reading_of(column, work, ("precision",))
        struct = pl.col(name).struct
        day = pl.when(struct.field("value").is_not_null()).then(pl.lit("day"))
        extras = {"precision": struct.field("precision").fill_null(day)}
        return Reading(plain.value, plain.reason, extras, plain.prepare)


def _slow(texts: pl.Series) -> pl.DataFrame:
    return _frame([read_day(text) for text in texts])


class Date(ValueType):
    """``date``: whole days only; a period or a time of day is ``precision``."""

    name = "date"
    logical_types = (ColumnType.DATE,)
    options = ("format",)

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:
        """Fixed formats first, spellings for the rest."""
        given = without_tokens(text, context.null_tokens)
        fast = {"value": _fast(given, day_formats(column))}
        work = rescue(given, fast, _slow_whole, {"value": pl.Date()}, context.null_tokens)
        return reading_of(column, work)


def _slow_whole(texts: pl.Series) -> pl.DataFrame:
    return _frame([_whole(read_day(text)) for text in texts]).drop("precision")


def _whole(day: Day) -> Day:
    return day if day.precision in (None, "day", "open") else Day(reason="precision")
