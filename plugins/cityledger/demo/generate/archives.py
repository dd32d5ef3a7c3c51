"""gzip and zip files that are byte for byte the same on every machine.

The deflate stream comes from the zlib inside the pyarrow wheel, which the lock file pins: Python's
own zlib differs between systems (zlib-ng compresses to other bytes). Times are fixed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import pyarrow as pa

_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_DOS_TIME, _DOS_DATE = 0, (2026 - 1980) << 9 | 4 << 5 | 1
_UTF8_FLAG = 0x0800


def _deflate(data: bytes) -> bytes:
    packed: bytes = pa.Codec("gzip", compression_level=6).compress(data, asbytes=True)
    return packed[10:-8]


def gzip_bytes(data: bytes) -> bytes:
    """A gzip file without name and time."""
    tail = struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)
    return _GZIP_HEADER + _deflate(data) + tail


def zip_bytes(members: Sequence[tuple[bytes, bytes]], *, utf8: bool = False) -> bytes:
    """A zip file dated 2026-04-01.

    Args:
        members: Encoded name and content of each member, in order.
        utf8: Whether to set the flag that says so of the names; old Chinese tools write GBK names
            and no flag.
    """
    flag = _UTF8_FLAG if utf8 else 0
    body, directory = b"", b""
    for name, data in members:
        packed = _deflate(data)
        common = struct.pack(
            "<HHHHHIIIHH",
            *(20, flag, 8, _DOS_TIME, _DOS_DATE),
            *(zlib.crc32(data), len(packed), len(data), len(name), 0),
        )
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + common
        directory += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name
        body += b"PK\x03\x04" + common + name + packed
    count = len(members)
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)
    return body + directory + b"PK\x05\x06" + end
