"""Files of corrected rows: the downloaded workbook or CSV, edited, as a frame of text.

What a person could not see in the download must not change because they saved it: line ends,
control characters and the sign that keeps a spreadsheet from running a text as a formula are put
into the download by ``cells.displayed``, and comparisons are made between displayed texts.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import polars as pl

from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError
from cityledger.lifecycle.cells import as_written
from cityledger.lifecycle.readers.encoding import decode_text
from cityledger.lifecycle.readers.headers import Vocabulary
from cityledger.lifecycle.readers.workbook import Workbook, bad_workbook, encrypted_workbook

ROW_ID: Final = "_row_id"
#: Our columns in the download, beside those of the contract.
LINE, REASONS, FILE = "_行号", "_问题", "_文件"
#: Rows looked at for the header: people put notes above it.
_HEADER_ROWS: Final = 20
_DELIMITERS: Final = (",", "\t", ";")
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE: Final = "EncryptedPackage".encode("utf-16-le")
_MAX_UNPACKED: Final = 1 << 30


def read_corrections(data: bytes, name: str, contract: Contract) -> pl.DataFrame:
    """Read a file of corrected rows.

    Args:
        data: An XLSX or XLS workbook, or CSV in UTF-8, UTF-16 or GB 18030.
        name: Names the file in errors.
        contract: Whose header texts apply.

    Returns:
        ``_row_id``, ``_line`` (1-based, in the file), and the contract's columns that the file has,
        as text; in the file's order. Other columns are not read.

    Raises:
        BadInputError: the file can't be read, or has no column ``_row_id`` (``no_row_ids``).
    """
    parts = [part for rows in _tables(data, name) if (part := _part(rows, contract)) is not None]
    if not parts:
        raise BadInputError(
            f"there is no column {ROW_ID} in the file",
            where=name,
            fix="download the quarantined rows, edit that file and hand it in with all its columns",
            code="no_row_ids",
        )
    return pl.concat(parts, how="diagonal")


def _tables(data: bytes, name: str) -> Iterator[Iterable[list[str]]]:
    if data.startswith((b"PK", _OLE)):
        book = _workbook(data, name)
        for index in range(len(book.names())):
            yield book.sheet(index).rows()
        return
    text = decode_text(data, name)
    head = text[:10_000]
    delimiter = max(_DELIMITERS, key=head.count)
    # The limit on fields is the module's, for all threads: a cell of a workbook holds less.
    try:
        yield list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:
        raise bad_workbook(name, "quotes do not match") from None


def _workbook(data: bytes, name: str) -> Workbook:
    # Either library takes its time to import, and most corrections need one or none.
    if data.startswith(b"PK"):
        from cityledger.lifecycle.readers.xlsx import open_xlsx

        return open_xlsx(data, _MAX_UNPACKED, name)
    if _ENCRYPTED_PACKAGE in data:
        raise encrypted_workbook(name)
    from cityledger.lifecycle.readers.xls import open_xls

    return open_xls(data, name)


def _part(rows: Iterable[list[str]], contract: Contract) -> pl.DataFrame | None:
    """One worksheet; None when it has no column of row ids."""
    header: list[str | None] | None = None
    found: list[tuple[int, list[str]]] = []
    for number, row in enumerate(rows, start=1):
        if header is None:
            header = _header(row, contract)
            if header is None and number >= _HEADER_ROWS:
                return None
        elif any(cell.strip() for cell in row):
            found.append((number, row))
    return None if header is None else _frame(found, header)


def _header(row: Sequence[str], contract: Contract) -> list[str | None] | None:
    texts = [cell.strip().lstrip("\ufeff") for cell in row]
    if ROW_ID not in texts:
        return None
    vocabulary, taken = Vocabulary(contract.columns), set[str | None]()
    names: list[str | None] = []
    for text in texts:
        ours = text in {LINE, REASONS, FILE}
        name = text if text == ROW_ID else None if ours else vocabulary.find(text)
        names.append(None if name in taken else name)
        taken.add(name)
    return names


def _frame(rows: list[tuple[int, list[str]]], header: list[str | None]) -> pl.DataFrame:
    columns: dict[str, list[str]] = {
        name: [as_written(row[at]) if at < len(row) else "" for _, row in rows]
        for at, name in enumerate(header)
        if name is not None
    }
    schema = dict.fromkeys(columns, pl.String)
    frame = pl.DataFrame(columns, schema=schema)
    numbers = pl.Series("_line", [number for number, _ in rows], dtype=pl.Int64)
    return frame.with_columns(numbers, pl.col(ROW_ID).str.strip_chars())
