"""How large a grid a sheet's cells span, looked up before calamine makes all of it.

calamine keeps a sheet as a full rectangle of 32 bytes a cell: two cells at opposite corners, in a
file of 1.4 kB, ask for 550 GB, and the process is gone. So what the cells say of their places is
read from the XML first; only rectangles that the file's own size justifies are made.
"""

from __future__ import annotations

import re

MOST_CELLS = 64 << 20
"""Cells that a sheet may span, empty ones included (2 GiB in calamine)."""

_FREE_CELLS = 4 << 20
# A cell with content is two to four tags; so there may be some ten empty cells for each of them.
_CELLS_PER_TAG = 4

# How nearly every program writes places, so that large sheets are looked through fast.
_CELL_COLUMN = re.compile(rb'<c r="([A-Za-z]*)')
_CELL_ROW = re.compile(rb'<c r="[A-Za-z]*(\d+)')
_ROW = re.compile(rb'<row r="(\d+)')
_SHEET_DATA = re.compile(rb"<([^\s<>/:]+:)?sheetData")
_SPACES = (b" ", b"\t", b"\n", b"\r")
_INSIDE = rb"""(?:[^<>"']|"[^"]*"|'[^']*')*"""
_TAG = re.compile(rb"<(?:[^\s<>/:]+:)?(row|c)(?=[\s/>])(" + _INSIDE + rb")>")
_REFERENCE = re.compile(rb"""(?<![\w:.-])r\s*=\s*["']([A-Za-z]*)(\d+)""")


def oversized(xml: bytes) -> tuple[int, int] | None:
    """Rows and columns of a sheet that spans more than it may; None for one that does not.

    Args:
        xml: A part of a workbook; parts that are no sheets span nothing.
    """
    if (data := _SHEET_DATA.search(xml)) is None:
        return None
    if data[1]:  # some programs write <x:c r="A1"> for all that others write <c r="A1"> for
        xml = xml.replace(b"<" + data[1], b"<")
    allowed = min(MOST_CELLS, max(_FREE_CELLS, _CELLS_PER_TAG * xml.count(b"<")))
    rows, columns = _read(xml) if _is_plain(xml) else _walked(xml)
    return (rows, columns) if rows * columns > allowed else None


def _is_plain(xml: bytes) -> bool:
    """Whether every row and cell says its place, once, in the usual spelling."""
    if any(name in xml for name in (b":c", b":row", *(space + b"=" for space in _SPACES))):
        return False
    places = 0
    for name in (b"<c", b"<row"):
        placed = xml.count(name + b' r="')
        if placed != sum(xml.count(name + end) for end in (b">", b"/", *_SPACES)):
            return False
        places += placed
    return places == sum(xml.count(before + b"r=") for before in (*_SPACES, b'"', b"'"))


def _read(xml: bytes) -> tuple[int, int]:
    """The last row and the last column of a plainly written sheet."""
    rows = map(int, {*_CELL_ROW.findall(xml), *_ROW.findall(xml)})
    columns = map(_number, set(_CELL_COLUMN.findall(xml)))
    return max(rows, default=0), max(columns, default=0)


def _walked(xml: bytes) -> tuple[int, int]:
    """The last row and the last column; where places are missing they follow from those before."""
    row = column = rows = columns = 0
    for tag in _TAG.finditer(xml):
        places = [(int(at[2]), _number(at[1])) for at in _REFERENCE.finditer(tag[2])]
        if tag[1] == b"row":
            row, column = max((place[0] for place in places), default=row + 1), 0
        elif places:
            row, column = max(place[0] for place in places), max(place[1] for place in places)
        else:
            column += 1
        rows, columns = max(rows, row), max(columns, column)
    return rows, columns


def _number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number
