"""Worksheets as people make them: titles, merged headers, groups, totals, notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

import polars as pl

from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError
from cityledger.lifecycle.readers.base import ByteStream, Chunk
from cityledger.lifecycle.readers.headers import HEADER_SEARCH_ROWS, match
from cityledger.lifecycle.readers.layout import TableLayout
from cityledger.lifecycle.readers.workbook import MergedRange, Workbook, encrypted_workbook
from cityledger.lifecycle.readers.xls import open_xls
from cityledger.lifecycle.readers.xlsx import open_xlsx

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# A password turns an XLSX into an OLE file with this stream (names there are UTF-16).
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_CHUNK_ROWS = 50_000


def read_excel(stream: ByteStream, contract: Contract, where: str) -> Iterator[Chunk]:
    """Read one worksheet of a workbook.

    Args:
        stream: Bytes of the workbook.
        contract: Whose columns and layout apply (sheet, header rows, totals, notes, groups).
        where: Names the file in errors.

    Raises:
        BadInputError: ``empty_file``, ``encrypted_workbook``, ``bad_workbook``, ``archive_bomb``,
            ``missing_sheet``, or what the header lacks.
    """
    layout = contract.layout
    book = _open(stream.read(), layout.max_bytes, where)
    sheet = book.sheet(_sheet_index(book.names(), layout.sheet, where))
    rows = sheet.rows()
    top = list(islice(rows, HEADER_SEARCH_ROWS + layout.header_rows))
    if not any(map(_filled, top)):
        raise _empty(where)
    header = match(_header_rows(top, sheet.merged(), layout.header_rows), contract, where)
    start = header.first + header.depth
    drift = list(header.drift)
    table = TableLayout(contract, header.names)
    numbered = enumerate(chain(top[start:], rows), start=start + 1)
    for part in _parts((row for row in numbered if _filled(row[1])), _CHUNK_ROWS):
        chunk = _chunk(part, table, len(header.names))
        chunk.drift, drift = drift, []
        yield chunk


def _open(data: bytes, max_bytes: int, where: str) -> Workbook:
    if not data:
        raise _empty(where)
    if data.startswith(b"PK"):
        return open_xlsx(data, max_bytes, where)
    if data.startswith(_OLE) and _ENCRYPTED_PACKAGE in data:
        raise encrypted_workbook(where)
    return open_xls(data, where)


def _sheet_index(names: Sequence[str], wanted: str | None, where: str) -> int:
    if wanted is None:
        return 0
    if wanted in names:
        return names.index(wanted)
    if wanted.isdigit() and int(wanted) < len(names):
        return int(wanted)
    raise BadInputError(
        f"there is no worksheet '{wanted}', only {'、'.join(names)}",
        where=where,
        fix="hand in the agreed worksheet, or correct sheet in the contract",
        code="missing_sheet",
    )


def _header_rows(
    top: Sequence[list[str]], merged: Iterable[MergedRange], depth: int
) -> list[list[str]]:
    """The first rows with merged cells filled, so that each column has all its header texts.

    A range over several columns is filled only when headers have several rows: a title merged
    over the table would otherwise look like a header that names one column many times.
    """
    rows = [list(row) for row in top]
    for first, left, last, right in merged:
        if first >= len(rows) or (depth == 1 and right > left):
            continue
        text = rows[first][left] if left < len(rows[first]) else ""
        for row in rows[first : min(last, len(rows) - 1) + 1]:
            row.extend([""] * (right + 1 - len(row)))
            row[left : right + 1] = [text] * (right + 1 - left)
    return rows


def _chunk(part: Sequence[tuple[int, list[str]]], table: TableLayout, width: int) -> Chunk:
    cells = [[*row[:width], *[""] * (width - len(row))] for _, row in part]
    raw = pl.DataFrame(cells, schema=table.raw_schema, orient="row")
    return table.sort(raw, pl.Series([number for number, _ in part], dtype=pl.Int64), [])


def _parts(
    rows: Iterable[tuple[int, list[str]]], size: int
) -> Iterator[list[tuple[int, list[str]]]]:
    """Lists of at most ``size`` rows; one empty list when there is none."""
    iterator = iter(rows)
    part = list(islice(iterator, size))
    yield part
    while part := list(islice(iterator, size)):
        yield part


def _filled(row: Sequence[str]) -> bool:
    return any(cell and not cell.isspace() for cell in row)


def _empty(where: str) -> BadInputError:
    return BadInputError(
        "the worksheet is empty",
        where=where,
        fix="have it handed in again; a day without records still has its header",
        code="empty_file",
    )
