"""Integers and numbers, with the spellings of spreadsheets and of Chinese officials.

| text | value | why |
|---|---|---|
| ``12``, ``-3.50``, ``1E3`` | as written | native cast |
| ``１２``, ``1,234``, ``4111.0`` (integer) | 12, 1234, 4111 | full width, thousands, Excel float |
| ``一百二十``, ``1.5万``, ``3亿`` | 120, 15000, 300000000 | Chinese numerals and magnitudes |

Reason codes: ``format`` (no number), ``precision`` (more decimals than the column has; digits
more than four places beyond the scale are binary noise of spreadsheets and are rounded away),
``range`` (an integer beyond 64 bits).
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

import polars as pl
from cityledger.contracts.model import Column, ColumnType
from cn2an import cn2an

from quality_checks.values.base import (
    Context,
    Precision,
    Reading,
    ValueType,
    polars_type,
    reading_of,
    rescue,
    without_tokens,
)

_NOISE_DIGITS = 4
_MAX_DIGITS = 38
_THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"
_WHOLE = r"^([+-]?\d+)\.0*$"
_MAGNITUDES = {"十": 1, "百": 2, "千": 3, "万": 4, "亿": 8, "万亿": 12}
_SCALED = re.compile(r"^([+-]?\d+(?:\.\d+)?)(万亿|[十百千万亿])$")
_HAN = re.compile(r"^负?[零〇一二两三四五六七八九十百千万亿点壹贰叁肆伍陆柒捌玖拾佰仟]{1,32}$")
_POSITIONAL = re.compile(r"^[零〇一二三四五六七八九]{2,18}$")
_DIGITS = str.maketrans("零〇一二三四五六七八九", "00123456789")


def chinese_number(text: str) -> str | None:
    """The digits of a Chinese numeral or of a number with a magnitude word, or None.

    ``cn2an`` reads in its strict mode: ``一百二``, which people use for both 120 and 102, is no
    number. Digits in a row (``二〇二四``) are read one by one.
    """
    scaled = _SCALED.match(text)
    if scaled:
        return format(Decimal(scaled[1]).scaleb(_MAGNITUDES[scaled[2]]), "f")
    if _POSITIONAL.match(text):
        return text.translate(_DIGITS)
    if not _HAN.match(text):
        return None
    try:
        return format(Decimal(str(cn2an(text.replace("两", "二"), "strict"))), "f")
    except (ValueError, InvalidOperation):
        return None


def canonical(texts: pl.Series) -> pl.Series:
    """Texts rewritten as plain decimal numbers where that is possible, else left as they are."""
    clean = texts.str.normalize("NFKC").str.replace_all(" ", "", literal=True)
    grouped = clean.str.contains(_THOUSANDS)
    plain = pl.select(
        pl.when(grouped).then(clean.str.replace_all(",", "", literal=True)).otherwise(clean)
    ).to_series()
    han = plain.str.contains(r"\p{Han}")
    if not han.any():
        return plain
    read = [
        chinese_number(text) if is_han else text for text, is_han in zip(plain, han, strict=True)
    ]
    return pl.Series(read, dtype=pl.String)


def as_number(text: pl.Expr, precision: Precision) -> pl.Expr:
    """``text`` as Decimal or finite Float64; null where it is none, or loses decimals."""
    # As an expression, polars would read the text once for every place that names its value.
    return text.map_batches(
        lambda texts: _as_number(texts, precision),
        return_dtype=polars_type(ColumnType.NUMBER, precision),
        is_elementwise=True,
    )


def _as_number(texts: pl.Series, precision: Precision) -> pl.Series:
    if precision is None:
        value = texts.cast(pl.Float64, strict=False)
        good = value.is_finite()
    else:
        exact = texts.cast(_wide(precision), strict=False)
        value = exact.cast(pl.Decimal(*precision), strict=False)
        good = value == exact
    return value if good.all() else pl.select(pl.when(good).then(value)).to_series()


def _wide(precision: tuple[int, int]) -> pl.Decimal:
    digits, scale = precision
    return pl.Decimal(_MAX_DIGITS, min(scale + _NOISE_DIGITS, scale + _MAX_DIGITS - digits))


class Number(ValueType):
    """``number``: exact decimal when the column declares a precision, else a finite float64."""

    name = "number"
    logical_types = (ColumnType.NUMBER,)

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:
        """Cast; rewrite only what the cast refuses."""
        precision = column.precision

        def slow(texts: pl.Series) -> pl.DataFrame:
            plain = pl.DataFrame({"text": canonical(texts)})
            looks = pl.col("text").cast(pl.Float64, strict=False).is_finite().fill_null(value=False)
            value = as_number(pl.col("text"), precision)
            reason = pl.when(value.is_not_null()).then(None).when(looks)
            return plain.select(
                value=value, reason=reason.then(pl.lit("precision")).otherwise(pl.lit("format"))
            )

        given = without_tokens(text, context.null_tokens)
        dtype = polars_type(ColumnType.NUMBER, precision)
        fast = {"value": as_number(given, precision)}
        work = rescue(given, fast, slow, {"value": dtype}, context.null_tokens)
        return reading_of(column, work)


class Integer(ValueType):
    """``integer``: 64 bits. A fraction is ``precision``, a larger number is ``range``."""

    name = "integer"
    logical_types = (ColumnType.INTEGER,)

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:
        """Cast; rewrite only what the cast refuses."""
        given = without_tokens(text, context.null_tokens)
        fast = {"value": given.cast(pl.Int64, strict=False)}
        work = rescue(given, fast, _slow_integer, {"value": pl.Int64()}, context.null_tokens)
        return reading_of(column, work)


def _slow_integer(texts: pl.Series) -> pl.DataFrame:
    text = pl.col("text")
    value = text.str.replace(_WHOLE, "$1").cast(pl.Int64, strict=False)
    exact = text.cast(pl.Decimal(_MAX_DIGITS, _NOISE_DIGITS), strict=False)
    whole = (exact == exact.floor()).fill_null(value=False)
    value = value.fill_null(pl.when(whole).then(exact.cast(pl.Int64, strict=False)))
    number = text.cast(pl.Float64, strict=False)
    reason = (
        pl.when(value.is_not_null())
        .then(None)
        .when(~number.is_finite().fill_null(value=False))
        .then(pl.lit("format"))
        .when(number.abs() >= 2.0**63)
        .then(pl.lit("range"))
        .otherwise(pl.lit("precision"))
    )
    return pl.DataFrame({"text": canonical(texts)}).select(value=value, reason=reason)
