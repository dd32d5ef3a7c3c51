"""JSON lines and JSON arrays of objects; numbers keep their spelling."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, NamedTuple

import polars as pl

from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError
from cityledger.lifecycle.readers.base import ByteStream, Chunk, reject
from cityledger.lifecycle.readers.encoding import decode_blocks, not_empty
from cityledger.lifecycle.readers.headers import match_texts
from cityledger.lifecycle.readers.records import MAX_RECORD

_CHUNK_RECORDS = 50_000


class _Number(float):
    """A JSON number with a fraction, as it was spelled."""

    text: str

    def __new__(cls, text: str) -> _Number:
        number = super().__new__(cls, text)
        number.text = text
        return number


class _RepeatedKeyError(ValueError):
    """An object names a key twice."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _RepeatedKeyError
    return value


_DECODER = json.JSONDecoder(parse_float=_Number, object_pairs_hook=_unique)

_SPACE = re.compile(r"[ \t\r\n]*")
_BETWEEN = re.compile(r"[ \t\r\n]*,?[ \t\r\n]*")


class _Element(NamedTuple):
    """One record: where it starts, its text, and its value or the reason why it has none."""

    line: int
    text: str
    value: Any
    reason: str


def read_json_lines(stream: ByteStream, contract: Contract, where: str) -> Iterator[Chunk]:
    """Read one JSON object a line.

    A line that is no JSON object is rejected alone. Nested values are kept as JSON text, numbers
    as they are spelled; JSON's null is null.

    Raises:
        BadInputError: ``empty_file``, ``wrong_encoding``, or what the keys lack
            (see :func:`~cityledger.lifecycle.readers.headers.match_texts`).
    """
    blocks = not_empty(decode_blocks(stream, contract.layout.encoding, where), where)
    yield from _chunks(_line_elements(blocks), contract, where)


def read_json(stream: ByteStream, contract: Contract, where: str) -> Iterator[Chunk]:
    """Read an array of JSON objects; a file that starts with ``{`` is read as JSON lines.

    Raises:
        BadInputError: ``invalid_json`` with the line where the array breaks (what follows can't
            be found again), or as :func:`read_json_lines`.
    """
    blocks = not_empty(decode_blocks(stream, contract.layout.encoding, where), where)
    first = next(blocks)
    whole = chain([first], blocks)
    if first.lstrip()[:1] == b"{":
        yield from _chunks(_line_elements(whole), contract, where)
    else:
        yield from _chunks(_ArrayScanner(whole, where).elements(), contract, where)


