"""Does a column hold personal data that its contract does not speak of?

Shapes are searched inside the text, so a phone number in a remark is found, too. A shape with a
check digit counts only where the digit fits: long numbers are common, valid ones are not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from cityledger.masking import fits_luhn, is_citizen_id
from cityledger.profiling.records import Suspicion

#: Share of the sampled values from which on a column is suspected.
LEAST_SHARE = 0.01


def _always(_: str) -> bool:
    return True


_SHAPES: tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...] = (
    (
        "citizen_id",
        re.compile(r"(?<![0-9A-Za-z])[1-9]\d{5}(?:19|20)\d{9}[\dXx](?![0-9A-Za-z])"),
        is_citizen_id,
    ),
    ("mobile_phone", re.compile(r"(?<![0-9A-Za-z])1[3-9]\d{9}(?![0-9A-Za-z])"), _always),
    ("bank_card", re.compile(r"(?<![0-9A-Za-z])(?:62|4|5)\d{14,17}(?![0-9A-Za-z])"), fits_luhn),
    ("e_mail", re.compile(r"[\w.+-]+@[\w-]+\.[A-Za-z]{2,}"), _always),
    (
        "number_plate",
        re.compile(
            r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-HJ-NP-Z]·?[A-HJ-NP-Z0-9]{5,6}"
        ),
        _always,
    ),
)


def suspicions(values: Sequence[str]) -> tuple[Suspicion, ...]:
    """Kinds of personal data that at least 1 % of the values hold.

    Args:
        values: A sample of a column's texts, without nulls.
    """
    if not values:
        return ()
    found = []
    for kind, shape, fits in _SHAPES:
        share = sum(any(fits(text) for text in shape.findall(value)) for value in values)
        if share >= LEAST_SHARE * len(values):
            found.append(Suspicion(kind=kind, share=round(share / len(values), 4)))
    return tuple(found)
