"""XLS (BIFF) through xlrd, and through calamine where xlrd does not know the code page.

xlrd first, although it is slower: it tells formula errors apart from empty cells. A code page that
neither knows (those of old Chinese Macintosh programs, for one) is read as GB 18030.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import xlrd
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook
from xlrd.biffh import error_text_from_code

from cityledger.lifecycle.readers.workbook import (
    MergedRange,
    Workbook,
    bad_workbook,
    cell_text,
    encrypted_workbook,
)

# What xlrd raises on files that it can't read, besides its own error.
_FAILURES = (
    xlrd.XLRDError,
    xlrd.compdoc.CompDocError,
    struct.error,
    LookupError,
    ValueError,
    AssertionError,
    TypeError,
    AttributeError,
    OverflowError,
)


def open_xls(data: bytes, where: str) -> Workbook:
    """Open a workbook.

    Raises:
        BadInputError: ``encrypted_workbook`` or ``bad_workbook``.
    """
    attempts: tuple[Callable[[], Workbook], ...] = (
        lambda: XlrdWorkbook(_xlrd(data)),
        lambda: CalamineBook(CalamineWorkbook.from_filelike(io.BytesIO(data))),
        lambda: XlrdWorkbook(_xlrd(data, encoding_override="gb18030")),
    )
    told = ""
    for attempt in attempts:
        try:
            return attempt()
        except (*_FAILURES, CalamineError) as error:
            if "encrypted" in str(error):
                raise encrypted_workbook(where) from None
            told = told or f"{type(error).__name__}: {str(error)[:100]}"
    raise bad_workbook(where, told)


def _xlrd(data: bytes, **more: Any) -> xlrd.Book:
    # xlrd prints warnings about sloppy files to its log, which is standard output by default.
    return xlrd.open_workbook(
        file_contents=data, formatting_info=True, on_demand=True, logfile=io.StringIO(), **more
    )


class XlrdWorkbook:
    """An XLS workbook read by xlrd."""

    def __init__(self, book: xlrd.Book) -> None:
        self._book = book

    def names(self) -> Sequence[str]:
        """Names of the sheets."""
        names: list[str] = self._book.sheet_names()
        return names

    def sheet(self, index: int) -> XlrdSheet:
        """The sheet at a 0-based position."""
        return XlrdSheet(self._book.sheet_by_index(index), self._book.datemode)


class XlrdSheet:
    """A sheet read by xlrd."""

    def __init__(self, sheet: xlrd.sheet.Sheet, datemode: int) -> None:
        self._sheet, self._datemode = sheet, datemode

    def merged(self) -> Sequence[MergedRange]:
        """Merged ranges; xlrd's ends are exclusive."""
        return [
            (top, left, bottom - 1, right - 1)
            for top, bottom, left, right in self._sheet.merged_cells
        ]

    def rows(self) -> Iterator[list[str]]:
        """Rows as text, formula errors as ``#REF!``."""
        for number in range(self._sheet.nrows):
            yield [self._text(cell) for cell in self._sheet.row(number)]

    def _text(self, cell: xlrd.sheet.Cell) -> str:
        if cell.ctype == xlrd.XL_CELL_ERROR:
            return str(error_text_from_code.get(cell.value, "#ERROR!"))
        if cell.ctype == xlrd.XL_CELL_BOOLEAN:
            return cell_text(bool(cell.value))
        if cell.ctype == xlrd.XL_CELL_DATE:
            return self._date_text(float(cell.value))
        return cell_text(cell.value)

    def _date_text(self, serial: float) -> str:
        try:
            moment = xlrd.xldate.xldate_as_datetime(serial, self._datemode)
        except (OverflowError, ValueError):
            return cell_text(serial)
        return cell_text(moment.time() if serial < 1 else moment)


class CalamineBook:
    """An XLS workbook read by calamine."""

    def __init__(self, book: CalamineWorkbook) -> None:
        self._book = book

    def names(self) -> Sequence[str]:
        """Names of the sheets."""
        return self._book.sheet_names

    def sheet(self, index: int) -> CalamineXls:
        """The sheet at a 0-based position."""
        return CalamineXls(self._book.get_sheet_by_index(index))


class CalamineXls:
    """A sheet read by calamine."""

    def __init__(self, sheet: CalamineSheet) -> None:
        self._sheet = sheet

    def merged(self) -> Sequence[MergedRange]:
        """Merged ranges."""
        return [(*start, *end) for start, end in self._sheet.merged_cell_ranges or []]

    def rows(self) -> Iterator[list[str]]:
        """Rows as text."""
        if self._sheet.start is None:
            return
        lead = [""] * self._sheet.start[1]
        for cells in self._sheet.iter_rows():
            yield lead + [cell_text(cell) for cell in cells]
