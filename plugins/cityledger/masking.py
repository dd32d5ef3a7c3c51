"""What of a value may be shown to somebody who has no business with the person behind it.

A column's classification decides whether anything is hidden, its kind decides what stays visible.
Both come from the contract; a value that does not look like its column's kind is hidden whole, so
the rows that need masking most (shifted, mistyped, unreadable) can't slip through.

| kind | shown | after |
|---|---|---|
| name | surname, stars: ``张*``, ``欧阳**`` | GB/T 35273 |
| citizen_id | first and last character | stricter than the usual 6 + 4, which tells the area |
| phone | ``138****5678``; landline: area code and last two digits | GB/T 35273 |
| bank_card | first 6, last 4 (only with a fitting check digit) | JR/T 0171 |
| address | down to district and street office | GB/T 37964, generalisation |
| birth_date | year | GB/T 37964, generalisation |
| e_mail | first character and domain | |
| plate | ``粤B·***12`` | |
| document | first character (passport, insurance number) | |
| anything else | nothing | |

``sensitive`` columns show something for a citizen id and a bank card only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import polars as pl

    from cityledger.contracts.model import Column, Contract

#: Stands for a value of which nothing is shown; its length says nothing about the value's.
HIDDEN: Final = "****"

_OPEN: Final = frozenset({"public", "internal"})
#: Columns that we put beside the department's own; an underscore alone could be anybody's.
_OURS: Final = frozenset(
    {"_row_id", "_source_object", "_source_row", "_rules", "_delivery", "_partition", "_contract"}
)
_SENSITIVE_KINDS: Final = frozenset({"citizen_id", "bank_card"})

_CITIZEN_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_HAN: Final = "\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af"
_COMPOUND: Final = (
    "欧阳司马上官诸葛夏侯东方皇甫尉迟公孙慕容令狐司徒司空长孙宇文轩辕独孤南宫端木百里东郭西门呼延申屠公冶太史淳于濮阳钟离闾丘"
    "鲜于亓官仲孙公羊赫连澹台宗政万俟闻人单于太叔段干拓跋第五纳兰完颜叶赫"
)
_COMPOUND_SURNAMES: Final = frozenset(_COMPOUND[at : at + 2] for at in range(0, len(_COMPOUND), 2))
# Signs that people put between the digits of a number; never a point, or decimals would count.
_BETWEEN: Final = r"[ \t\u00a0\u3000'’`\-\u2010-\u2015\u200b-\u200f\ufeff]"
_IGNORED: Final = re.compile(r"[\s'’`\"\u200b-\u200f\ufeff]")

_PLATE: Final = (
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z][·•\s-]?"
    r"[A-HJ-NP-Z0-9]{4,5}[A-HJ-NP-Z0-9挂学警港澳]"
)
_E_MAIL: Final = r"[A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9.\-]{1,253}\.[A-Za-z]{2,24}"
_MOBILE: Final = r"(?:(?:00|\+)?86)?1[3-9]\d{9}"
_AREA_CODE: Final = r"0(?:10|2\d|[3-9]\d{2})"
_LANDLINE: Final = rf"{_AREA_CODE}-?[2-9]\d{{6,7}}(?:-?\d{{1,6}})?"

# --- columns -----------------------------------------------------------------------------------


def mask(value: str | None, column: Column) -> str:
    """What may be shown of a value.

    Args:
        value: The text as the department wrote it.
        column: Says how the value is classified and what kind it is.

    Returns:
        Empty for None and for blank text. A null token of the column stays: it holds no person.
    """
    if value is None or not value.strip():
        return ""
    if value in column.null_tokens:
        return value
    if column.classification in _OPEN:
        return value if _vouched(value, column) else scrub(value)
    kind = kind_of(column)
    if column.classification == "sensitive" and kind not in _SENSITIVE_KINDS:
        return HIDDEN
    show = _SHOWN.get(kind) if column.classification in {"personal", "sensitive"} else None
    return (show(_folded(value)) if show else None) or HIDDEN


def mask_frame(frame: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Mask every column by its contract; all of them become text.

    A column that the contract does not know is hidden whole, except our own (row ids, line
    numbers, broken rules), which pass through. Nulls stay null.
    """
    columns = {column.name: _with_tokens(column, contract) for column in contract.columns}
    return frame.with_columns(
        _mask_series(frame[name], columns.get(name)) for name in frame.columns if name not in _OURS
    )


