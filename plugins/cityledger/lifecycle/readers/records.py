r"""Cuts delimited UTF-8 text into records, each with its physical line number.

Numpy looks at whole blocks. Counts of delimiters and line ends show most blocks to be regular;
otherwise their positions outside quotes give the number of fields of every record at once. Only
what is odd (a ragged record, a stray quote, a NUL byte, a byte that could not be decoded) is looked
at one by one. What leaves here as good is regular CSV with ``\n`` between records, which any parser
reads the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cityledger.lifecycle.readers.base import Reject, reject

#: A longer record is a broken quote or no text at all.
MAX_RECORD = 1 << 20

_LF, _CR, _QUOTE = 10, 13, 34
# Work in slices that stay in the processor's cache.
_SLICE = 1 << 20

Positions = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@dataclass(slots=True)
class Records:
    r"""Good records of one block.

    Attributes:
        data: Regular CSV, each record ended by ``\n``.
        lines: Physical line on which each record starts, 1-based.
        quoted: Whether ``data`` has quotes.
        recount: Set when ``data`` has as many delimiters as its records need but nobody looked
            whether each has its share: call it for the truth when the parser meets a record with
            too many fields.
    """

    data: bytes
    lines: Positions
    quoted: bool
    rejects: list[Reject] = field(default_factory=list)
    recount: Callable[[], Records] | None = None


@dataclass(slots=True)
class _Cut:
    """Complete records of a buffer, before they are judged."""

    data: bytes
    lines: Positions
    quoted: bool
    rest: bytes
    rejects: list[Reject] = field(default_factory=list)


class RecordScanner:
    """Feed it blocks in order; it gives back good records and reasoned rejects.

    Args:
        delimiter: One ASCII byte.
        fields: Fields that a record must have.
        line: Physical line on which the first byte lies.
    """

    def __init__(self, delimiter: bytes, fields: int, line: int = 1) -> None:
        self._delimiter = delimiter
        self._fields = fields
        self._line = line
        self._rest = b""
        self._skipping = False
        self._grammar = RecordGrammar(delimiter)

    def feed(self, block: bytes) -> Records:
        """Scan the next block; an incomplete last record waits for the next one."""
        return self._scan(block, final=False)

    def finish(self) -> Records:
        """Scan what is left; the last record needs no line end."""
        return self._scan(b"", final=True)

    def skim(self, block: bytes, decode: Callable[[bytes], bytes]) -> int | None:
        """Pass over the next block without judging its records.

        Args:
            block: In an encoding whose line ends and quotes are single bytes, as in ASCII.
            decode: Makes UTF-8 of it, where line ends and quotes don't say enough.

        Returns:
            The physical line of the next record if the block ends where a record does.
        """
        if not self._rest and not self._skipping and _is_plain(block):
            self._line += _count_lines(block)
            return self._line
        self._advance(decode(block), final=False)
        return None if self._rest or self._skipping else self._line

    def _scan(self, block: bytes, *, final: bool) -> Records:
        cut = self._advance(block, final=final)
        if cut is None:
            return Records(b"", _NO_LINES, quoted=False)
        judge = _Judge(cut, self._delimiter, self._fields)
        return judge.at_a_glance() or judge.records()

    def _advance(self, block: bytes, *, final: bool) -> _Cut | None:
        """Cut the next block; None within a line without end."""
        buffer = self._rest + block if self._rest else block
        if self._skipping:
            buffer = self._skip(buffer)
            if self._skipping:
                return None
        cut = self._cut(buffer, final=final)
        self._rest = cut.rest
        if len(self._rest) > MAX_RECORD and not final:
            cut.rejects.append(self._give_up())
        return cut

    def _cut(self, buffer: bytes, *, final: bool) -> _Cut:
        if b'"' not in buffer:
            return self._cut_plain(buffer, final=final)
        return self._cut_quoted(buffer, final=final) or self._cut_irregular(buffer, final=final)

    def _cut_plain(self, buffer: bytes, *, final: bool) -> _Cut:
        held = b""
        if b"\r" in buffer:
            if buffer.endswith(b"\r") and not final:
                # The line end may be \r\n, with its \n in the next block.
                buffer, held = buffer[:-1], b"\r"
            buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if final and buffer and not buffer.endswith(b"\n"):
            buffer += b"\n"
        end = buffer.rfind(b"\n") + 1
        data = buffer[:end]
        count = int(np.count_nonzero(np.frombuffer(data, np.uint8) == _LF))
        lines = np.arange(self._line, self._line + count, dtype=np.int64)
        self._line += count
        return _Cut(data, lines, quoted=False, rest=buffer[end:] + held)

    def _cut_quoted(self, buffer: bytes, *, final: bool) -> _Cut | None:
        """Cut a buffer whose every quote stands where RFC 4180 wants it; None if one doesn't."""
        if final and buffer[-1:] not in (b"\n", b"\r"):
            buffer += b"\n"
        raw = np.frombuffer(buffer, np.uint8)
        if not _quotes_are_regular(raw, self._delimiter[0], final=final):
            return None
        outside = _outside(raw)
        line_end = _line_ends(raw)
        ends = np.flatnonzero(line_end & outside)
        if not final and len(ends) and ends[-1] == len(raw) - 1 and raw[-1] == _CR:
            ends = ends[:-1]
        stop = int(ends[-1]) + 1 if len(ends) else 0
        longest = max(np.diff(ends, prepend=-1).max(initial=0), len(raw) - stop)
        if longest > MAX_RECORD:
            return None
        if not stop:
            return _Cut(b"", _NO_LINES, quoted=True, rest=buffer)
        all_ends = np.flatnonzero(line_end[:stop])
        starts = np.concatenate([_ZERO, ends[:-1] + 1])
        lines = self._line + np.searchsorted(all_ends, starts)
        self._line += len(all_ends)
        data = _with_plain_ends(raw[:stop], outside[:stop])
        return _Cut(data, lines, quoted=True, rest=buffer[stop:])

    def _cut_irregular(self, buffer: bytes, *, final: bool) -> _Cut:
        """One record at a time: a broken quote costs its physical line, nothing more."""
        out: list[bytes] = []
        lines: list[int] = []
        rejects: list[Reject] = []
        position = 0
        for item in self._grammar.records(buffer, final=final):
            lines.extend(range(self._line, self._line + item.records))
            out.append(item.data)
            if item.reason:
                rejects.append(reject(self._line, item.reason, _show(item.text)))
            self._line += item.lines
            position = item.end
        data = b"".join(out)
        return _Cut(
            data,
            np.array(lines, dtype=np.int64),
            quoted=b'"' in data,
            rest=buffer[position:],
            rejects=rejects,
        )

    def _give_up(self) -> Reject:
        """A line without end: reject it once and skip to the next line end."""
        text = _show(self._rest[: MAX_RECORD // 64])
        self._rest, self._skipping = b"", True
        return reject(self._line, "record_too_long", text)

    def _skip(self, buffer: bytes) -> bytes:
        match = re.search(rb"\r\n|\n|\r(?!\Z)", buffer)
        if match is None:
            self._rest = b"\r" if buffer.endswith(b"\r") else b""
            return b""
        self._skipping = False
        self._line += 1
        return buffer[match.end() :]


@dataclass(frozen=True, slots=True)
class Item:
    """One step through irregular text: some plain records, one quoted record, or a bad line.

    Attributes:
        data: Regular CSV of ``records`` records.
        lines: Physical lines it took.
        end: Where it ended in the buffer.
        reason: Why ``text`` is rejected; empty when it isn't.
    """

    data: bytes
    records: int
    lines: int
    end: int
    reason: str = ""
    text: bytes = b""


class RecordGrammar:
    """A quote is special at the start of a field only, and must close before the field's end."""

    def __init__(self, delimiter: bytes) -> None:
        mark = re.escape(delimiter)
        quoted = rb'"(?:[^"]++|"")*+"(?=[\r\n' + mark + rb"]|\Z)"
        literal = rb'[^"\r\n' + mark + rb"][^\r\n" + mark + rb"]*+"
        field_ = rb"(?:" + quoted + rb"|" + literal + rb"|)"
        self._delimiter = delimiter
        self._plain = re.compile(rb'(?:[^"\r\n]*+\n)++')
        self._record = re.compile(
            rb"(" + field_ + rb"(?:" + mark + field_ + rb")*+)(\r\n|\n|\r|\Z)"
        )
        self._field = re.compile(rb"(" + field_ + rb")(" + mark + rb"|\Z)")
        self._line_end = re.compile(rb"\r\n|\n|\r")

    def records(self, buffer: bytes, *, final: bool) -> Iterator[Item]:
        """Step through a buffer; stops before an incomplete last record unless it is final."""
        position = 0
        while position < len(buffer):
            item = self._plain_run(buffer, position) or self._one(buffer, position, final=final)
            if item is None:
                return
            yield item
            position = item.end

    def take(self, buffer: bytes, position: int) -> tuple[int, int, bytes]:
        """One record at ``position``: its end, physical lines and text; broken quotes or not."""
        item = self._one(buffer, position, final=True)
        if item is None:
            return len(buffer), 1, buffer[position:]
        return item.end, item.lines, item.text or item.data[:-1]

    def split(self, record: bytes) -> list[bytes]:
        """The fields of one record, unquoted."""
        return [
            text[1:-1].replace(b'""', b'"') if text.startswith(b'"') else text
            for text in self._fields(record)
        ]

    def _fields(self, record: bytes) -> Iterator[bytes]:
        position = 0
        while match := self._field.match(record, position):
            yield match[1]
            if not match[2]:
                return
            position = match.end()

    def _plain_run(self, buffer: bytes, position: int) -> Item | None:
        match = self._plain.match(buffer, position)
        if match is None:
            return None
        count = match[0].count(b"\n")
        return Item(match[0], count, count, match.end())

    def _one(self, buffer: bytes, position: int, *, final: bool) -> Item | None:
        if not final and self._may_go_on(buffer, position):
            return None
        window = min(len(buffer), position + MAX_RECORD)
        match = self._record.match(buffer, position, window)
        if match is None or (not match[2] and match.end() < len(buffer)):
            return self._bad_line(buffer, position)
        lines = len(re.findall(rb"\r\n|\n|\r", match[0])) or 1
        return Item(self._regular(match[1]) + b"\n", 1, lines, match.end())

    def _may_go_on(self, buffer: bytes, position: int) -> bool:
        """Whether the next block could change what the record at ``position`` is."""
        if len(buffer) - position >= MAX_RECORD:
            return self._next_line_end(buffer, position)[0] == len(buffer)
        match = self._record.match(buffer, position)
        return match is None or (match.end() == len(buffer) and match[2] != b"\n")

    def _bad_line(self, buffer: bytes, position: int) -> Item:
        start, end = self._next_line_end(buffer, position)
        reason = "record_too_long" if start - position > MAX_RECORD else "bad_quotes"
        return Item(b"", 0, 1, end, reason, buffer[position:start])

    def _next_line_end(self, buffer: bytes, position: int) -> tuple[int, int]:
        match = self._line_end.search(buffer, position)
        return match.span() if match else (len(buffer), len(buffer))

    def _regular(self, record: bytes) -> bytes:
        if b'"' not in record:
            return record
        return self._delimiter.join(
            b'"' + text.replace(b'"', b'""') + b'"'
            if b'"' in text and not text.startswith(b'"')
            else text
            for text in self._fields(record)
        )


class _Judge:
    """Finds the records of a cut that are not good and takes them out."""

    def __init__(self, cut: _Cut, delimiter: bytes, fields: int) -> None:
        self._cut = cut
        self._fields = fields
        self._delimiter = delimiter[0]
        self._data = cut.data
        self._ends: Positions = _NO_LINES
        self._counts: Positions | None = None

    def at_a_glance(self) -> Records | None:
        """All records as good, when nothing speaks against it but a look at each of them."""
        cut = self._cut
        if cut.quoted or self._fields == 1 or b"\0" in cut.data:
            return None
        if not _counts_fit(cut, self._delimiter, self._fields) or not _is_utf8(cut.data):
            return None
        return Records(cut.data, cut.lines, False, cut.rejects, recount=self.records)

    def records(self) -> Records:
        """The good records; rejects for the others."""
        cut = self._cut
        self._ends, self._counts = _structure(cut, self._delimiter, self._fields)
        lines = cut.lines
        bad = self._bad()
        if not bad:
            return Records(self._data, lines, cut.quoted, cut.rejects)
        for index, reason in sorted(bad.items()):
            if reason != "blank_line":
                cut.rejects.append(reject(int(lines[index]), reason, _show(self._record(index))))
        keep = np.ones(len(lines), dtype=bool)
        keep[list(bad)] = False
        return Records(self._without(sorted(bad)), lines[keep], cut.quoted, cut.rejects)

    def _bad(self) -> dict[int, str]:
        bad: dict[int, str] = {}
        if self._counts is not None:
            for index in np.flatnonzero(self._counts != self._fields).tolist():
                bad[index] = self._ragged(index, int(self._counts[index]))
        if self._fields == 1:
            blank = np.flatnonzero(np.diff(self._ends, prepend=-1) == 1).tolist()
            bad |= dict.fromkeys(blank, "blank_line")
        if len(self._ends) and np.diff(self._ends, prepend=-1).max() > MAX_RECORD:
            long = np.flatnonzero(np.diff(self._ends, prepend=-1) > MAX_RECORD).tolist()
            bad |= dict.fromkeys(long, "record_too_long")
        bad |= dict.fromkeys(self._holding(_nul_positions(self._data)), "nul_byte")
        if not _is_utf8(self._data):
            bad |= dict.fromkeys(self._undecodable(), "undecodable")
        return bad

    def _ragged(self, index: int, count: int) -> str:
        if count == 1 and not self._record(index).strip():
            return "blank_line"
        return "too_many_fields" if count > self._fields else "too_few_fields"

    def _holding(self, positions: Positions) -> list[int]:
        found: list[int] = np.unique(np.searchsorted(self._ends, positions)).tolist()
        return found

    def _undecodable(self) -> list[int]:
        return [i for i in range(len(self._ends)) if not _is_utf8(self._record(i))]

    def _start(self, index: int) -> int:
        return int(self._ends[index - 1]) + 1 if index else 0

    def _record(self, index: int) -> bytes:
        return self._data[self._start(index) : int(self._ends[index])]

    def _without(self, bad: list[int]) -> bytes:
        parts = []
        position = 0
        view = memoryview(self._data)
        for index in bad:
            parts.append(view[position : self._start(index)])
            position = int(self._ends[index]) + 1
        parts.append(view[position:])
        return b"".join(parts)


_ZERO = np.zeros(1, dtype=np.int64)
_NO_LINES = np.zeros(0, dtype=np.int64)


def _is_plain(block: bytes) -> bool:
    """Whether a block is whole lines, each of them a record."""
    return block.endswith(b"\n") and b'"' not in block


def _count_lines(block: bytes) -> int:
    r"""Line ends of a block that does not end within a ``\r\n``."""
    count = block.count(b"\n")
    if b"\r" in block:
        count += block.count(b"\r") - block.count(b"\r\n")
    return count


def _counts_fit(cut: _Cut, delimiter: int, fields: int) -> bool:
    """Whether there are as many delimiters as the records need, and no record is too long."""
    raw = np.frombuffer(cut.data, np.uint8)
    found = 0
    # Two line ends lie at most two slices apart when every slice has one.
    step = MAX_RECORD // 2
    for start in range(0, len(raw), step):
        part = raw[start : start + step]
        if not np.count_nonzero(part == _LF):
            return False
        found += int(np.count_nonzero(part == delimiter))
    return found == (fields - 1) * len(cut.lines)


def _structure(cut: _Cut, delimiter: int, fields: int) -> tuple[Positions, Positions | None]:
    """Ends of all records, and their field counts unless all are as wanted."""
    raw = np.frombuffer(cut.data, np.uint8)
    mask = np.empty(len(raw), dtype=bool)
    for start in range(0, len(raw), _SLICE):
        part = raw[start : start + _SLICE]
        np.logical_or(part == delimiter, part == _LF, out=mask[start : start + _SLICE])
    if cut.quoted:
        mask &= _outside(raw)
    marks = np.flatnonzero(mask)
    if fields and len(marks) == fields * len(cut.lines):
        ends = marks[fields - 1 :: fields]
        # A cut has one line end per record; they stand where records must end, so the other
        # marks are delimiters.
        if (raw[ends] == _LF).all():
            return ends, None
    at = np.flatnonzero(raw[marks] == _LF)
    return marks[at], np.diff(at, prepend=-1)


def _quotes_are_regular(raw: Bytes, delimiter: int, *, final: bool) -> bool:
    """Whether each quote opens at a field's start, closes at its end, or is doubled."""
    quotes = np.flatnonzero(raw == _QUOTE)
    if len(quotes) % 2 and final:
        return False
    border = np.zeros(256, dtype=bool)
    border[[delimiter, _LF, _CR, _QUOTE]] = True
    opening, closing = quotes[0::2], quotes[1::2]
    before = opening[opening > 0] - 1
    after = closing[closing < len(raw) - 1] + 1
    return bool(border[raw[before]].all() and border[raw[after]].all())


def _outside(raw: Bytes) -> npt.NDArray[np.bool_]:
    """True where a byte lies outside quotes (the parity of quotes before it is even)."""
    inside = np.bitwise_xor.accumulate((raw == _QUOTE).view(np.uint8))
    outside: npt.NDArray[np.bool_] = inside == 0
    return outside


def _line_ends(raw: Bytes) -> npt.NDArray[np.bool_]:
    r"""True at the last byte of each physical line end: ``\n``, ``\r\n`` or a lone ``\r``."""
    ends: npt.NDArray[np.bool_] = raw == _LF
    carriage = np.flatnonzero(raw == _CR)
    if len(carriage):
        following = np.minimum(carriage + 1, len(raw) - 1)
        ends[carriage[(raw[following] != _LF)]] = True
    return ends


def _with_plain_ends(raw: Bytes, outside: npt.NDArray[np.bool_]) -> bytes:
    r"""Make each line end outside quotes a ``\n``."""
    carriage = np.flatnonzero((raw == _CR) & outside)
    if not len(carriage):
        return raw.tobytes()
    following = np.minimum(carriage + 1, len(raw) - 1)
    lone = carriage[raw[following] != _LF]
    plain = raw.copy()
    plain[lone] = _LF
    return np.delete(plain, np.setdiff1d(carriage, lone, assume_unique=True)).tobytes()


def _nul_positions(data: bytes) -> Positions:
    if b"\0" not in data:
        return _NO_LINES
    return np.flatnonzero(np.frombuffer(data, np.uint8) == 0)


def _is_utf8(data: bytes) -> bool:
    """Strict check outside the interpreter lock and without a copy."""
    offsets = pa.py_buffer(np.array([0, len(data)], dtype=np.int64))
    array = pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, pa.py_buffer(data)])
    try:
        array.cast(pa.large_string())
    except pa.ArrowInvalid:
        return False
    return True


def _show(record: bytes) -> str:
    return record.decode("utf-8", "backslashreplace")
