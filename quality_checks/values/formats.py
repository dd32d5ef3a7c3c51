"""Fixed date formats: the fast path, and the contract's own format."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import polars as pl

_SAMPLE = 64
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
    return _in_years(value, value.dt.year())


def parse_datetime(texts: pl.Series, pattern: str) -> pl.Series:
    """Wall clock times, µs; years 1000 to 9998."""
    value = texts.str.to_datetime(pattern, strict=False, time_unit="us", cache=False)
    return _in_years(value, value.dt.year())


def _in_years(value: pl.Series, year: pl.Series) -> pl.Series:
    low, high = year.min(), year.max()
    if low is None or (low >= 1000 and high < 9999):  # type: ignore[operator]
        return value
    return pl.select(pl.when(year.is_between(1000, 9998)).then(value)).to_series()