@lru_cache(maxsize=4096)
def _kind_by_names(name: str, business_name: str) -> str:
    for kind, pattern in _KINDS.items():
        if pattern.search(business_name) or pattern.search(name):
            return kind
    return ""


def kind_of(column: Column) -> str:
    """Which row of the table above a column belongs to; empty for none."""
    if column.semantic_type in {"citizen_id", "phone"}:
        return column.semantic_type
    if column.semantic_type in {None, "string", "identifier", "chinese_date", "date"}:
        return _kind_by_names(column.name, column.business_name)
    return ""


def _with_tokens(column: Column, contract: Contract) -> Column:
    return replace(column, null_tokens=(*column.null_tokens, *contract.null_tokens))


def _mask_series(values: pl.Series, column: Column | None) -> pl.Series:
    # Late: messages are scrubbed in processes that never see a frame.
    import polars as pl

    texts = values.cast(pl.String, strict=False)
    shown = {
        text: HIDDEN if column is None else mask(text, column)
        for text in texts.unique().drop_nulls()
    }
    return pl.Series(values.name, [shown.get(text) for text in texts], dtype=pl.String)


def _vouched(value: str, column: Column) -> bool:
    """Whether an open column's own shape explains the value, so that nobody's number is in it."""
    if is_citizen_id(_folded(value)):
        return False
    if column.enum:
        return value in column.enum
    if column.semantic_type in _OPEN_SHAPES:
        return _OPEN_SHAPES[column.semantic_type].fullmatch(value) is not None
    if (pattern := column.options.get("pattern")) is not None:
        return _matches(str(pattern), value)
    shape = _TYPE_SHAPES.get(str(column.type))
    return shape is not None and shape.fullmatch(value) is not None


def _matches(pattern: str, value: str) -> bool:
    if _LOOSE.search(pattern):
        return False
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:  # written for another dialect of regular expressions
        return False


# A pattern with wildcards says nothing about what is in the text.
_LOOSE: Final = re.compile(r"(?<!\\)\.|\\[wWSD]")
# Of telephone numbers in open columns only an office's: a mobile number is somebody's.
_OPEN_SHAPES: Final[Mapping[str | None, re.Pattern[str]]] = MappingProxyType(
    {
        "uscc": re.compile(r"[0-9A-HJ-NPQRTUWXY]{2}\d{6}[0-9A-HJ-NPQRTUWXY]{10}"),
        "phone": re.compile(rf"\(?{_AREA_CODE}[-)]?[2-9]\d{{6,7}}(?:-\d{{1,6}})?"),
    }
)
_TYPE_SHAPES: Final = MappingProxyType(
    {
        "integer": re.compile(r"[+-]?\d{1,10}(?:\.0+)?"),
        "number": re.compile(r"[+-]?\d{1,10}(?:\.\d*)?"),
        "date": re.compile(r"(?:19|20)\d{2}[-/.年]?\d{1,2}[-/.月]?\d{1,2}日?"),
        "timestamp": re.compile(r"(?:19|20)\d{2}[-/.]?\d{2}[-/.]?\d{2}[ T]?\d{2}:?\d{2}:?\d{2}"),
    }
)

# --- kinds -------------------------------------------------------------------------------------

