"""How people write days: ISO 8601 / GB/T 7408.1 and everything departments put beside it.

One text goes in, a day with its precision comes out. Slow on purpose: it only meets the distinct
texts that no fixed format could read.

| spelling | day | precision |
|---|---|---|
| ``2024-3-5`` ``2024/3/5`` ``2024.3.5`` ``20240305`` ``2024年3月5日`` | 2024-03-05 | day |
| ``二〇二四年三月五日`` | 2024-03-05 | day |
| ``2024-W10-2`` (ISO week) ``45356`` (Excel, 1900 epoch) ``民国113年3月5日`` | 2024-03-05 | day |
| ``2024年3月`` ``2024-03`` ``202403`` | 2024-03-01 | month |
| ``2024年第一季度`` ``2024Q1`` | 2024-01-01 | quarter |
| ``2024年上半年`` | 2024-01-01 | half |
| ``2024年`` ``2024年度`` ``2024`` | 2024-01-01 | year |
| ``2024年1-3月`` (from January on) | 2024-03-01 | cumulative |
| ``至今`` ``长期`` ``9999-12-31`` | 9999-12-31 | open |
| ``1900-01-01`` ``1970-01-01`` ``0000-00-00`` (null-like) | none | none |

A period is stored by its first day, a cumulative one by the first day of its last month. Not read:
two-digit years and ``1-3月`` without a year (reason ``year``), ``2024.3`` (a spreadsheet turns
2024.10 into 2024.1, so the month is not certain: ``format``), days that don't exist (``calendar``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

OPEN_END = date(9999, 12, 31)
NULL_LIKE = (date(1900, 1, 1), date(1970, 1, 1))

_OPEN_WORDS = frozenset({"至今", "长期", "长期有效", "永久", "无固定期限"})
_EXCEL_EPOCH = date(1899, 12, 30)
_EXCEL_DAYS = range(20_000, 80_000)  # 1954 to 2119: other numbers are no days
_HAN_DIGITS = {char: str(digit) for digit, char in enumerate("〇一二三四五六七八九")} | {
    "零": "0",
    "○": "0",
}
_HAN_RUN = re.compile(r"[〇零○一二三四五六七八九十]+")
_MIDNIGHT = re.compile(r"[T ]0{1,2}:00(?::00(?:\.0+)?)?$")
_CLOCK = re.compile(r"[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?$")


class Day(NamedTuple):
    """What a text says: a day with its precision, or a reason; neither when null-like."""

    value: date | None = None
    precision: str | None = None
    reason: str | None = None


Handler = Callable[[re.Match[str]], Day]


def read_day(text: str) -> Day:
    """Read one text."""
    clean = re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text)).strip()
    if clean in _OPEN_WORDS:
        return Day(OPEN_END, "open")
    clean = _MIDNIGHT.sub("", clean)
    if _CLOCK.search(clean):
        return Day(reason="precision")
    clean = _HAN_RUN.sub(_arabic, clean.replace(" ", ""))
    for pattern, handler in _SPELLINGS:
        match = pattern.fullmatch(clean)
        if match:
            return _read(handler, match)
    return Day(reason="format")


def _read(handler: Handler, match: re.Match[str]) -> Day:
    try:
        day = handler(match)
    except (ValueError, OverflowError):
        return Day(reason="calendar")
    if day.precision == "day" and day.value in NULL_LIKE:
        return Day()
    if day.value == OPEN_END:
        return Day(OPEN_END, "open")
    return day


def _arabic(match: re.Match[str]) -> str:
    """Chinese digits in a row, or a number up to 99 with 十."""
    run = match[0]
    if "十" not in run:
        return "".join(_HAN_DIGITS[char] for char in run)
    tens, _, ones = run.partition("十")
    if len(tens) > 1 or len(ones) > 1:
        return run
    return _HAN_DIGITS.get(tens, "1") + _HAN_DIGITS.get(ones, "0")


def _day(match: re.Match[str]) -> Day:
    year, month, day = (int(part) for part in match.groups())
    if year < 1000:
        return Day(reason="year")
    return Day(date(year, month, day), "day")


def _month(match: re.Match[str]) -> Day:
    return Day(date(int(match[1]), int(match[2]), 1), "month")


def _quarter(match: re.Match[str]) -> Day:
    return Day(date(int(match[1]), int(match[2]) * 3 - 2, 1), "quarter")


def _half(match: re.Match[str]) -> Day:
    return Day(date(int(match[1]), 1 if match[2] == "上" else 7, 1), "half")


def _year(match: re.Match[str]) -> Day:
    return Day(date(int(match[1]), 1, 1), "year")


def _cumulative(match: re.Match[str]) -> Day:
    return Day(date(int(match[1]), int(match[2]), 1), "cumulative")


def _republic(match: re.Match[str]) -> Day:
    year, month, day = 1911 + int(match[1]), match[2], match[3]
    if day:
        return Day(date(year, int(month), int(day)), "day")
    if month:
        return Day(date(year, int(month), 1), "month")
    return Day(date(year, 1, 1), "year")


def _week(match: re.Match[str]) -> Day:
    return Day(date.fromisocalendar(int(match[1]), int(match[2]), int(match[3])), "day")


def _excel(match: re.Match[str]) -> Day:
    serial = int(match[1])
    if serial not in _EXCEL_DAYS:
        return Day(reason="format")
    return Day(_EXCEL_EPOCH + timedelta(days=serial), "day")


def _nothing(_: re.Match[str]) -> Day:
    return Day()


def _no_year(_: re.Match[str]) -> Day:
    return Day(reason="year")


_Y = r"([12]\d{3})"
_SPELLINGS: tuple[tuple[re.Pattern[str], Handler], ...] = tuple(
    (re.compile(pattern), handler)
    for pattern, handler in (
        (r"0{4}[-/.]?0{2}[-/.]?0{2}", _nothing),
        (rf"{_Y}-(\d{{1,2}})-(\d{{1,2}})", _day),
        (r"9999([-/.]?)12\1-?31", lambda _: Day(OPEN_END, "open")),
        (rf"{_Y}/(\d{{1,2}})/(\d{{1,2}})", _day),
        (rf"{_Y}\.(\d{{1,2}})\.(\d{{1,2}})", _day),
        (rf"{_Y}年(\d{{1,2}})月(\d{{1,2}})[日号]?", _day),
        (rf"{_Y}(\d\d)(\d\d)(?:\.0)?", _day),
        (rf"{_Y}-?W(\d\d)-?([1-7])", _week),
        (rf"{_Y}(?:年第?|-?Q|年Q)([1-4])(?:季度?)?", _quarter),
        (rf"{_Y}年?([上下])半年", _half),
        (rf"{_Y}年1[-~—至到](\d{{1,2}})月", _cumulative),
        (rf"{_Y}[-/](\d{{1,2}})", _month),
        (rf"{_Y}年(\d{{1,2}})月份?", _month),
        (rf"{_Y}(0[1-9]|1[0-2])(?:\.0)?", _month),
        (rf"{_Y}(?:年度?|\.0)?", _year),
        (r"民国(\d{1,3})年(?:(\d{1,2})月(?:(\d{1,2})日)?)?", _republic),
        (r"(\d{5})(?:\.0+)?", _excel),
        (r"\d{2}[-/.年]\d{1,2}[-/.月]\d{1,2}日?", _no_year),
        (r"1[-~—至到]\d{1,2}月", _no_year),
    )
)
