"""Texts as cells of a spreadsheet, there and back: nothing that it would run as a formula."""

from __future__ import annotations

import re
from typing import Final

_CELL_CHARACTERS: Final = 32_767
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r＝＋－＠]")
_QUOTED_FORMULA: Final = re.compile(r"'+[=+\-@\t\r＝＋－＠]")
_PLAIN_NUMBER: Final = re.compile(r"[+-]?\d{1,15}(?:\.\d+)?")
# What XML cannot hold, and so no workbook.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def guarded(text: str) -> str:
    """A text that a spreadsheet might run gets an apostrophe in front; plain numbers need none."""
    return f"'{text}" if _FORMULA.match(text) and not _PLAIN_NUMBER.fullmatch(text) else text


def displayed(text: str | None) -> str:
    """A text as it stands in a download: no formula, nothing that a cell cannot hold."""
    if text is None:
        return ""
    plain = guarded(_CONTROL.sub("\ufffd", text))
    return plain.replace("\r\n", "\n").replace("\r", "\n")[:_CELL_CHARACTERS]


def as_written(cell: str) -> str:
    """The text that a cell of a download stands for: the apostrophe in front is ours."""
    return cell[1:] if _QUOTED_FORMULA.match(cell) else cell
