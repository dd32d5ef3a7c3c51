"""What every reader yields, and how a reject is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import polars as pl

#: Longest text of a rejected record that is kept; the whole of it stays in the landed file.
MAX_REJECT_TEXT = 2_000

#: Reasons that layouts foresee. They are accounted for, but don't count against the gate.
EXPECTED_REASONS = frozenset({"total_row", "note", "group_heading", "blank_record"})


class Reject(NamedTuple):
    """A record that is not of the contract's shape.

    Attributes:
        row: 1-based physical line (text formats) or row (workbooks).
        reason: Stable code: ``too_few_fields``, ``too_many_fields``, ``nul_byte``,
            ``undecodable``, ``bad_quotes``, ``record_too_long``, ``not_an_object``,
            ``invalid_json``, or one of `EXPECTED_REASONS`.
        text: The record as far as it can be shown, at most `MAX_REJECT_TEXT` characters.
    """

    row: int
    reason: str
    text: str


def reject(row: int, reason: str, text: str) -> Reject:
    """A reject with its text bounded."""
    if len(text) > MAX_REJECT_TEXT:
        text = f"{text[:MAX_REJECT_TEXT]}… ({len(text)} characters)"
    return Reject(row, reason, text)


@dataclass(slots=True)
class Chunk:
    """Some records of one file, in file order.

    Attributes:
        frame: All contract columns as String, in the contract's order, then ``_source_row`` Int64.
        rejects: In no particular order relative to ``frame``.
        totals: Control totals found among the rejects.
        drift: Notes on the header (first chunk of a file).
    """

    frame: pl.DataFrame
    rejects: list[Reject] = field(default_factory=list)
    totals: list[dict[str, str]] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)


class ByteStream(Protocol):
    """The part of a binary file that readers use."""

    def read(self, size: int = -1, /) -> bytes: ...


def read_exactly(stream: ByteStream, size: int) -> bytes:
    """Read ``size`` bytes, fewer only at the end.

    Network streams return short reads; batch boundaries, and so the bytes of our Parquet files,
    must not depend on them.
    """
    data = stream.read(size)
    if len(data) == size or not data:
        return data
    parts = [data]
    missing = size - len(data)
    while missing:
        data = stream.read(missing)
        if not data:
            break
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)


def blocks(stream: ByteStream, size: int) -> Iterator[bytes]:
    """Blocks of exactly ``size`` bytes, the last one shorter."""
    while data := read_exactly(stream, size):
        yield data
