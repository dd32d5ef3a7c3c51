"""``sex``: GB/T 2261.1 codes: 0 unknown, 1 male, 2 female, 9 not stated.

ISO/IEC 5218 reads 9 as "not applicable", which is not the same.
``男``, ``男性``, ``M``, ``1``, ``01``, ``1.0``, ``女 ``, ``Ｆ`` and the codes' names are read.
Reason code: ``format``.
"""

from __future__ import annotations

import polars as pl
from cityledger.contracts.model import Column

from quality_checks.values.base import (
    Context,
    Reading,
    ValueType,
    reading_of,
    rescue,
)

CODES = ("0", "1", "2", "9")
_SPELLINGS = {
    **dict.fromkeys(("0", "未知", "不详", "未知的性别", "U", "UNKNOWN"), "0"),
    **dict.fromkeys(("1", "男", "男性", "男士", "M", "MALE"), "1"),
    **dict.fromkeys(("2", "女", "女性", "女士", "F", "FEMALE"), "2"),
    **dict.fromkeys(("9", "未说明", "未说明的性别"), "9"),
}


class Sex(ValueType):
    """``sex``: one of four codes."""

    name = "sex"

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:
        """Codes pass as they are; other spellings are looked up."""
        fast = {"value": pl.when(text.is_in(CODES)).then(text)}
        work = rescue(text, fast, _slow, {"value": pl.String()}, context.null_tokens)
        return reading_of(column, work)


def _slow(texts: pl.Series) -> pl.DataFrame:
    clean = texts.str.normalize("NFKC").str.replace_all(r"\s", "").str.to_uppercase()
    clean = clean.str.replace(r"^0?(\d)(?:\.0)?$", "$1")
    value = pl.col("text").replace_strict(_SPELLINGS, default=None, return_dtype=pl.String)
    reason = pl.when(value.is_null()).then(pl.lit("format"))
    return pl.DataFrame({"text": clean}).select(value=value, reason=reason)
