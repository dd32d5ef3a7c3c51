"""Readers: bytes of a landed file in, records as text out, every record accounted for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError
from cityledger.lifecycle.readers.archives import members
from cityledger.lifecycle.readers.base import ByteStream, Chunk
from cityledger.lifecycle.readers.csv import read_csv
from cityledger.lifecycle.readers.excel import read_excel
from cityledger.lifecycle.readers.jsonl import read_json, read_json_lines

Reader = Callable[[ByteStream, Contract, str], Iterator[Chunk]]

_READERS: dict[str, Reader] = {
    "csv": read_csv,
    "excel": read_excel,
    "json": read_json,
    "jsonl": read_json_lines,
}


@dataclass(frozen=True, slots=True)
class ReadMember:
    """One data file of a landed file.

    Attributes:
        name: Its name inside the archive; None when the landed file is no archive.
        chunks: Its records; read them before asking for the next member.
    """

    name: str | None
    chunks: Iterator[Chunk]


def read_chunks(stream: BinaryIO, name: str, size: int, contract: Contract) -> Iterator[ReadMember]:
    """Read all data files in a landed file.

    Args:
        stream: Seekable bytes.
        name: File name as the department wrote it.
        size: In bytes.
        contract: Format, columns and layout.

    Raises:
        BadInputError: the file can't be used as a whole; the code says why.
    """
    layout = contract.layout
    reader = _READERS.get(layout.format)
    if reader is None:
        raise BadInputError(
            f"no reader for format '{layout.format}'",
            where=str(contract.path),
            fix=f"use one of {', '.join(sorted(_READERS))}",
            code="unknown_format",
        )
    for member in members(stream, name, size, layout.max_bytes, layout.format):
        where = name if member.name is None else f"{name}#{member.name}"
        yield ReadMember(member.name, reader(member.stream, contract, where))
