"""CSV and its kin: text with one of the usual delimiters."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain

import polars as pl

from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError, CityLedgerError
from cityledger.lifecycle.pipeline import ahead
from cityledger.lifecycle.readers.base import ByteStream, Chunk
from cityledger.lifecycle.readers.encoding import decode_blocks, not_empty
from cityledger.lifecycle.readers.headers import HEADER_SEARCH_ROWS, Header, locate, match
from cityledger.lifecycle.readers.layout import TableLayout
from cityledger.lifecycle.readers.records import RecordGrammar, Records, RecordScanner

_DELIMITERS = (",", "\t", ";", "|")
_HEAD_BYTES = 1 << 20


def read_csv(stream: ByteStream, contract: Contract, where: str) -> Generator[Chunk, None, None]:
    """Read a delimited text file.

    Args:
        stream: Decompressed bytes.
        contract: Whose columns and layout apply.
        where: Names the file in errors.

    Raises:
        BadInputError: ``empty_file``, ``wrong_encoding``, or what the header lacks
            (see :func:`~cityledger.lifecycle.readers.headers.match`).
    """
    # Fetching and decoding take as long as cutting and splitting: side by side they take half.
    blocks = decode_blocks(stream, contract.layout.encoding, where)
    with closing(ahead(blocks, depth=1)) as decoded:
        yield from _chunks(not_empty(decoded, where), contract, where)


def resume_csv(
    source: Iterator[bytes],
    contract: Contract,
    where: str,
    *,
    delimiter: str,
    names: Sequence[str | None],
    line: int,
) -> Generator[Chunk, None, None]:
    """Read a delimited text file from the start of one of its records on.

    Args:
        source: UTF-8 blocks.
        contract: Whose columns and layout apply.
        where: Names the file in errors.
        delimiter: As the file's beginning shows it.
        names: Contract column per file column, as its header says.
        line: Physical line on which the first byte lies.
    """
    layout = TableLayout(contract, names)
    scanner = RecordScanner(delimiter.encode(), len(names), line)
    with closing(ahead(source, depth=1)) as decoded:
        for block in decoded:
            yield _chunk(scanner.feed(block), layout, delimiter, where)
    yield _chunk(scanner.finish(), layout, delimiter, where)


def _chunks(source: Iterator[bytes], contract: Contract, where: str) -> Iterator[Chunk]:
    first = next(source)
    top = find_top(first, contract, where)
    layout = TableLayout(contract, top.header.names)
    scanner = RecordScanner(top.delimiter.encode(), len(top.header.names), top.line)
    notes = list(top.header.drift)
    for block in chain([first[top.end :]], source):
        chunk = _chunk(scanner.feed(block), layout, top.delimiter, where)
        chunk.drift, notes = notes, []
        yield chunk
    yield _chunk(scanner.finish(), layout, top.delimiter, where)


@dataclass(frozen=True, slots=True)
class Top:
    """The matched header, its delimiter, and where the records start (byte and line)."""

    header: Header
    delimiter: str
    end: int
    line: int


@dataclass(slots=True)
class _Head:
    """First records of a file under one delimiter."""

    rows: list[list[str]]
    ends: list[int]
    lines: list[int]


def find_top(first: bytes, contract: Contract, where: str) -> Top:
    """Find delimiter and header in a file's first block.

    Raises:
        BadInputError: as :func:`read_csv`.
    """
    layout = contract.layout
    wanted = _DELIMITERS if layout.delimiter == "auto" else (layout.delimiter,)
    if any(len(delimiter.encode()) != 1 for delimiter in wanted):
        raise BadInputError(
            f"'{layout.delimiter}' is no delimiter: it must be one ASCII character",
            where=str(contract.path),
            fix="set delimiter: auto, or the character itself",
            code="bad_delimiter",
        )
    heads = {delimiter: _head(first, delimiter) for delimiter in wanted}
    # The delimiter that shows most of the contract's columns; the first of equals.
    best = max(wanted, key=lambda delimiter: locate(heads[delimiter].rows, contract)[1])
    head = heads[best]
    header = match(head.rows, contract, where)
    last = header.first + header.depth - 1
    return Top(header, best, head.ends[last], head.lines[last])


def _head(first: bytes, delimiter: str) -> _Head:
    grammar = RecordGrammar(delimiter.encode())
    data = first[:_HEAD_BYTES]
    head = _Head([], [], [])
    position, line = 0, 1
    while position < len(data) and len(head.rows) < HEADER_SEARCH_ROWS * 2:
        end, lines, text = grammar.take(data, position)
        line += lines
        head.rows.append([part.decode("utf-8", "replace") for part in grammar.split(text)])
        head.ends.append(end)
        head.lines.append(line)
        position = end
    return head


def _chunk(records: Records, layout: TableLayout, delimiter: str, where: str) -> Chunk:
    try:
        raw = _frame(records, layout, delimiter)
    except pl.exceptions.PolarsError:
        # As many fields as there must be, but one record has another's.
        if records.recount is None:
            raise
        records = records.recount()
        raw = _frame(records, layout, delimiter)
    if raw.height != len(records.lines):
        raise CityLedgerError(
            f"two readings of a block disagree: {len(records.lines)} and {raw.height} records",
            where=f"{where}, about line {int(records.lines[0])}",
            fix="keep the file and report this as a defect of CityLedger",
            code="reader_mismatch",
        )
    return layout.sort(raw, pl.Series(records.lines), records.rejects)


def _frame(records: Records, layout: TableLayout, delimiter: str) -> pl.DataFrame:
    if not records.data:
        return pl.DataFrame(schema=layout.raw_schema)
    return pl.read_csv(
        records.data,
        has_header=False,
        schema=layout.raw_schema,
        separator=delimiter,
        quote_char='"' if records.quoted else None,
        empty_string_is_null=False,
        # Twice as fast on blocks of this size as the default, which copies once more.
        low_memory=True,
        missing_columns="raise",
        extra_columns="raise",
    )
