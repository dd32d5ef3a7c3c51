"""XLSX (Office Open XML) through calamine.

calamine gives formula errors and formulas without a stored result as empty cells; a wrong cell
must not pass for an empty one, so those are looked up in the sheet's XML.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from posixpath import join, normpath
from xml.etree import ElementTree

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook

from cityledger.errors import BadInputError
from cityledger.lifecycle.readers.workbook import MergedRange, bad_workbook, cell_text
from cityledger.lifecycle.readers.xlsx_grid import oversized

# Office XML is wordy, so ratios beyond those of text extracts are normal, but not these.
_MAX_RATIO = 300
_MAX_UNPACKED = 2 << 30
_MAX_PARTS = 10_000
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_REL_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
# Nothing in it runs past the next cell, or a comment full of them would take hours.
_CELL = re.compile(rb"<c\b([^<>]*?)(?:/>|>([^<]*(?:<(?!/?c\b)[^<]*)*)</c>)")
_REF = re.compile(rb'\br="([A-Z]{1,3})(\d{1,7})"')
_VALUE = re.compile(rb"<v>([^<]*)</v>")
_FORMULA = re.compile(rb"<f\b[^>]*?>([^<]*)</f>")


def open_xlsx(data: bytes, max_bytes: int, where: str) -> XlsxWorkbook:
    """Open a workbook after making sure that it unpacks within bounds.

    Raises:
        BadInputError: ``archive_bomb`` (unpacked, or as a grid of cells), ``truncated_archive`` or
            ``bad_workbook``.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile:
        raise BadInputError(
            "the workbook is cut off: its end is missing",
            where=where,
            fix="have it handed in again; the transfer broke off",
            code="truncated_archive",
        ) from None
    _check_size(archive, len(data), min(max_bytes, _MAX_UNPACKED), where)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
    except CalamineError as error:
        raise bad_workbook(where, str(error)[:100]) from None
    return XlsxWorkbook(book, archive)


class XlsxWorkbook:
    """An XLSX workbook."""

    def __init__(self, book: CalamineWorkbook, archive: zipfile.ZipFile) -> None:
        self._book, self._archive = book, archive

    def names(self) -> Sequence[str]:
        """Names of the sheets."""
        return self._book.sheet_names

    def sheet(self, index: int) -> XlsxSheet:
        """The sheet at a 0-based position."""
        name = self._book.sheet_names[index]
        return XlsxSheet(self._book.get_sheet_by_index(index), self._archive, name)


class XlsxSheet:
    """A sheet of an XLSX workbook."""

    def __init__(self, sheet: CalamineSheet, archive: zipfile.ZipFile, name: str) -> None:
        self._sheet, self._archive, self._name = sheet, archive, name

    def merged(self) -> Sequence[MergedRange]:
        """Merged ranges."""
        ranges = self._sheet.merged_cell_ranges or []
        return [(*start, *end) for start, end in ranges]

    def rows(self) -> Iterator[list[str]]:
        """Rows as text, formula errors as ``#REF!``, formulas without a result as ``=…``."""
        if self._sheet.start is None:
            return
        lead = [""] * self._sheet.start[1]
        for number, cells in enumerate(self._sheet.iter_rows()):
            row = lead + [cell_text(cell) for cell in cells]
            for column, text in self._hidden.get(number, {}).items():
                row.extend([""] * (column + 1 - len(row)))
                row[column] = row[column] or text
            yield row

    @cached_property
    def _hidden(self) -> dict[int, dict[int, str]]:
        """Cells that calamine gives as empty although they are not: row → column → text."""
        part = _part_of(self._archive, self._name)
        xml = self._archive.read(part) if part else b""
        found: dict[int, dict[int, str]] = {}
        if b't="e"' not in xml and b"<f" not in xml:
            return found
        for attributes, content in _CELL.findall(xml):
            text = _hidden_text(attributes, content)
            reference = _REF.search(attributes) if text else None
            if text and reference:
                row = found.setdefault(int(reference[2]) - 1, {})
                row[_column_index(reference[1])] = text
        return found


def _hidden_text(attributes: bytes, content: bytes) -> str:
    value = _VALUE.search(content)
    if b't="e"' in attributes:
        return value[1].decode("utf-8", "replace") if value else "#ERROR!"
    formula = _FORMULA.search(content)
    if formula and (value is None or not value[1]) and b't="str"' not in attributes:
        return f"={formula[1].decode('utf-8', 'replace')}"
    return ""


def _column_index(letters: bytes) -> int:
    index = 0
    for letter in letters:
        index = index * 26 + letter - 64
    return index - 1


def _part_of(archive: zipfile.ZipFile, name: str) -> str | None:
    """Path of a sheet's XML inside the workbook."""
    try:
        book = ElementTree.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314 - expat ≥ 2.4.1 bounds entities
        links = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
    except (KeyError, ElementTree.ParseError):
        return None
    targets = {link.get("Id"): link.get("Target", "") for link in links}
    for sheet in book.iter(f"{_MAIN}sheet"):
        if sheet.get("name") == name:
            target = targets.get(sheet.get(_REL_ID), "")
            path = target.lstrip("/") if target.startswith("/") else normpath(join("xl", target))
            return path if path in archive.namelist() else None
    return None


def _check_size(archive: zipfile.ZipFile, packed: int, limit: int, where: str) -> None:
    infos = archive.infolist()
    if len(infos) > _MAX_PARTS:
        raise _bomb(where, f"{len(infos)} parts")
    declared = sum(info.file_size for info in infos)
    if declared > limit or declared > max(packed * _MAX_RATIO, 64 << 20):
        raise _bomb(where, f"{packed} bytes that unpack to {declared}")
    for info in infos:
        _check_part(archive, info, where)


def _check_part(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> None:
    """Unpack a part once: what it declares must be true before calamine trusts it."""
    try:
        xml = archive.read(info)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise bad_workbook(where, f"{info.filename}: {type(error).__name__}") from None
    if (spanned := oversized(xml)) is not None:
        rows, columns = spanned
        raise _bomb(where, f"a nearly empty sheet of {rows} rows and {columns} columns")


def _bomb(where: str, what: str) -> BadInputError:
    return BadInputError(
        f"the workbook is refused: {what}",
        where=where,
        fix="have it handed in as CSV, or in smaller parts",
        code="archive_bomb",
    )
