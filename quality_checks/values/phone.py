"""``phone``: mainland telephone numbers in one spelling.

| kind | text | value |
|---|---|---|
| mobile | ``138 0013 8000``, ``+86-13800138000``, ``13800138000.0`` | ``13800138000`` |
| landline | ``(0571)88888888``, ``057188888888`` | ``0571-88888888`` |
| extension | ``0571-88888888转801`` | ``0571-88888888-801`` |
| local landline | ``88888888`` | ``88888888`` |
| service | ``4001234567``, ``12345``, ``96110`` | digits |

Reason code: ``format``; also for ``1.38E+10``, whose digits a spreadsheet has lost.
"""

from __future__ import annotations

import polars as pl
from cityledger.contracts.model import Column

from quality_checks.values.base import Context, Reading, ValueType, reading_of, rescue

_MOBILE = r"^1[3-9]\d{9}$"
_AREA = r"(0(?:10|2\d|[3-9]\d{2}))"
_LANDLINE = rf"^{_AREA}-?([2-9]\d{{6,7}})(?:-(\d{{1,6}}))?$"
_PLAIN = r"^(?:[48]00\d{7}|[2-9]\d{6,7}|1[012]\d{1,3}|9[56]\d{3,4})$"


class Phone(ValueType):
    """``phone``: mobile, landline or service number."""

    name = "phone"

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:
        """Eleven digits that start like a mobile pass as they are."""
        fast = {
            "value": pl.when((text.str.len_bytes() == 11) & text.str.contains(_MOBILE)).then(text)
        }
        work = rescue(text, fast, _slow, {"value": pl.String()}, context.null_tokens)
        return reading_of(column, work)


def _slow(texts: pl.Series) -> pl.DataFrame:
    clean = (
        texts.str.normalize("NFKC")
        .str.replace_all(r"[\s()\p{Cf}]", "")
        .str.replace_all(r"[—–－]|转|分机", "-")
        .str.replace(r"^(?:\+|00)86-?", "")
        .str.replace(r"^(\d+)\.0$", "$1")
    )
    text = pl.col("text")
    bare = text.str.replace_all("-", "", literal=True)
    part = text.str.replace(rf"^{_AREA}-?(\d{{3,4}})-(\d{{4}})$", "${1}-${2}${3}")
    groups = part.str.extract_groups(_LANDLINE).struct
    value = (
        pl.when(bare.str.contains(_MOBILE) | bare.str.contains(_PLAIN))
        .then(bare)
        .when(part.str.contains(_LANDLINE))
        .then(pl.concat_str([groups.field(n) for n in "123"], separator="-", ignore_nulls=True))
    )
    reason = pl.when(value.is_null()).then(pl.lit("format"))
    return pl.DataFrame({"text": clean}).select(value=value, reason=reason)
