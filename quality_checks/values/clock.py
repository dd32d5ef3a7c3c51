"""``time`` (of day) and ``duration`` (seconds; also GTFS times beyond 24:00:00).

| type | text | value |
|---|---|---|
| time | ``09:05:00``, ``9:05``, ``9时5分`` | 09:05:00 |
| duration | ``25:10:00`` (a GTFS trip after midnight), ``01:30`` (hours, minutes) | 90600, 5400 |
| duration | ``1小时20分``, ``3天2小时``, ``90分钟``, ``45秒`` | 4800, 266400, 5400, 45 |

Reason codes: ``format``; ``range`` for minutes or seconds above 59 and for 24:00 as a time of day.
A bare number is a duration only with the option ``unit`` (``seconds``, ``minutes``, ``hours``,
``days``).
"""

from __future__ import annotations

from decimal import Decimal

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

_CLOCK = r"^(\d{1,4}):(\d{2})(?::(\d{2}))?$"
_PARTS = r"^(?:(\d+)天)?(?:(\d+)(?:小时|时))?(?:(\d+)(?:分钟|分))?(?:(\d+)秒)?$"
_FACTORS = (86_400, 3_600, 60, 1)
_UNITS = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}


class Time(ValueType):
    """``time``: a time of day."""

    name = "time"
    logical_types = (ColumnType.TIME,)

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:
        """``HH:MM:SS`` natively, the rest by pattern."""
        given = without_tokens(text, context.null_tokens)
        fast = {"value": given.str.to_time("%H:%M:%S", strict=False)}
        work = rescue(given, fast, _slow_time, {"value": pl.Time()}, context.null_tokens)
        return reading_of(column, work)


def _slow_time(texts: pl.Series) -> pl.DataFrame:
    clean = texts.str.normalize("NFKC").str.replace_all(r"[时点分]", ":")
    clean = clean.str.replace_all(r"秒|:$", "").str.replace_all(r":(\d)(:|$)", ":0${1}${2}")
    seconds = _seconds(pl.col("text"))
    value = pl.when(seconds < 86_400).then((seconds * 1_000_000_000).cast(pl.Time))
    return pl.DataFrame({"text": clean}).select(value=value, reason=_reason(value))


def _seconds(text: pl.Expr) -> pl.Expr:
    part = text.str.extract_groups(_CLOCK).struct
    hours, minutes, seconds = (part.field(str(n)).cast(pl.Int64) for n in (1, 2, 3))
    low = (minutes < 60) & (seconds.fill_null(0) < 60)
    return pl.when(low).then(hours * 3_600 + minutes * 60 + seconds.fill_null(0))


def _reason(value: pl.Expr) -> pl.Expr:
    clock = pl.col("text").str.contains(_CLOCK)
    range_ = pl.when(clock).then(pl.lit("range")).otherwise(pl.lit("format"))
    return pl.when(value.is_null()).then(range_)


class Duration(ValueType):
    """``duration``: a length of time in whole seconds."""

    name = "duration"
    logical_types = (ColumnType.INTEGER,)
    options = ("unit",)

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:
        """``HH:MM:SS`` by slices, numbers by the unit, the rest by pattern."""
        given = without_tokens(text, context.null_tokens)
        factor = _UNITS.get(str(column.options.get("unit", "")))
        fast = {"value": _eight_characters(given) if factor is None else _number(given, factor)}

        def slow(texts: pl.Series) -> pl.DataFrame:
            return _slow_duration(texts, factor)

        work = rescue(given, fast, slow, {"value": pl.Int64()}, context.null_tokens)
        return reading_of(column, work)


def _eight_characters(text: pl.Expr) -> pl.Expr:
    hours, minutes, seconds = (
        text.str.slice(start, 2).cast(pl.UInt8, strict=False).cast(pl.Int64) for start in (0, 3, 6)
    )
    shaped = (text.str.len_bytes() == 8) & (text.str.slice(2, 1) == ":")
    shaped = shaped & (text.str.slice(5, 1) == ":") & (minutes < 60) & (seconds < 60)
    return pl.when(shaped).then(hours * 3_600 + minutes * 60 + seconds)


def _number(text: pl.Expr, factor: int) -> pl.Expr:
    exact = text.cast(pl.Decimal(18, 6), strict=False)
    return (exact * pl.lit(Decimal(factor))).round(0).cast(pl.Int64, strict=False)


def _slow_duration(texts: pl.Series, factor: int | None) -> pl.DataFrame:
    clean = texts.str.normalize("NFKC").str.replace_all(" ", "", literal=True)
    text = pl.col("text")
    part = text.str.extract_groups(_PARTS).struct
    parts = [part.field(str(n + 1)).cast(pl.Int64, strict=False) for n in range(len(_FACTORS))]
    total = pl.sum_horizontal(p * f for p, f in zip(parts, _FACTORS, strict=True))
    spoken = pl.when(pl.any_horizontal(p.is_not_null() for p in parts)).then(total)
    value = pl.coalesce(_seconds(text), spoken)
    if factor is not None:
        value = pl.coalesce(value, _number(text, factor))
    return pl.DataFrame({"text": clean}).select(value=value, reason=_reason(value))
