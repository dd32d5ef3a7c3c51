"""CSV and JSON lines as departments write them, with the physical line of every record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def csv_line(fields: Sequence[str], delimiter: str = ",") -> str:
    """One record without its line end; a field is quoted only where it must be."""
    risky = (delimiter, '"', "\n", "\r")
    return delimiter.join(
        '"' + field.replace('"', '""') + '"' if any(mark in field for mark in risky) else field
        for field in fields
    )


def encode_lines(
    lines: Sequence[str],
    codec: str,
    *,
    newline: str = "\r\n",
    raw: Mapping[int, bytes] | None = None,
) -> tuple[bytes, list[int]]:
    """Encode records.

    Args:
        lines: Records in order, header first.
        codec: Python codec; ``utf-16`` and ``utf-8-sig`` write one byte order mark at the start.
        newline: Line end.
        raw: Bytes that stand for some records as they are, by index, without line end.

    Returns:
        The file, and the 1-based physical line on which each record starts.
    """
    bom = {"utf-16": b"\xff\xfe", "utf-8-sig": b"\xef\xbb\xbf"}.get(codec, b"")
    plain = {"utf-16": "utf-16-le", "utf-8-sig": "utf-8"}.get(codec, codec)
    raw = raw or {}
    end = newline.encode(plain)
    starts, parts, line = [], [bom], 1
    for index, text in enumerate(lines):
        starts.append(line)
        line += 1 + (0 if index in raw else text.count("\n"))
        parts += [raw[index] if index in raw else text.encode(plain), end]
    return b"".join(parts), starts
