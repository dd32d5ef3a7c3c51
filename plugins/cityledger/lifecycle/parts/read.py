"""The records of one part, through the readers of the whole way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from cityledger.contracts.model import Contract
from cityledger.lifecycle.parts.plan import Part, Resume
from cityledger.lifecycle.readers import encoding
from cityledger.lifecycle.readers.base import ByteStream, Chunk, blocks, read_exactly
from cityledger.lifecycle.readers.csv import read_csv, resume_csv
from cityledger.lifecycle.readers.encoding import decode_settled


class Window:
    """A stretch of a file, as a stream."""

    def __init__(self, stream: BinaryIO, start: int, end: int) -> None:
        self._stream, self._left = stream, end - start
        stream.seek(start)

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes; all that is left for a negative size."""
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._stream.read(wanted) if wanted else b""
        self._left -= len(data)
        return data


def read_part(stream: BinaryIO, part: Part, contract: Contract, where: str) -> Iterator[Chunk]:
    """Read one part of a landed file.

    Args:
        stream: The whole object, seekable.
        part: Which stretch of it.
        contract: Format, columns and layout.
        where: Names the file in errors.

    Raises:
        BadInputError: as the format's reader.
    """
    window = Window(stream, part.start, part.end)
    if part.resume is None:
        return read_csv(window, contract, where)
    return _resume(window, part.resume, contract, where)


def _resume(window: ByteStream, at: Resume, contract: Contract, where: str) -> Iterator[Chunk]:
    at_hand = read_exactly(window, at.at_hand)
    return resume_csv(
        decode_settled(at_hand, blocks(window, encoding.BLOCK), at.codec),
        contract,
        where,
        delimiter=at.delimiter,
        names=at.names,
        line=at.line,
    )
