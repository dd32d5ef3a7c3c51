"""``citizen_id``: 公民身份号码 by GB 11643.

``aaaaaa yyyymmdd sss c``: area code when the number was given, date of birth, sequence (odd for
men), check character. Before judgement the text is folded (full width, blanks, apostrophes,
lower-case x), and a number of 15 digits (used until 1999) becomes its 18-digit form: ``19`` before
the year and a check character; sequences 996 to 999 were for people born in the 1800s.

Reason codes, the first that applies:

* ``format``: not 18 characters of that shape. Text such as ``1.10105E+17`` is lost for good: a
  spreadsheet kept 15 digits only.
* ``birth``: no calendar day, after the reference date, or more than 120 years before it.
* ``checksum``: the check character (ISO 7064 MOD 11-2) does not fit.

The area code is no reason: numbers keep codes that are long abolished. Rule ``known_region`` warns.

Extra columns: ``<column>_birth_date``, ``<column>_sex`` (GB/T 2261.1: 1 male, 2 female).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import polars as pl
from cityledger.contracts.model import Column, ColumnType

from quality_checks.values.base import (
    Context,
    Reading,
    ValueType,
    reading_of,
    rescue_columns,
    without_tokens,
)
from quality_checks.values.matrix import Bytes, Flags, byte_matrix, symbol_values, weighted_sum

LENGTH = 18
MAX_AGE = 120
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECKS = "10X98765432"

_CENTENARIAN = ("996", "997", "998", "999")
_DIGITS = symbol_values("0123456789")
_CHECK_BYTES = np.frombuffer(CHECKS.encode(), dtype=np.uint8)
_MONTH_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)
_SCHEMA = MappingProxyType({"value": pl.String(), "birth_date": pl.Date(), "sex": pl.String()})
_DIRT = r"[\s\p{Cf}'’‘`\"]"

Numbers = npt.NDArray[np.int64]


class CitizenId(ValueType):
    """``citizen_id``: read, upgraded from 15 digits, checked."""

    name = "citizen_id"
    extra_columns = MappingProxyType({"birth_date": ColumnType.DATE, "sex": ColumnType.STRING})

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:
        """Judge texts of 18 bytes as they are, fold and upgrade the rest."""

        def fast(texts: pl.Series) -> pl.DataFrame:
            return judge(texts, context.as_of)

        def slow(texts: pl.Series) -> pl.DataFrame:
            return judge(folded(texts), context.as_of)

        given = without_tokens(text, context.null_tokens)
        work = rescue_columns(given, fast, slow, _SCHEMA, context.null_tokens)
        return reading_of(column, work, tuple(self.extra_columns))


def folded(texts: pl.Series) -> pl.Series:
    """Texts in the spelling of the standard, 15-digit numbers upgraded."""
    clean = texts.str.normalize("NFKC").str.replace_all(_DIRT, "").str.to_uppercase()
    old = clean.str.contains(r"^[1-9]\d{14}$")
    if not old.any():
        return clean
    return clean.scatter(old.arg_true(), [_upgraded(text) for text in clean.filter(old)])


def _upgraded(text: str) -> str:
    century = "18" if text[12:15] in _CENTENARIAN else "19"
    body = text[:6] + century + text[6:]
    return body + check_character(body)


def check_character(body: Sequence[str] | str) -> str:
    """The check character of the first 17 digits."""
    return CHECKS[sum(int(d) * w for d, w in zip(body, WEIGHTS, strict=True)) % 11]


def judge(texts: pl.Series, as_of: date) -> pl.DataFrame:
    """``value``, ``birth_date``, ``sex`` and ``reason`` of every text."""
    shaped = (texts.str.len_bytes() == LENGTH).fill_null(value=False)
    rows = byte_matrix(texts.filter(shaped), LENGTH)
    digits = _DIGITS[rows[:, :-1]]
    year, month, day = (_number(digits, *span) for span in ((6, 10), (10, 12), (12, 14)))
    fits = _shape(digits, rows, year, month, day)
    born = _birth(year, month, day, as_of)
    check = rows[:, -1] == _CHECK_BYTES[weighted_sum(digits, WEIGHTS) % 11]
    reason = np.select([~fits, ~born, ~check], [1, 2, 3], 0)
    found = pl.DataFrame(
        {"place": shaped.arg_true(), "why": reason, "y": year, "m": month, "d": day}
    ).with_columns(odd=pl.Series(digits[:, 16] % 2 == 1, dtype=pl.Boolean))
    return _spread(texts, found)


def _shape(digits: Bytes, rows: Bytes, year: Numbers, month: Numbers, day: Numbers) -> Flags:
    last = (_DIGITS[rows[:, -1]] < 10) | (rows[:, -1] == ord("X"))
    century = (year >= 1800) & (year < 2100)
    calendar = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    fits: Flags = (digits < 10).all(axis=1) & (digits[:, 0] > 0) & last & century & calendar
    return fits


def _number(digits: Bytes, start: int, end: int) -> Numbers:
    total = np.zeros(len(digits), dtype=np.int64)
    for place in range(start, end):
        total = total * 10 + digits[:, place]
    return total


def _birth(year: Numbers, month: Numbers, day: Numbers, as_of: date) -> Flags:
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    real = day <= _MONTH_DAYS[np.clip(month, 0, 12)]
    real &= leap | (month != 2) | (day < 29)
    born = year * 10_000 + month * 100 + day
    latest = as_of.year * 10_000 + as_of.month * 100 + as_of.day
    alive: Flags = real & (born <= latest) & (born >= latest - (MAX_AGE + 1) * 10_000 + 1)
    return alive


def _spread(texts: pl.Series, found: pl.DataFrame) -> pl.DataFrame:
    good = pl.col("why") == 0
    birth = pl.when(good).then(pl.date(pl.col("y"), pl.col("m"), pl.col("d")))
    sex = pl.when(good & pl.col("odd")).then(pl.lit("1")).when(good).then(pl.lit("2"))
    reason = pl.col("why").replace_strict(
        {0: None, 1: "format", 2: "birth", 3: "checksum"}, return_dtype=pl.String
    )
    if found.height == len(texts):
        whole = found.with_columns(text=texts)
    else:
        rows = texts.alias("text").to_frame().with_row_index("place")
        outside = pl.when(pl.col("text").is_not_null()).then(1)
        whole = rows.join(found, on="place", how="left", maintain_order="left")
        whole = whole.with_columns(pl.col("why").fill_null(outside))
    return whole.select(
        value=pl.when(good).then(pl.col("text")), birth_date=birth, sex=sex, reason=reason
    )