_KINDS: Final[Mapping[str, re.Pattern[str]]] = MappingProxyType(
    {
        "citizen_id": re.compile(r"身份证|公民身份号码|(?:^|_)(?:citizen_id|id_card)(?:_|$)"),
        "bank_card": re.compile(r"银行卡|银行账号|(?:^|_)bank_card(?:_|$)"),
        "phone": re.compile(r"电话|手机|来电号码|(?:^|_)(?:phone|mobile|telephone)(?:_|$)"),
        "e_mail": re.compile(r"邮箱|电子邮件|(?:^|_)e_?mail(?:_|$)"),
        "plate": re.compile(r"车牌|号牌号码|(?:^|_)(?:plate|plate_no)$"),
        "document": re.compile(r"护照|医保号|医保卡号|社保卡号|(?:^|_)passport(?:_|$)"),
        "birth_date": re.compile(r"出生日期|出生年月|生日|(?:^|_)(?:birth_date|birthday)$"),
        "address": re.compile(r"住址|地址|(?:^|_)address$"),
        "name": re.compile(
            r"姓名$|法定代表人$|法人代表$|联系人$|负责人$|经办人$|监护人$|户主$|申请人$"
            r"|(?:^|_)(?:person|patient|contact|full|student|owner)_name$|legal_representative$"
        ),
    }
)


def _name(text: str) -> str | None:
    if re.fullmatch(rf"[{_HAN}]{{1,10}}(?:[·•.][{_HAN}]{{1,10}})+", text):
        return f"{text[0]}**"
    if not re.fullmatch(rf"[{_HAN}]{{2,4}}", text):
        return None
    visible = 2 if len(text) > 2 and text[:2] in _COMPOUND_SURNAMES else 1
    return text[:visible] + "*" * (len(text) - visible)


def _citizen_id(text: str) -> str | None:
    if not re.fullmatch(r"[1-9](?:\d{14}|\d{16}[\dXx])", text):
        return None
    return text[0] + "*" * (len(text) - 2) + text[-1].upper()


def _phone(text: str) -> str | None:
    digits = re.sub(rf"{_BETWEEN}|[()]", "", text)
    if re.fullmatch(_MOBILE, digits):
        return f"{digits[-11:-8]}****{digits[-4:]}"
    if found := re.fullmatch(rf"({_AREA_CODE})[2-9]\d{{6,7}}", digits):
        return f"{found[1]}-******{digits[-2:]}"
    return None


def _bank_card(text: str) -> str | None:
    digits = re.sub(_BETWEEN, "", text)
    if not re.fullmatch(r"\d{15,19}", digits) or not fits_luhn(digits):
        return None
    return digits[:6] + "*" * (len(digits) - 10) + digits[-4:]


def _e_mail(text: str) -> str | None:
    if not re.fullmatch(_E_MAIL, text):
        return None
    return f"{text[0]}***@{text.rpartition('@')[2]}"


def _plate(text: str) -> str | None:
    if not re.fullmatch(_PLATE, text.upper()):
        return None
    return f"{text[:2].upper()}·***{text[-2:]}"


def _document(text: str) -> str | None:
    return text[0] + HIDDEN if re.fullmatch(r"[A-Za-z0-9]{6,20}", text) else None


def _birth_date(text: str) -> str | None:
    found = re.fullmatch(
        r"((?:18|19|20)\d{2})(?:[-/.年]\d{1,2}[-/.月]\d{1,2}日?|\d{4})(?:[ T][\d:.]*)?", text
    )
    return f"{found[1]}-**-**" if found else None


# 小区, 园区 and the like are where somebody lives or works, not a district.
_NO_DISTRICT: Final = r"(?<![小社校园厂院库营景苑]区)(?<!(?:生活|住宅|家属|别墅|宿舍|公寓)区)"
_ADDRESS: Final = re.compile(
    rf"(?:(?:[{_HAN}]{{2,8}}?(?:省|自治区)(?:[{_HAN}]{{2,6}}?(?:市|自治州|地区|盟))?)"
    rf"|[{_HAN}]{{2,6}}?市)"
    rf"[{_HAN}]{{1,6}}?(?:区{_NO_DISTRICT}|县|旗|市)"
    rf"(?:[{_HAN}]{{2,6}}?(?:街道|镇|乡))?"
)


def _address(text: str) -> str | None:
    found = _ADDRESS.match(text)
    return found[0] + HIDDEN if found else None


_SHOWN: Final[Mapping[str, Callable[[str], str | None]]] = MappingProxyType(
    {
        "name": _name,
        "citizen_id": _citizen_id,
        "phone": _phone,
        "bank_card": _bank_card,
        "e_mail": _e_mail,
        "plate": _plate,
        "document": _document,
        "birth_date": _birth_date,
        "address": _address,
    }
)

