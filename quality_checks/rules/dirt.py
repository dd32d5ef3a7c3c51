"""Rules about dirty values: mojibake, placeholders, numbers that stand for "unknown"."""

from __future__ import annotations

import polars as pl
from cityledger.contracts.model import ColumnType

from quality_checks.rules.base import Call, Example, row_rule
from quality_checks.rules.columns import unless_null

_MOJIBAKE = "|".join(
    (
        r"\x{FFFD}",  # the replacement character: bytes were lost before we saw the text
        r"[\x{A1}-\x{FF}]{3}",  # GBK bytes read as Latin-1: ÔÆ¸Û (no language has three in a row)
        r"[\x{80}-\x{9F}]",  # C1 controls: UTF-8 bytes read as Latin-1
        r"锟斤拷|烫烫|屯屯",  # replacement characters and debug memory, read as GBK
        r"[\x{E000}-\x{F8FF}]",  # private use: a code page's own characters
    )
)
PLACEHOLDERS = (
    *("N/A", "NA", "NULL", "null", "None", "nan", "NaN", "-", "--", "—", "——", "/", "\\", "*"),
    *("无", "未知", "不详", "暂无", "待定", "test", "测试", "xxx", "XXX"),
)
SENTINELS = (-999, -9999, 999, 9999, 99999, 999999, -1)


@row_rule(
    gb_code="0305",
    source="GB/T 36344 0305 脏数据出现率; 261 of 310,615 rows of a public register",
    example=Example(
        good={"a": ["云港区", "Café", "A1"]}, bad={"a": ["云\ufffd区", "ÔÆ¸ÛÇø", "锟斤拷"]}
    ),
)
def no_mojibake(call: Call) -> pl.Expr:
    """The text has no traces of a wrong decoding: U+FFFD, GBK or UTF-8 read as Latin-1."""
    return unless_null(call.value, ~call.value.str.contains(_MOJIBAKE))


@row_rule(
    gb_code="0305",
    source="GB/T 36344 0305; a public register has N/A in 52,214 capitals of 310,615",
    optional=("values",),
    example=Example(good={"a": ["云港区"]}, bad={"a": ["暂无", "N/A"]}),
)
def no_placeholder(call: Call) -> pl.Expr:
    """The text is no stand-in for a missing value: ``values``, or the usual ones."""
    return unless_null(call.value, ~call.value.is_in(list(call.get("values", PLACEHOLDERS))))


@row_rule(
    gb_code="0305",
    source="GB/T 36344 0305; 999 as a missing measurement",
    optional=("values",),
    example=Example(good={"a": [12, 998]}, bad={"a": [999, -999]}),
)
def no_sentinel(call: Call) -> pl.Expr:
    """The number is no code for "unknown": ``values``, or the usual ones (999, -999, -1 …)."""
    if call.types[call.column] not in (ColumnType.INTEGER, ColumnType.NUMBER):
        raise call.refuse(f"'{call.column}' is no number", "use no_placeholder for texts")
    wanted = [float(value) for value in call.get("values", SENTINELS)]
    return unless_null(call.value, ~call.value.cast(pl.Float64).is_in(wanted))
