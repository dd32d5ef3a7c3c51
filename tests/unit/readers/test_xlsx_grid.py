"""Workbooks whose few cells lie so far apart that the grid between them would fill the memory."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable
from typing import Any

import openpyxl
import pytest
from cityledger.errors import BadInputError
from cityledger.lifecycle.readers.xlsx import open_xlsx
from cityledger.lifecycle.readers.xlsx_grid import oversized

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def _workbook(rows: list[list[object]]) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    assert book.active is not None
    for row in rows:
        book.active.append(row)
    book.save(out)
    return out.getvalue()


def _with_sheet(inside: str) -> bytes:
    """A workbook whose sheet holds exactly this XML."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(_workbook([[1]]))) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            sheet = f'<worksheet xmlns="{_MAIN}"><sheetData>{inside}</sheetData></worksheet>'
            new.writestr(name, sheet if name.endswith("sheet1.xml") else old.read(name))
    return out.getvalue()


_FIRST = '<row r="1"><c r="A1"><v>1</v></c></row>'
_CELL = "<v>1</v></c></row>"


@pytest.mark.parametrize(
    "inside",
    [
        f'{_FIRST}<row r="1048576"><c r="XFD1048576">{_CELL}',
        f'{_FIRST}<row r="2"><c r="XFD1048576">{_CELL}',
        f"{_FIRST}<row><c t='n'\n r\t=\n'xfd1048576'>{_CELL}",
        f'{_FIRST}<row r="2"><c r="A2" r="XFD1048576">{_CELL}',
        f'{_FIRST}<row r="2"><c q="a"r="XFD1048576">{_CELL}',
        f'{_FIRST}<row r="2"><c q=">" r="XFD1048576">{_CELL}',
        f'<x:row r="1"/><x:row r="2"><x:c r="XFD1048576">{_CELL}',
        f'{_FIRST}<row r="1048575"/><row><c r="XFC1" s="1"/><c>{_CELL}',
        f'<row r="1">{"<c/>" * 9000}<c>{_CELL}{"<row/>" * 9000}<row><c>{_CELL}',
    ],
)
def test_cells_far_apart_are_refused(
    inside: str, read: Callable[..., Any], contract: Callable[..., Any]
) -> None:
    """Prevents a workbook of 1.4 kB from ending the process: a grid of 550 GB was asked for."""
    with pytest.raises(BadInputError) as caught:
        read(_with_sheet(inside), contract(format="excel"), name="a.xlsx")
    assert caught.value.code == "archive_bomb"


def test_usual_workbooks_pass() -> None:
    """Prevents refusals of what departments hand in: large, with empty cells, a lonely remark."""
    for rows in ([[1] * 30] * 5000, [[1, *[None] * 300, 2]] * 2000):
        book = open_xlsx(_workbook(rows), 1 << 30, "a.xlsx")
        assert len(list(book.sheet(0).rows())) == len(rows)
    far = f'{_FIRST}<row r="90000"><c r="Z90000"><v>1</v></c></row>'
    assert oversized(f"<worksheet><sheetData>{far}".encode()) is None


@pytest.mark.parametrize("part", ["<c>", "<c r='A1'>", "<c ", '<c "', "<f <c", "r =", "<row "])
def test_hostile_xml_takes_no_longer_than_its_length(part: str) -> None:
    """Prevents a comment full of half cells from stopping all pages: it took the square."""
    xml = f"<worksheet><sheetData></sheetData><!-- <f {part * 100_000} -->"
    began = time.process_time()
    oversized(xml.encode())
    assert time.process_time() - began < 5


def test_cells_without_an_end_are_looked_at_once() -> None:
    """Prevents the search for formulas from stopping all pages: 1 MB of half cells took hours."""
    data = _with_sheet(f"{_FIRST}</sheetData><!-- <f {'<c>' * 100_000} --><sheetData>")
    began = time.process_time()
    assert list(open_xlsx(data, 1 << 30, "a.xlsx").sheet(0).rows()) == [["1"]]
    assert time.process_time() - began < 5