# --- free text ---------------------------------------------------------------------------------

#: Most groups of digits that are looked at as one number (a card number is written in five).
_MOST_GROUPS: Final = 7
_DIGITS: Final = re.compile(rf"\d+(?:{_BETWEEN}{{1,2}}\d+)*(?:{_BETWEEN}?[Xx](?![A-Za-z0-9]))?")
_GROUP: Final = re.compile(r"\d+")
_SHAPES: Final = (
    re.compile(_E_MAIL),
    re.compile(_PLATE),
    # What a spreadsheet leaves of a long number: "1.10105194912310E+17".
    re.compile(r"\d\.\d{5,}[Ee]\+?1\d"),
)


def scrub(text: str) -> str:
    """Hide what looks like somebody's number in free text, e.g. in a message.

    Citizen ids and bank cards (any number of 15 digits and more, also in groups), telephone
    numbers, e-mail addresses, number plates. Names can't be told from other words: a text that may
    hold names has to be hidden whole (:func:`mask` does it for personal columns).
    """
    plain = _one_to_one(text)
    spans = [found.span() for shape in _SHAPES for found in shape.finditer(plain)]
    for run in _DIGITS.finditer(plain):
        spans.extend(_numbers(run))
    return _without(text, sorted(spans))


def _numbers(run: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Spans within a run of digit groups that are somebody's number."""
    groups = list(_GROUP.finditer(run.string, run.start(), run.end()))
    ends_in_x = run[0][-1] in "Xx"
    at = 0
    while at < len(groups):
        last = _longest(groups, at, ends_in_x=ends_in_x)
        if last is None:
            at += 1
            continue
        whole = last == len(groups) - 1
        yield groups[at].start(), run.end() if whole else groups[last].end()
        at = last + 1


def _longest(groups: list[re.Match[str]], at: int, *, ends_in_x: bool) -> int | None:
    for last in range(min(len(groups), at + _MOST_GROUPS) - 1, at - 1, -1):
        digits = "".join(group[0] for group in groups[at : last + 1])
        x = ends_in_x and last == len(groups) - 1
        if _is_personal(digits, x=x, alone=last == at):
            return last
    return None


def _is_personal(digits: str, *, x: bool, alone: bool) -> bool:
    if len(digits) + x >= 15 and (alone or len(digits) <= 19):
        return True
    return bool(re.fullmatch(_MOBILE, digits) or re.fullmatch(_LANDLINE, digits))


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    parts, at = [], 0
    for start, end in spans:
        if start >= at:
            parts.append(text[at:start] + HIDDEN)
        at = max(at, end)
    return "".join(parts) + text[at:]


# --- spelling and check digits -----------------------------------------------------------------


def _one_to_one(text: str) -> str:
    """Full-width signs as ASCII, in the same places."""
    if text.isascii():
        return text
    return "".join(_plain_character(character) for character in text)


@lru_cache(maxsize=4096)
def _plain_character(character: str) -> str:
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    plain = unicodedata.normalize("NFKC", character)
    return plain if len(plain) == 1 else character


def _folded(value: str) -> str:
    return _IGNORED.sub("", unicodedata.normalize("NFKC", value))


def is_citizen_id(text: str) -> bool:
    """A number of GB 11643 whose check character fits: a USCC of digits may have its shape only."""
    if not re.fullmatch(r"[1-9]\d{5}(?:18|19|20)\d{9}[\dXx]", text):
        return False
    total = sum(int(digit) * w for digit, w in zip(text[:17], _CITIZEN_WEIGHTS, strict=True))
    return "10X98765432"[total % 11] == text[17].upper()


def fits_luhn(digits: str) -> bool:
    """The check digit of bank cards (ISO/IEC 7812)."""
    values = [int(digit) for digit in reversed(digits)]
    doubled = (sum(divmod(2 * value, 10)) for value in values[1::2])
    return (sum(values[::2]) + sum(doubled)) % 10 == 0
