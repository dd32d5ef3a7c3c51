"""Units and magnitudes: how many of a base unit one written unit is."""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

MAGNITUDES = MappingProxyType(
    {
        "万亿": Decimal(10**12),
        "亿": Decimal(10**8),
        "千万": Decimal(10**7),
        "百万": Decimal(10**6),
        "十万": Decimal(10**5),
        "万": Decimal(10**4),
        "千": Decimal(10**3),
        "百": Decimal(10**2),
    }
)
"""Magnitude words, longest first."""


class Unit(NamedTuple):
    """A unit: what it measures, and how many base units one is."""

    base: str
    factor: Decimal


_MEASURES = {
    "g": {"µg": "0.000001", "微克": "0.000001", "mg": "0.001", "毫克": "0.001", "g": "1", "克": "1"}
    | {"kg": "1000", "千克": "1000", "公斤": "1000", "t": "1000000", "吨": "1000000"},
    "m": {"mm": "0.001", "毫米": "0.001", "cm": "0.01", "厘米": "0.01", "m": "1", "米": "1"}
    | {"km": "1000", "千米": "1000", "公里": "1000"},
    "m²": {"m²": "1", "m2": "1", "平方米": "1", "公顷": "10000", "ha": "10000"}
    | {"km²": "1000000", "km2": "1000000", "平方公里": "1000000", "平方千米": "1000000"},
    "s": {"s": "1", "秒": "1", "min": "60", "分": "60", "分钟": "60"}
    | {"h": "3600", "小时": "3600", "d": "86400", "天": "86400", "日": "86400"},
    "g/m³": {"µg/m³": "0.000001", "ug/m3": "0.000001", "微克/立方米": "0.000001"}
    | {"mg/m³": "0.001", "mg/m3": "0.001", "毫克/立方米": "0.001", "g/m³": "1"},
    "1": {"%": "0.01", "‰": "0.001"},
}
_KNOWN = {
    name: Unit(base, Decimal(factor))
    for base, names in _MEASURES.items()
    for name, factor in names.items()
}


def find_unit(text: str) -> Unit:
    """The unit that a text names; a word it does not know is a base unit of its own (人, 辆).

    Magnitude words in front multiply: ``万人`` is 10,000 ``人``. Text must be NFKC, where ``µ`` is
    the Greek letter and ``³`` is a 3.
    """
    text = text.replace("μ", "µ").replace("m3", "m³").replace("m2", "m²")
    if text in _KNOWN:
        return _KNOWN[text]
    for word, factor in MAGNITUDES.items():
        if text.startswith(word):
            rest = find_unit(text[len(word) :])
            return Unit(rest.base, rest.factor * factor)
    return Unit(text, Decimal(1))


def conversion(unit: str, target: str) -> Decimal | None:
    """What a number in ``unit`` is multiplied by to be in ``target``; None between kinds.

    A magnitude alone (``万``) counts base units of what is stored: in a column of 万人 it is
    10,000 人, in one of µg/m³ it is 10,000 µg/m³.
    """
    source, stored = find_unit(unit), find_unit(target)
    if source.base == stored.base:
        return source.factor / stored.factor
    if source.base:
        return None
    return source.factor if target in _KNOWN else source.factor / stored.factor
