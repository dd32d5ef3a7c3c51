"""How departments write the same thing: dates, digits, broken text."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np

_FULL_WIDTH = str.maketrans("0123456789-:.", "０１２３４５６７８９－：．")


def full_width(text: str) -> str:
    """Digits and marks as a Chinese input method writes them."""
    return text.translate(_FULL_WIDTH)


def iso(moment: datetime) -> str:
    """``2026-03-31 09:05:00``."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def moments(moment: datetime) -> list[str]:
    """Other spellings of a moment."""
    day = f"{moment.year}/{moment.month}/{moment.day}"
    return [
        f"{day} {moment.hour}:{moment:%M:%S}",
        f"{moment.year}年{moment.month}月{moment.day}日 {moment:%H:%M:%S}",
        f"{moment:%Y-%m-%dT%H:%M:%S}",
        full_width(iso(moment)),
    ]


def days(day: date) -> list[str]:
    """Other spellings of a day."""
    return [
        f"{day.year}/{day.month}/{day.day}",
        f"{day.year}.{day.month}.{day.day}",
        f"{day:%Y%m%d}",
        f"{day.year}年{day.month}月{day.day}日",
    ]


def pick(rng: np.random.Generator, texts: list[str]) -> str:
    """One of the texts."""
    return texts[int(rng.integers(len(texts)))]


def as_latin(text: str) -> str:
    """GBK bytes shown as Latin-1: ``ÔÆ¸Û`` for 云港."""
    return text.encode("gb18030").decode("latin-1")


def excel_damaged(number: str) -> str:
    """A long number after Excel took it for a float: ``9.90103E+17``."""
    return f"{float(number[:17] + '0'):.5E}"
