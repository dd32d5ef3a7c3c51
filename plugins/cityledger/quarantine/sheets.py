"""Writes quarantined rows as CSV or as a workbook with instructions."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from cityledger.lifecycle.cells import displayed
from cityledger.lifecycle.corrections import FILE, LINE, REASONS, ROW_ID

#: A worksheet holds 1,048,576 rows; the rest goes to further worksheets.
SHEET_ROWS: Final = 1_000_000
INSTRUCTIONS_SHEET, ROWS_SHEET = "填写说明", "待更正数据"
_OURS: Final = frozenset({LINE, REASONS, FILE, ROW_ID})
# "_x003D_" is how workbooks write "=": such a text needs its underscore written so, too.
_CODED: Final = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_REASONS_WIDTH, _LEAST_WIDTH, _MOST_WIDTH = 48, 12, 60


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    """Write UTF-8 with a byte order mark, by which Excel knows it; returns the number of rows."""
    count = 0
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row in rows:
            writer.writerow(row)
            count += 1
    return count


def write_workbook(
    path: Path,
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    instructions: Iterable[tuple[str, str, str]],
) -> int:
    """Write the instructions and, on further worksheets, the rows; returns the number of rows.

    Args:
        path: Where to.
        header: Displayed texts, as the rows' (``lifecycle.cells.displayed``).
        rows: Are read once and not kept.
        instructions: Title, Chinese, English.
    """
    # A second of import that a command without a workbook need not wait for.
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    _write_instructions(book, instructions)
    source, count = iter(rows), 0
    for number, first in enumerate(source, start=1):
        sheet = book.create_sheet(ROWS_SHEET if number == 1 else f"{ROWS_SHEET}{number}")
        count += _fill(sheet, header, chain([first], islice(source, SHEET_ROWS - 1)))
    book.save(path)
    return count


def _fill(sheet: Any, header: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font, PatternFill
    from openpyxl.utils import get_column_letter

    sheet.freeze_panes = "C2"
    for at, title in enumerate(header, start=1):
        sheet.column_dimensions[get_column_letter(at)].width = _width(title)
    ours, theirs = WriteOnlyCell(sheet), WriteOnlyCell(sheet)
    for cell, colour in ((ours, "D9D9D9"), (theirs, "DDEBF7")):
        cell.number_format, cell.font = "@", Font(bold=True)
        cell.fill = PatternFill("solid", fgColor=colour)
    sheet.append(_text(ours if title in _OURS else theirs, title) for title in header)
    body = WriteOnlyCell(sheet)
    body.number_format = "@"  # what is typed into the cell stays text, too: 0571 keeps its zero
    count = 0
    for row in rows:
        sheet.append(_text(body, value) for value in row)
        count += 1
    return count


def _width(title: str) -> int:
    if title == REASONS:
        return _REASONS_WIDTH
    return min(max(2 * len(title) + 4, _LEAST_WIDTH), _MOST_WIDTH)


def _text(cell: Any, value: str) -> Any:
    """The same cell with another text: openpyxl writes it before it asks for the next."""
    cell.value = _CODED.sub("_x005F_", value)
    cell.data_type = "s"  # never a formula, an error or a number, whatever the text looks like
    return cell


def _write_instructions(book: Any, instructions: Iterable[tuple[str, str, str]]) -> None:
    from openpyxl.styles import Alignment, Font

    sheet = book.create_sheet(INSTRUCTIONS_SHEET)
    for letter, width in (("A", 16), ("B", 60), ("C", 60)):
        sheet.column_dimensions[letter].width = width
    for line in instructions:
        sheet.append(list(_instruction(sheet, line, Alignment, Font)))


def _instruction(sheet: Any, line: Sequence[str], alignment: Any, font: Any) -> Iterator[Any]:
    from openpyxl.cell import WriteOnlyCell

    for at, text in enumerate(line):
        cell = _text(WriteOnlyCell(sheet), displayed(text))
        cell.alignment = alignment(wrap_text=True, vertical="top")
        cell.font = font(bold=at == 0)
        yield cell