def _line_elements(blocks: Iterable[bytes]) -> Iterator[_Element]:
    for number, line in enumerate(_lines(blocks), start=1):
        if len(line) > MAX_RECORD:
            text = line[: MAX_RECORD // 64].decode("utf-8", "replace")
            yield _Element(number, text, None, "record_too_long")
        elif line.strip():
            yield _line_element(number, line)


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends; of an endless line, a little more than `MAX_RECORD` bytes."""
    rest = b""
    for block in blocks:
        *lines, tail = block.split(b"\n")
        if lines:
            lines[0] = rest + lines[0]
            rest = b""
            yield from lines
        rest = rest + tail if len(rest) <= MAX_RECORD else rest
    if rest:
        yield rest


def _line_element(number: int, line: bytes) -> _Element:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return _Element(number, line.decode("utf-8", "backslashreplace"), None, "undecodable")
    try:
        value, end = _DECODER.raw_decode(text, _SPACE.match(text).end())  # type: ignore[union-attr]
    except _RepeatedKeyError:
        return _Element(number, text, None, "duplicate_key")
    except (ValueError, RecursionError):
        return _Element(number, text, None, "invalid_json")
    reason = "invalid_json" if text[end:].strip() else ""
    return _Element(number, text, value, reason)


class _ArrayScanner:
    """Takes the elements of an array apart without holding the array."""

    def __init__(self, blocks: Iterable[bytes], where: str) -> None:
        self._blocks = iter(blocks)
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._where = where
        self._buffer = ""
        self._at = 0
        self._line = 1
        self._ended = False

    def elements(self) -> Iterator[_Element]:
        """The array's elements with the lines on which they start."""
        self._skip(_SPACE)
        if self._next() != "[":
            raise self._broken("it does not start with [ or {")
        self._advance(self._at + 1)
        self._skip(_SPACE)
        while self._next() != "]":
            yield self._element()
            self._skip(_BETWEEN)
        self._advance(self._at + 1)
        self._skip(_SPACE)
        if self._next():
            raise self._broken("there is more after the array's ]")

    def _element(self) -> _Element:
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._at)
            except _RepeatedKeyError:
                raise self._broken("an object names a key twice") from None
            except (ValueError, RecursionError):
                end = -1
            if end >= 0 and (end < len(self._buffer) or not self._more()):
                element = _Element(self._line, self._buffer[self._at : end], value, "")
                self._advance(end)
                return element
            if end < 0 and (len(self._buffer) - self._at > 2 * MAX_RECORD or not self._more()):
                raise self._broken("an element is no JSON, or the array is cut off")

    def _next(self) -> str:
        while self._at >= len(self._buffer):
            if not self._more():
                return ""
        return self._buffer[self._at]

    def _skip(self, pattern: re.Pattern[str]) -> None:
        while match := pattern.match(self._buffer, self._at):
            self._advance(match.end())
            if self._at < len(self._buffer) or not self._more():
                return

    def _advance(self, at: int) -> None:
        self._line += self._buffer.count("\n", self._at, at)
        self._at = at

    def _more(self) -> bool:
        block = next(self._blocks, None)
        if block is None:
            return False
        # An undecodable byte becomes a lone surrogate, which rejects its record later on.
        self._buffer = self._buffer[self._at :] + self._decoder.decode(block)
        self._at = 0
        return True

    def _broken(self, why: str) -> BadInputError:
        return BadInputError(
            f"the JSON array can't be read: {why}",
            where=f"{self._where}, line {self._line}",
            fix="have it written again; JSON lines would lose only the broken record",
            code="invalid_json",
        )


def _chunks(elements: Iterator[_Element], contract: Contract, where: str) -> Iterator[Chunk]:
    keys: dict[str, None] = {}
    while part := list(islice(elements, _CHUNK_RECORDS)):
        for element in part:
            if isinstance(element.value, dict) and not element.reason:
                keys.update(dict.fromkeys(element.value))
        yield _chunk(part, list(keys), contract, where)


def _chunk(part: list[_Element], keys: list[str], contract: Contract, where: str) -> Chunk:
    names, drift = match_texts(keys, contract, where) if keys else ((), ())
    column_of = dict(zip(keys, names, strict=True))
    rows: list[dict[str, str | None]] = []
    lines: list[int] = []
    rejects = []
    for element in part:
        row = _row(element, column_of)
        if isinstance(row, str):
            rejects.append(reject(element.line, row, element.text))
        else:
            rows.append(row)
            lines.append(element.line)
    schema = dict.fromkeys((column.name for column in contract.columns), pl.String)
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        pl.Series("_source_row", lines, pl.Int64)
    )
    return Chunk(frame, rejects, drift=list(drift))


def _row(element: _Element, column_of: dict[str, str | None]) -> dict[str, str | None] | str:
    """Texts by column, or the reason why there are none."""
    if element.reason:
        return element.reason
    if not isinstance(element.value, dict):
        return "not_an_object"
    row = {
        column: _text(value)
        for key, value in element.value.items()
        if (column := column_of[key]) is not None
    }
    return _unstorable("".join(text for text in row.values() if text)) or row


def _unstorable(text: str) -> str:
    if "\0" in text:
        return "nul_byte"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "undecodable"
    return ""


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, _Number):
        return value.text
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
