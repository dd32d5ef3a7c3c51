"""Rules about dirty values: mojibake, placeholders, shifted rows, personal data in free text."""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl
from cityledger.contracts.model import ColumnType, Scope

from quality_checks.rules.base import Call, Example, row_rule
from quality_checks.rules.columns import unless_null, whole_text

_MOJIBAKE = "|".join(
    (
        r"\x{FFFD}",  # the replacement character: bytes were lost before we saw the text
        r"[\x{A1}-\x{FF}]{3}",  # GBK bytes read as Latin-1: ÔÆ¸Û (no language has three in a row)
        r"[\x{80}-\x{9F}]",  # C1 controls: UTF-8 bytes read as Latin-1
        # hanzi in UTF-8 whose bytes hold A0 and no C1: two in a row, for é\u00a0» is good French
        r"(?:[\x{E4}-\x{E9}][\x{80}-\x{BF}]{2}){2}",
        r"锟斤拷|烫烫|屯屯",  # replacement characters and debug memory, read as GBK
        r"[\x{E000}-\x{F8FF}]",  # private use: a code page's own characters
    )
)


def _second_halves() -> str:
    """Characters that GB 18030 makes of the first two bytes of a hanzi in UTF-8."""
    pairs = (bytes([lead, trail]) for lead in range(0xE4, 0xEA) for trail in range(0x80, 0xC0))
    return "".join(sorted(pair.decode("gb18030") for pair in pairs))


_UTF8_AS_GBK = f"[{_second_halves()}]"
_HANZI = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef\x20-\x7e]+")
PLACEHOLDERS = (
    *("N/A", "NA", "NULL", "null", "None", "nan", "NaN", "-", "--", "—", "——", "/", "\\", "*"),
    *("无", "未知", "不详", "暂无", "待定", "test", "测试", "xxx", "XXX"),
)
SENTINELS = (-999, -9999, 999, 9999, 99999, 999999, -1)


@row_rule(
    gb_code="0305",
    source="GB/T 36344 0305 脏数据出现率; 261 of 310,615 rows of a public register",
    example=Example(
        good={"a": ["云港区", "Café", "A1", "渝北区"]},
        bad={"a": ["云\ufffd区", "ÔÆ¸ÛÇø", "锟斤拷", "浜戞腐鍖哄競"]},
    ),
)
def no_mojibake(call: Call) -> pl.Expr:
    """The text has no traces of a wrong decoding: U+FFFD, GBK or UTF-8 read as Latin-1 or GBK."""
    swapped = call.value.map_batches(_read_as_gbk, return_dtype=pl.Boolean, is_elementwise=True)
    return unless_null(call.value, ~(call.value.str.contains(_MOJIBAKE) | swapped))


def _read_as_gbk(texts: pl.Series) -> pl.Series:
    """Which texts are UTF-8 that was read as GBK: read back, they are Chinese.

    Few clean texts hold one of the suspicious characters at all; each of those is tried once.
    """
    suspects = texts.str.contains(_UTF8_AS_GBK).fill_null(value=False)
    if not suspects.any():
        return pl.repeat(value=False, n=len(texts), dtype=pl.Boolean, eager=True)
    wrong = [text for text in texts.filter(suspects).unique() if _is_swapped(text)]
    return texts.is_in(wrong).fill_null(value=False)


def _is_swapped(text: str) -> bool:
    try:
        back = text.encode("gb18030").decode("utf-8")
    except UnicodeError:
        return False
    return len(text) > 1 and back != text and _HANZI.fullmatch(back) is not None


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


@row_rule(
    gb_code="0305",
    source="GB/T 36344 0305 (shifted rows); 218 rows of a public register have columns permuted",
    required=("patterns",),
    skips_null=False,
    least_columns=2,
    scopes=(Scope.ROW,),
    element="row",
    example=Example(
        good={"a": ["990102", "9901x"], "b": ["云港区", "松溪区"], "c": ["x", "y"]},
        bad={"a": ["云港区"], "b": ["990102"], "c": ["x"]},
        arguments={"patterns": {"a": r"\d{6}", "b": r"\p{Han}+"}},
    ),
)
def not_shifted(call: Call) -> pl.Expr:
    """The cells stand in their own columns: no two of them look like another column's.

    ``patterns`` gives the shape of some columns. A row is shifted when at least two of the rule's
    columns hold what they can't (no match, or a reason why it could not be read), and one of these
    cells has the shape of another column. What belongs where is not guessed.
    """
    patterns = _patterns(call)
    foreign = [
        ~_matches(name, own) & pl.any_horizontal(_matches(name, p) for p in _others(patterns, name))
        for name, own in patterns.items()
    ]
    wrong = [_misfits(name, patterns) for name in call.spec.columns]
    several = pl.sum_horizontal(bad.cast(pl.Int32) for bad in wrong) >= 2
    return ~(several & pl.any_horizontal(foreign)).fill_null(value=False)


def _patterns(call: Call) -> Mapping[str, str]:
    given = call.get("patterns")
    if not isinstance(given, Mapping) or len(given) < 2:
        raise call.refuse("`patterns` needs two columns at least", "write {column: pattern, …}")
    for name in given:
        if name not in call.spec.columns or call.types[name] is not ColumnType.STRING:
            raise call.refuse(f"'{name}' is no text column of the rule", "correct `patterns`")
    return {str(name): whole_text(call, str(pattern)) for name, pattern in given.items()}


def _others(patterns: Mapping[str, str], name: str) -> list[str]:
    return [pattern for other, pattern in patterns.items() if other != name]


def _matches(name: str, pattern: str) -> pl.Expr:
    return pl.col(name).str.contains(pattern)


def _misfits(name: str, patterns: Mapping[str, str]) -> pl.Expr:
    if name in patterns:
        return (~_matches(name, patterns[name])).fill_null(value=False)
    return pl.col(f"__reason__{name}").is_not_null()


_PERSONAL_NUMBERS = (
    r"[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]",  # GB 11643
    r"1[3-9]\d{9}",  # mobile phone
    r"62\d{14,17}",  # UnionPay card
)


@row_rule(
    gb_code="0106",
    source="GB/T 36344 0106 安全规范; GB/T 35273: personal data does not belong into free text",
    example=Example(
        good={"a": ["路灯不亮", "工单 202603150001", "电话 138****8000"]},
        bad={"a": ["电话13800138000", "身份证 11010519491231002X", "卡6222020200112233445"]},
    ),
)
def no_personal_numbers(call: Call) -> pl.Expr:
    """The text holds no citizen id, mobile phone or bank card number in clear."""
    alone = rf"(?:^|\D)(?:{'|'.join(_PERSONAL_NUMBERS)})(?:\D|$)"
    return unless_null(call.value, ~call.value.str.contains(alone))
