"""``uscc``: 统一社会信用代码 by GB 32100, and what stands in such columns instead.

A real register column holds older numbers, too, so every text gets a class; only ``bad`` is an
error. Extra column: ``<column>_class``.

| class | text | check |
|---|---|---|
| ``uscc`` | 18 characters, none of I, O, S, V, Z; 3 to 8 are digits | GB 32100, 3^i mod 31 |
| ``uscc_normalised`` | the same after folding width and case and taking blanks out | the same |
| ``regno15`` | 15 digits: 工商注册号 of before 2015 | GB/T 17710 MOD 11,10 |
| ``regno13`` | 13 digits: a still older registration number | none exists |
| ``orgcode9`` | 8 characters, ``-`` or not, check: 组织机构代码 | GB 11714 |
| ``cert_text`` | a certificate's number in words (``企合苏总字第000063号``) | none exists |
| ``missing`` | no value | – |
| ``bad`` | anything else | reason ``format`` or ``checksum`` |

The value is the folded text for every class but ``missing`` and ``bad``.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
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

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
LENGTH = 18
WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
ORG_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ORG_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)

_VALUES = symbol_values(ALPHABET)
_ORG_VALUES = symbol_values(ORG_ALPHABET)
_ORG_CHECKS = np.frombuffer(b"0X987654321", dtype=np.uint8)  # by the sum modulo 11
_SYMBOLS = np.frombuffer(ALPHABET.encode(), dtype=np.uint8)
_SCHEMA = MappingProxyType({"value": pl.String(), "class": pl.String()})
_DIRT = r"[\s\p{Cf}'’‘`\"]"
_CERTIFICATE = r"^\p{Han}.*字.*号$"


class Uscc(ValueType):
    """``uscc``: read, classified, checked."""

    name = "uscc"
    extra_columns = MappingProxyType({"class": ColumnType.STRING})

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:
        """Check texts of 18 bytes as they are; fold and classify the rest."""
        given = without_tokens(text, context.null_tokens)
        work = rescue_columns(given, _fast, _slow, _SCHEMA, context.null_tokens)
        plain = reading_of(column, work, ("class",))
        missing = plain.value.is_null() & plain.extras["class"].is_null()
        label = pl.when(missing).then(pl.lit("missing")).otherwise(plain.extras["class"])
        return Reading(plain.value, plain.reason, {"class": label}, plain.prepare)


def _fast(texts: pl.Series) -> pl.DataFrame:
    good = is_uscc(texts)
    return pl.DataFrame({"text": texts, "good": good}).select(
        pl.when("good").then(pl.lit("uscc")).alias("class"),
        value=pl.when("good").then("text"),
        reason=pl.lit(None, pl.String),
    )


def _slow(texts: pl.Series) -> pl.DataFrame:
    clean = texts.str.normalize("NFKC").str.replace_all(_DIRT, "").str.to_uppercase()
    clean = clean.str.replace(r"^(\d{13}|\d{15})\.0$", "$1")
    text = pl.col("text")
    length = text.str.len_chars()
    kind = (
        pl.when("is_uscc")
        .then(pl.lit("uscc_normalised"))
        .when("is_regno15")
        .then(pl.lit("regno15"))
        .when(text.str.contains(r"^\d{13}$"))
        .then(pl.lit("regno13"))
        .when("is_orgcode")
        .then(pl.lit("orgcode9"))
        .when(text.str.contains(_CERTIFICATE))
        .then(pl.lit("cert_text"))
        .otherwise(pl.lit("bad"))
    )
    shaped = text.str.contains(r"^[0-9A-HJ-NP-RTUWXY]{2}\d{6}[0-9A-HJ-NP-RTUWXY]{10}$")
    wrong = pl.when(
        shaped | text.str.contains(r"^\d{15}$") | ((length == 9) & pl.col("is_org_like"))
    )
    frame = pl.DataFrame(
        {
            "text": clean,
            "is_uscc": is_uscc(clean),
            "is_regno15": is_regno15(clean),
            "is_orgcode": is_orgcode(clean.str.replace("-", "", literal=True)),
            "is_org_like": clean.str.contains(r"^[0-9A-Z]{8}[0-9X]$"),
        }
    )
    reason = wrong.then(pl.lit("checksum")).otherwise(pl.lit("format"))
    bad = pl.col("class") == "bad"
    return frame.with_columns(kind.alias("class")).select(
        "class", value=pl.when(~bad).then(text), reason=pl.when(bad).then(reason)
    )


def is_uscc(texts: pl.Series) -> pl.Series:
    """Which texts are codes by shape and check character (never null)."""
    return _by_bytes(texts, LENGTH, _uscc_rows)


def _uscc_rows(rows: Bytes) -> Flags:
    values = _VALUES[rows]
    known = (values < len(ALPHABET)).all(axis=1) & (values[:, 2:8] < 10).all(axis=1)
    check = _SYMBOLS[(31 - weighted_sum(values, WEIGHTS) % 31) % 31]
    good: Flags = known & (rows[:, -1] == check)
    return good


def is_orgcode(texts: pl.Series) -> pl.Series:
    """Which texts are nine-character organisation codes by GB 11714 (never null)."""
    return _by_bytes(texts, 9, _org_rows)


def _org_rows(rows: Bytes) -> Flags:
    values = _ORG_VALUES[rows[:, :8]]
    known = (values < len(ORG_ALPHABET)).all(axis=1)
    good: Flags = known & (rows[:, 8] == _ORG_CHECKS[weighted_sum(values, ORG_WEIGHTS) % 11])
    return good


def is_regno15(texts: pl.Series) -> pl.Series:
    """Which texts are 15-digit registration numbers by GB/T 17710 MOD 11,10 (never null)."""
    return _by_bytes(texts, 15, _regno_rows)


def _regno_rows(rows: Bytes) -> Flags:
    digits = rows.astype(np.int64) - ord("0")
    known = ((digits >= 0) & (digits <= 9)).all(axis=1)
    product = np.full(len(digits), 10, dtype=np.int64)
    for place in range(14):
        product = (product + digits[:, place]) % 10
        product = np.where(product == 0, 10, product) * 2 % 11
    good: Flags = known & ((product + digits[:, 14]) % 10 == 1)
    return good


def _by_bytes(texts: pl.Series, width: int, judge: Callable[[Bytes], Flags]) -> pl.Series:
    shaped = (texts.str.len_bytes() == width).fill_null(value=False)
    if shaped.all():
        return pl.Series("good", judge(byte_matrix(texts, width)), dtype=pl.Boolean)
    good = pl.repeat(value=False, n=len(texts), dtype=pl.Boolean, eager=True)
    if not shaped.any():
        return good
    found = pl.Series("good", judge(byte_matrix(texts.filter(shaped), width)), dtype=pl.Boolean)
    return good.scatter(shaped.arg_true(), found)
