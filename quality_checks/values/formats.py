"""Fixed date formats: the fast path, and the contract's own format."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date

import polars as pl
import pyarrow as pa

_SAMPLE = 64
_ISO_CLOCKS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
_ISO_BYTES = 19
_DAY_MICROSECONDS = 86_400_000_000
_EPOCH = date(1970, 1, 1)
_FIRST_DAY = (date(1000, 1, 1) - _EPOCH).days
_AFTER_LAST_DAY = (date(9999, 1, 1) - _EPOCH).days
_TOKENS = (
    ("yyyy", "%Y"),
    ("yy", "%y"),
    ("MM", "%m"),
    ("dd", "%d"),
    ("HH", "%H"),
    ("hh", "%I"),
    ("mm", "%M"),
    ("ss", "%S"),
    ("M", "%m"),
    ("d", "%d"),
    ("H", "%H"),
    ("h", "%I"),
    ("m", "%M"),
    ("s", "%S"),
    ("a", "%p"),
    ("'T'", "T"),
)
_TOKEN = re.compile("|".join([*(token for token, _ in _TOKENS), r"\.S{1,6}"]))
_STRPTIME = dict(_TOKENS)

Parse = Callable[[pl.Series, str], pl.Series]


def strptime_format(pattern: str) -> str:
    """The strptime spelling of a contract's ``format`` (``MM/dd/yyyy hh:mm:ss a``)."""
    return _TOKEN.sub(lambda match: _STRPTIME.get(match[0], "%.f"), pattern.replace("%", "%%"))


def best_format(texts: pl.Series, formats: Sequence[str], parse: Parse) -> pl.Series:
    """Parse a batch with the format that reads most of a sample; nulls where it does not fit.

    A column is nearly always written in one way, so one native pass reads it.
    """
    sample = texts.drop_nulls().head(_SAMPLE)
    if len(sample) == 0:
        return parse(texts, formats[0])
    best, fewest = formats[0], len(sample) + 1
    for candidate in formats:
        misses = parse(sample, candidate).null_count()
        if misses < fewest:
            best, fewest = candidate, misses
        if fewest == 0:
            break
    return parse(texts, best)


def parse_date(texts: pl.Series, pattern: str) -> pl.Series:
    """Dates of years 1000 to 9998 (a year of fewer digits is a misreading)."""
    value = texts.str.to_date(pattern, strict=False)
    return _in_years(value, 1)


def parse_datetime(texts: pl.Series, pattern: str) -> pl.Series:
    """Wall clock times, µs; years 1000 to 9998."""
    value = _iso_clock(texts) if pattern in _ISO_CLOCKS else None
    if value is None:
        value = texts.str.to_datetime(pattern, strict=False, time_unit="us", cache=False)
    return _in_years(value, _DAY_MICROSECONDS)


def _iso_clock(texts: pl.Series) -> pl.Series | None:
    """Texts that are all ``2026-03-31 09:05:00`` (or with a T), in a third of polars' time."""
    if not (texts.str.len_bytes() == _ISO_BYTES).all():
        return None
    try:
        clock = texts.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        return None
    return pl.Series(texts.name, clock)


def _in_years(value: pl.Series, day: int) -> pl.Series:
    """Values of years 1000 to 9998; ``day`` is a day in the type's own unit."""
    count = value.to_physical()
    first, after = _FIRST_DAY * day, _AFTER_LAST_DAY * day
    low, high = count.min(), count.max()
    if low is None or (low >= first and high < after):  # type: ignore[operator]
        return value
    return pl.select(pl.when((count >= first) & (count < after)).then(value)).to_series()
