"""Yes or no, in the spellings that departments use: 是/否, Y/N, 1/0, true/false, 有/没有, √/×."""

from __future__ import annotations

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

_TRUE = ("1", "true", "t", "yes", "y", "是", "有", "对", "√")
_FALSE = ("0", "false", "f", "no", "n", "否", "没有", "不", "×")


def _judge(text: pl.Expr) -> pl.Expr:
    return pl.when(text.is_in(_TRUE)).then(True).when(text.is_in(_FALSE)).then(False)


def _slow(texts: pl.Series) -> pl.DataFrame:
    clean = texts.str.normalize("NFKC").str.strip_chars().str.to_lowercase().str.strip_suffix(".0")
    value = _judge(pl.col("text"))
    reason = pl.when(value.is_null()).then(pl.lit("format"))
    return pl.DataFrame({"text": clean}).select(value=value, reason=reason)


class Boolean(ValueType):
    """``boolean``. ``无`` is no spelling of false: most extracts mean "not recorded" by it."""

    name = "boolean"
    logical_types = (ColumnType.BOOLEAN,)

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:
        """Look the text up; fold case and width only where that fails."""
        given = without_tokens(text, context.null_tokens)
        fast = {"value": _judge(given)}
        work = rescue(given, fast, _slow, {"value": pl.Boolean()}, context.null_tokens)
        return reading_of(column, work)
