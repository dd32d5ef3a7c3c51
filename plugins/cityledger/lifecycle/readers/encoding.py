"""Bytes of unknown or known encoding → UTF-8, record by record where they can't be read.

Order of detection: byte order mark, strict UTF-8, strict GB 18030. What can't be decoded becomes
the byte 0xFF (never valid in UTF-8), so the record scanner rejects exactly the records that hold
one.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import chain, islice

from cityledger.errors import BadInputError
from cityledger.lifecycle.readers.base import ByteStream, blocks, read_exactly

BLOCK = 16 << 20
# The codec holds the interpreter lock while it runs: small pieces let the other threads work.
_PIECE = 128 << 10
_SAMPLE_LINES = 20_000
_HANZI = 3
_LONGEST_LINE = 32 << 20

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

#: GB 18030-2022 moved 19 two-byte codes out of the private use area (ten vertical forms, eight
#: hanzi, and U+1E3F as in the 2005 edition); Python's codec still has the mapping of 2000.
GB18030_2022 = {
    0xE7C7: 0x1E3F,
    0xE78D: 0xFE10,
    0xE78E: 0xFE12,
    0xE78F: 0xFE11,
    0xE790: 0xFE13,
    0xE791: 0xFE14,
    0xE792: 0xFE15,
    0xE793: 0xFE16,
    0xE794: 0xFE17,
    0xE795: 0xFE18,
    0xE796: 0xFE19,
    0xE81E: 0x9FB4,
    0xE826: 0x9FB5,
    0xE82B: 0x9FB6,
    0xE82C: 0x9FB7,
    0xE832: 0x9FB8,
    0xE843: 0x9FB9,
    0xE854: 0x9FBA,
    0xE864: 0x9FBB,
}
_REMAP = [(chr(old).encode(), chr(new).encode()) for old, new in GB18030_2022.items()]
# Lead byte of U+E000–U+EFFF in UTF-8: without it nothing needs the map.
_PRIVATE_LEAD = b"\xee"

_MARK = "cityledger-mark"


def _mark_undecodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    # A broken code of four bytes at the end of a line would take the line end with it, and its
    # record would run on into the next one.
    end = error.start + 1 if error.encoding == "gb18030" else error.end
    return "\udcff", end


codecs.register_error(_MARK, _mark_undecodable)


def decode_blocks(stream: ByteStream, encoding: str, where: str) -> Iterator[bytes]:
    """Read the stream as UTF-8 blocks without byte order mark.

    Args:
        stream: Decompressed bytes.
        encoding: ``auto`` or a codec name (``gbk`` and ``gb2312`` are read as GB 18030).
        where: Names the file in errors.

    Returns:
        Blocks of about `BLOCK` bytes; 0xFF stands for bytes that can't be decoded.

    Raises:
        BadInputError: ``wrong_encoding`` when most lines can't be read.
    """
    top = begin(stream, encoding, where)
    if top.bytewise:
        return _bytewise(top.source, top.codec, where)
    return _incremental(top.source, top.codec)


@dataclass(frozen=True, slots=True)
class Beginning:
    """A file whose byte order mark has been looked at.

    Attributes:
        codec: What it says, or the contract; ``auto`` while nobody has said anything.
        mark: Bytes that the mark takes.
        source: Blocks of what follows the mark.
    """

    codec: str
    mark: int
    source: Iterator[bytes]

    @property
    def bytewise(self) -> bool:
        """Whether line ends are single bytes that are nothing else."""
        return self.codec in ("auto", "utf-8", "gb18030")


def begin(stream: ByteStream, encoding: str, where: str) -> Beginning:
    """Read a file's byte order mark; arguments and errors as of :func:`decode_blocks`."""
    first = read_exactly(stream, BLOCK)
    codec, rest = _strip_bom(first, _canonical(encoding, where), where)
    return Beginning(codec, len(first) - len(rest), _chain(rest, stream))


