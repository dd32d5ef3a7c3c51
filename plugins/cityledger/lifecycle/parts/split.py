"""Split: where a landed file can be cut so that its parts are read as the whole would be.

One reading of the stored bytes. A cut lies where the whole file's reader, too, goes from one block
to the next with no record open, so parts make the very batches that the whole way makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError
from cityledger.lifecycle.parts.plan import Part, Plan, Resume
from cityledger.lifecycle.readers.archives import members
from cityledger.lifecycle.readers.csv import Top, find_top
from cityledger.lifecycle.readers.encoding import begin, in_utf8, settled_codec, whole_lines
from cityledger.lifecycle.readers.records import RecordScanner
from cityledger.records import LandedObject, Receipt
from cityledger.storage.copies import Open

#: Airflow maps a task over 1,024 items at most, unless it is told otherwise.
MAX_PARTS = 1_000


class _WholeError(Exception):
    """The delivery has to be judged as a whole; says why."""


def split(receipt: Receipt, contract: Contract, opened: Open, part_bytes: int) -> Plan:
    """Plan the parts of a delivery.

    Args:
        receipt: Of the delivery.
        contract: Its layout says what the files look like.
        opened: Opens a landed object.
        part_bytes: Objects larger than this are cut into parts of at least this size.

    Returns:
        A plan without parts when the delivery is to be judged as a whole. Whatever is wrong with
        the input is left to that way, which tells it as ever.
    """
    total = sum(landed.size for landed in receipt.objects)
    wanted = max(part_bytes, total // MAX_PARTS + 1)
    try:
        _check(receipt, contract, part_bytes)
        parts: list[Part] = []
        for index, landed in enumerate(receipt.objects):
            with opened(landed) as stream:
                for start, end, resume in _stretches(stream, landed, contract, wanted):
                    number = len(parts) + 1
                    parts.append(
                        Part(number=number, object=index, start=start, end=end, resume=resume)
                    )
    except _WholeError as why:
        return Plan(whole=str(why))
    except BadInputError as error:
        return Plan(whole=f"its files cannot be read ({error.code})")
    if len(parts) == len(receipt.objects):
        return Plan(whole="there is no place to cut it")
    return Plan(parts=tuple(parts))


def _check(receipt: Receipt, contract: Contract, part_bytes: int) -> None:
    layout = contract.layout
    if all(landed.size <= part_bytes for landed in receipt.objects):
        raise _WholeError("no file is larger than a part")
    if layout.format != "csv":
        raise _WholeError(f"files of format {layout.format} are read from their beginning")
    if layout.group_column is not None:
        raise _WholeError("its group headings count for all rows below them")


_Stretch = tuple[int, int, Resume | None]


def _stretches(
    stream: BinaryIO, landed: LandedObject, contract: Contract, wanted: int
) -> Iterator[_Stretch]:
    layout = contract.layout
    member = next(members(stream, landed.name, landed.size, layout.max_bytes, layout.format))
    if member.stream is not stream:
        raise _WholeError("an archive is read from its beginning")
    start, resume = 0, None
    if landed.size > wanted:
        for at, following in _cuts(stream, landed, contract):
            if at - start >= wanted and at < landed.size:
                yield start, at, resume
                start, resume = at, following
    yield start, landed.size, resume


def _cuts(
    stream: BinaryIO, landed: LandedObject, contract: Contract
) -> Iterator[tuple[int, Resume]]:
    """All places where a file can be cut, with what a reader must know that starts there."""
    top = begin(stream, contract.layout.encoding, landed.name)
    if not top.bytewise:
        raise _WholeError(f"text in {top.codec} is read from its beginning")
    source = _Counted(top.source, top.mark)
    position = top.mark
    codec: str | None = None
    skimmer = _Skimmer(contract, landed.name)
    for piece in whole_lines(iter(source)):
        codec = codec or settled_codec(piece, top.codec, landed.name)
        position += len(piece)
        line = skimmer.next_line(piece, codec)
        if line is not None and skimmer.top is not None:
            yield (
                position,
                Resume(
                    codec=codec,
                    delimiter=skimmer.top.delimiter,
                    names=skimmer.top.header.names,
                    line=line,
                    at_hand=source.count - position,
                ),
            )


class _Counted:
    """Counts the bytes of blocks as they are taken."""

    def __init__(self, source: Iterator[bytes], count: int) -> None:
        self._source, self.count = source, count

    def __iter__(self) -> Iterator[bytes]:
        for block in self._source:
            self.count += len(block)
            yield block


class _Skimmer:
    """Finds the header as the reader does, then passes over records without looking at them."""

    def __init__(self, contract: Contract, where: str) -> None:
        self._contract, self._where = contract, where
        self._head = b""
        self._scanner = RecordScanner(b",", 0)
        self.top: Top | None = None

    def next_line(self, piece: bytes, codec: str | None) -> int | None:
        """The line on which the next record starts if the piece ends with one."""
        decode = partial(in_utf8, codec=codec)
        if self.top is not None:
            return self._scanner.skim(piece, decode)
        self._head += decode(piece)
        if not self._head.strip():
            return None
        self.top = find_top(self._head, self._contract, self._where)
        fields = len(self.top.header.names)
        self._scanner = RecordScanner(self.top.delimiter.encode(), fields, self.top.line)
        return self._scanner.skim(self._head[self.top.end :], bytes)
