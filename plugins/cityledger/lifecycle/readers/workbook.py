"""What the workbook formats have in common: sheets of text cells, and their errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Protocol

from cityledger.errors import BadInputError

# A double holds every integer up to here exactly; longer ids were damaged when they were typed.
_EXACT_INTEGER = 10**15

MergedRange = tuple[int, int, int, int]


class Sheet(Protocol):
    """One worksheet."""

    def merged(self) -> Sequence[MergedRange]:
        """Merged ranges: first row, first column, last row, last column; 0-based, inclusive."""
        ...

    def rows(self) -> Iterator[list[str]]:
        """Cells as text from cell A1 on; rows may differ in length."""
        ...


class Workbook(Protocol):
    """An opened workbook."""

    def names(self) -> Sequence[str]:
        """Names of the worksheets, in the workbook's order."""
        ...

    def sheet(self, index: int) -> Sheet:
        """The worksheet at a 0-based position."""
        ...


def cell_text(value: object) -> str:
    """A cell as text: what a person reads in it, without number formats.

    Whole numbers have no fraction (``4111010001.0`` is an identifier); those too long for a double
    stay in scientific notation, so that the damage shows. Dates are ISO, with the time unless it
    is midnight.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return _number_text(value)
    return _moment_text(value)


def _number_text(value: float) -> str:
    if value.is_integer() and abs(value) < _EXACT_INTEGER:
        return str(int(value))
    return repr(value)


def _moment_text(value: object) -> str:
    if isinstance(value, datetime):
        # A day number carries seconds with an error below a millisecond.
        rounded = (value + timedelta(microseconds=500)).replace(microsecond=0)
        value = rounded if abs(rounded - value) < timedelta(milliseconds=1) else value
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return str(value)


def bad_workbook(where: str, why: str) -> BadInputError:
    """The file is no workbook that can be read."""
    return BadInputError(
        f"the workbook can't be read ({why})",
        where=where,
        fix="open it in Excel or WPS, save it as .xlsx and hand it in again",
        code="bad_workbook",
    )


def encrypted_workbook(where: str) -> BadInputError:
    """The workbook needs a password."""
    return BadInputError(
        "the workbook is protected by a password",
        where=where,
        fix="save it without a password and hand it in again",
        code="encrypted_workbook",
    )