def settled_codec(data: bytes, codec: str, where: str) -> str | None:
    """What a file's whole lines show its encoding to be; None while they are plain ASCII.

    Args:
        data: The file's first lines (:func:`whole_lines`), or the next ones after plain ASCII.
        codec: As :func:`begin` found it.
        where: Names the file in errors.

    Raises:
        BadInputError: ``wrong_encoding``.
    """
    return None if data.isascii() else _settle(data, codec, where)


def decode_settled(at_hand: bytes, source: Iterator[bytes], codec: str | None) -> Iterator[bytes]:
    """The rest of a file whose encoding is known: blocks as :func:`decode_blocks` makes them.

    Args:
        at_hand: Bytes from the start of a line on; the rest of a block whose lines are read.
        source: The blocks after it.
        codec: As :func:`settled_codec` found it.
    """
    return (in_utf8(data, codec) for data in whole_lines(source, at_hand))


def in_utf8(data: bytes, codec: str | None) -> bytes:
    """Whole lines in a settled encoding as UTF-8."""
    return _join(_transcode if codec == "gb18030" else bytes, data)


def not_empty(blocks_: Iterator[bytes], where: str) -> Iterator[bytes]:
    """The same blocks, after making sure that there is more than white space.

    Raises:
        BadInputError: ``empty_file``.
    """
    head = b""
    for block in blocks_:
        head += block
        if head.strip():
            return chain([head], blocks_)
    raise BadInputError(
        "the file is empty",
        where=where,
        fix="have it handed in again; a day without records still has its header",
        code="empty_file",
    )


def decode_text(data: bytes, where: str) -> str:
    """Decode a small file (a control file, a member name) whole.

    Raises:
        BadInputError: ``wrong_encoding``.
    """
    utf8 = b"".join(decode_blocks(BytesIO(data), "auto", where))
    return utf8.decode(errors="replace")


def remap_gb18030(text: str) -> str:
    """Apply the changes of the 2022 edition to text from Python's codec."""
    return text.translate(GB18030_2022)


def _canonical(encoding: str, where: str) -> str:
    if encoding == "auto":
        return encoding
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise BadInputError(
            f"unknown encoding '{encoding}'",
            where=where,
            fix="use auto, utf-8, gb18030, utf-16 or another codec name in the contract",
            code="wrong_encoding",
        ) from None
    aliases = {"gbk": "gb18030", "gb2312": "gb18030", "utf-8-sig": "utf-8", "ascii": "utf-8"}
    return aliases.get(name, name)


def _strip_bom(first: bytes, wanted: str, where: str) -> tuple[str, bytes]:
    for bom, codec in _BOMS:
        if first.startswith(bom):
            if wanted not in ("auto", codec) and not codec.startswith(wanted):
                raise BadInputError(
                    f"the file starts with the byte order mark of {codec}, not {wanted}",
                    where=where,
                    fix="set encoding: auto in the contract, or have the file written as agreed",
                    code="wrong_encoding",
                )
            return codec, first[len(bom) :]
    if wanted == "auto" and first[:4096].count(0) * 4 > len(first[:4096]):
        raise BadInputError(
            "a quarter or more of the bytes are NUL: UTF-16 without a byte order mark, or no text",
            where=where,
            fix="set encoding: utf-16-le (or utf-16-be) in the contract",
            code="wrong_encoding",
        )
    return ("utf-16-le" if wanted == "utf-16" else wanted), first


def _chain(first: bytes, stream: ByteStream) -> Iterator[bytes]:
    if first:
        yield first
        yield from blocks(stream, BLOCK)


def _bytewise(source: Iterator[bytes], codec: str, where: str) -> Iterator[bytes]:
    """UTF-8 or GB 18030: settled by the first block that isn't pure ASCII."""
    lines = whole_lines(source)
    for data in lines:
        if data.isascii():
            yield data
            continue
        settled = _settle(data, codec, where)
        yield in_utf8(data, settled)
        for later in lines:
            yield in_utf8(later, settled)


