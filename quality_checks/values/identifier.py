"""``identifier``: codes that only look like numbers (school codes, account numbers).

Spreadsheets turn them into floats: ``4111010001.0`` becomes ``4111010001`` again. What
a spreadsheet wrote as ``4.11E+09`` is lost: reason ``format``. Leading zeros that were dropped come
back only if the contract says how long the code is (option ``zeroPad``).
"""

from __future__ import annotations

import polars as pl
from cityledger.contracts.model import Column

from quality_checks.values.base import Context, Reading, ValueType
from quality_checks.values.text import stripped

_FLOAT = r"^(\d+)\.0+$"
_SCIENTIFIC = r"^\d(?:\.\d+)?[eE]\+?\d{1,3}$"


class Identifier(ValueType):
    """``identifier``: text with the traces of spreadsheets taken off."""

    name = "identifier"
    options = ("zeroPad",)

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:
        """Strip, cut ``.0``, pad if told to."""
        clean = stripped(text, context.null_tokens)
        float_like = clean.str.ends_with("0") & clean.str.contains(".", literal=True)
        value = pl.when(float_like).then(clean.str.replace(_FLOAT, "$1")).otherwise(clean)
        length = column.options.get("zeroPad")
        if length is not None:
            digits = value.str.contains(r"^\d+$")
            value = pl.when(digits).then(value.str.zfill(int(length))).otherwise(value)
        lost = clean.str.contains("+", literal=True) & clean.str.contains(_SCIENTIFIC)
        lost = lost.fill_null(value=False)
        reason = pl.when(lost).then(pl.lit("format"))
        return Reading(pl.when(~lost).then(value), reason)
