"""``timestamp``: points in time, as the wall clock of Asia/Shanghai, in µs, without a zone.

| text | value |
|---|---|
| ``2026-03-31 09:05:00``, ``2019/1/8 9:05:00``, ``2026-03-31T09:05:00.250`` | as written |
| ``2026年3月31日 9时5分`` | 2026-03-31 09:05:00 |
| ``2026-03-31T01:05:00Z``, ``2026-03-31T09:05:00+08:00`` | 2026-03-31 09:05:00 |
| ``2026-03-30 24:00`` | 2026-03-31 00:00:00 |
| ``2026-03-31`` | 2026-03-31 00:00:00 |
| ``46112.378472`` (Excel serial, 1900 epoch) | 2026-03-31 09:05:00, to the second |
| ``03/24/2025 11:33:07 PM`` | only with ``format: MM/dd/yyyy hh:mm:ss a`` |

An offset is turned into the wall clock of its day, with the daylight saving of 1986 to 1991.
Reason code: ``format``.
"""

from __future__ import annotations

from collections.abc import Callable

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
from quality_checks.values.formats import best_format, parse_datetime, strptime_format

FORMATS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y/%m/%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y/%m/%d %H:%M",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y%m%d%H%M%S",
    "%Y年%m月%d日 %H:%M:%S",
    "%Y年%m月%d日 %H:%M",
    "%Y.%m.%d %H:%M:%S",
    "%Y.%m.%d %H:%M",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M%#z",
)
_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y年%m月%d日", "%Y.%m.%d")
_OFFSET = "%#z"
_ZONE = "Asia/Shanghai"
_LAST_MIDNIGHT = r"[T ]24:00(?::00)?$"
_EXCEL = r"^[2-7]\d{4}\.\d+$"


class Timestamp(ValueType):
    """``timestamp``: a day and a time of day."""

    name = "timestamp"
    logical_types = (ColumnType.TIMESTAMP,)
    options = ("format",)

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:
        """One native format for the batch, the other spellings for what it leaves."""
        own = column.options.get("format")
        formats = (strptime_format(str(own)), *FORMATS) if own else FORMATS
        given = without_tokens(text, context.null_tokens)

        def quick(texts: pl.Series) -> pl.Series:
            return best_format(texts, formats, _parse)

        def slow(texts: pl.Series) -> pl.DataFrame:
            return _slow(texts, formats)

        dtype = pl.Datetime("us")
        fast = {"value": given.map_batches(quick, return_dtype=dtype, is_elementwise=True)}
        return reading_of(column, rescue(given, fast, slow, {"value": dtype}, context.null_tokens))


def _slow(texts: pl.Series, formats: tuple[str, ...]) -> pl.DataFrame:
    clean = _clean(texts)
    late = clean.str.contains(_LAST_MIDNIGHT)
    clean = clean.str.replace(_LAST_MIDNIGHT, " 00:00:00")
    value = pl.Series("value", [None], pl.Datetime("us")).new_from_index(0, len(clean))
    for read in (*(_by_format(pattern) for pattern in (*formats, *_DAYS)), _excel):
        still = value.is_null()
        if not still.any():
            break
        value = value.scatter(still.arg_true(), read(clean.filter(still)))
    column = pl.col("value")
    return pl.DataFrame({"value": value, "late": late}).select(
        value=pl.when(pl.col("late")).then(column + pl.duration(days=1)).otherwise(column),
        reason=pl.when(column.is_null()).then(pl.lit("format")),
    )


def _clean(texts: pl.Series) -> pl.Series:
    return (
        texts.str.normalize("NFKC")
        .str.replace_all(r"\s+", " ")
        .str.replace(r"(\d) ?[时点](\d{1,2})分(?:(\d{1,2})秒)?$", "${1}:${2}:0${3}")
        .str.replace(r":0(\d\d)$", ":${1}")
        .str.replace(r"日(\d)", "日 ${1}")
    )


def _by_format(pattern: str) -> Callable[[pl.Series], pl.Series]:
    return lambda texts: _parse(texts, pattern)


def _parse(texts: pl.Series, pattern: str) -> pl.Series:
    """Parse by one format; an offset is turned into the wall clock."""
    if not pattern.endswith(_OFFSET):
        return parse_datetime(texts, pattern)
    texts = texts.str.replace(r"[zZ]$", "+00:00")
    value = texts.str.to_datetime(pattern, strict=False, time_unit="us", time_zone="UTC")
    return value.dt.convert_time_zone(_ZONE).dt.replace_time_zone(None)


def _excel(texts: pl.Series) -> pl.Series:
    serial = pl.when(texts.str.contains(_EXCEL)).then(texts.cast(pl.Float64, strict=False))
    seconds = (serial * 86_400).round().cast(pl.Int64)
    epoch = pl.datetime(1899, 12, 30, time_unit="us")
    return pl.select(epoch + pl.duration(seconds=seconds, time_unit="us")).to_series()