def _incremental(source: Iterator[bytes], codec: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(codec)(_MARK)
    for data in source:
        yield decoder.decode(data).encode("utf-8", "surrogateescape")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogateescape")


def whole_lines(source: Iterator[bytes], carry: bytes = b"") -> Iterator[bytes]:
    """Cut blocks at line ends, where no multi-byte sequence can be open.

    Args:
        source: The blocks.
        carry: What a former block has left of its last line.
    """
    for block in source:
        end = block.rfind(b"\n") + 1
        if end:
            # Joined from a view: blocks are large enough for a copy to count.
            yield b"".join((carry, memoryview(block)[:end]))
            carry = block[end:]
            continue
        carry += block
        end = carry.rfind(b"\r", 0, -1) + 1
        if not end and len(carry) > _LONGEST_LINE:
            end = len(carry)
        if end:
            yield carry[:end]
            carry = carry[end:]
    if carry:
        yield carry


def _join(transcode: Callable[[bytes], bytes], data: bytes) -> bytes:
    return data if transcode is bytes else b"".join(map(transcode, _pieces(data)))


def _pieces(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + _PIECE) + 1 or len(data)
        if start + _PIECE >= len(data):
            end = len(data)
        yield data[start:end]
        start = end


def _transcode(piece: bytes) -> bytes:
    try:
        utf8 = piece.decode("gb18030").encode()
    except UnicodeDecodeError:
        # Line by line, so that a broken sequence never takes the line end with it.
        utf8 = b"".join(
            line.decode("gb18030", _MARK).encode("utf-8", "surrogateescape")
            for line in piece.splitlines(keepends=True)
        )
    if _PRIVATE_LEAD in utf8:
        for old, new in _REMAP:
            utf8 = utf8.replace(old, new)
    return utf8


def _settle(data: bytes, codec: str, where: str) -> str:
    """Choose between UTF-8 and GB 18030 on the first non-ASCII lines, or check the contract's.

    UTF-8 read as GB 18030 often decodes, to rubbish, because hanzi pair up; GB 18030 read as UTF-8
    hardly ever does. So UTF-8 is always tried, and wins when it reads half of the lines.
    """
    lines = data.splitlines()
    sample = list(islice((line for line in lines if not line.isascii()), _SAMPLE_LINES))
    # The first such line is the header as a rule, and the rows can't be told apart without it.
    candidates = ("utf-8",) if _surely_utf8(sample[0]) else ("utf-8", "gb18030")
    best = next((name for name in candidates if _reads_half(sample, name)), None)
    if best is None and _reads_half(lines, "utf-8"):
        # Plain ASCII with some broken lines: those are rejected one by one.
        best = "utf-8"
    if best is None:
        raise BadInputError(
            f"most of the first {len(sample)} lines with non-ASCII text are neither UTF-8 nor "
            "GB 18030",
            where=where,
            fix="have the file written in UTF-8 or GB 18030, or set its encoding in the contract",
            code="wrong_encoding",
        )
    if codec not in ("auto", best):
        raise BadInputError(
            f"the contract says {codec}, the file is {best}",
            where=where,
            fix="set encoding: auto in the contract, or have the file written as agreed",
            code="wrong_encoding",
        )
    return best


def _reads_half(lines: list[bytes], codec: str) -> bool:
    return 2 * sum(_decodes(line, codec) for line in lines) >= len(lines)


def _surely_utf8(line: bytes) -> bool:
    """Whether a line is UTF-8 with three hanzi or more.

    Single hanzi of GB 18030 pass for two-byte sequences of UTF-8 quite often, rows of three-byte
    ones never do.
    """
    return _decodes(line, "utf-8") and sum(char >= "\u0800" for char in line.decode()) >= _HANZI


def _decodes(line: bytes, codec: str) -> bool:
    try:
        line.decode(codec)
    except UnicodeDecodeError:
        return False
    return True
