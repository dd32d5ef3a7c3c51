"""gzip, zip and tar: members as streams, within bounds, never unpacked to disk."""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from cityledger.errors import BadInputError
from cityledger.lifecycle.readers.base import ByteStream
from cityledger.lifecycle.readers.encoding import remap_gb18030

MAX_MEMBERS = 10_000
#: Deflate reaches 1032 at most; text extracts stay far below this one.
MAX_RATIO = 500
# Small archives of very regular data may compress better than any sane ratio.
_RATIO_FROM = 64 << 20
_BLOCK = 1 << 20

_ENCRYPTED_FLAG = 0x1
_UTF8_FLAG = 0x800
_BROKEN = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    gzip.BadGzipFile,
    zipfile.BadZipFile,
    tarfile.ReadError,
)
_IGNORED = ("__MACOSX/", ".DS_Store", "Thumbs.db")


@dataclass(frozen=True, slots=True)
class Member:
    """One data file, decompressed as it is read.

    Attributes:
        name: Name inside an archive; None for a file that isn't one, or a gzip of one file.
    """

    name: str | None
    stream: ByteStream


class Bounded:
    """Counts what comes out of a decompressor and stops bombs and broken archives.

    Args:
        stream: The decompressing stream.
        limit: Most bytes that may come out of it.
        packed: Bytes of the archive, for the ratio.
        where: Names the file in errors.
    """

    def __init__(self, stream: ByteStream, limit: int, packed: int, where: str) -> None:
        self._stream, self._limit, self._where = stream, limit, where
        self._packed = max(packed, 1)
        self.count = 0

    def read(self, size: int = -1, /) -> bytes:
        """Read like a file; ``truncated_archive``, ``archive_bomb`` and ``bad_archive`` errors."""
        if size < 0:
            # A buffered reader that is asked for the limit allocates the limit: 64 GiB.
            return b"".join(iter(lambda: self.read(_BLOCK), b""))
        # One byte more than allowed shows that there is more.
        most = self._limit - self.count + 1
        try:
            data = self._stream.read(min(size, most))
        except _BROKEN as error:
            raise _unreadable(self._where, error) from None
        self.count += len(data)
        if self.count > self._limit:
            raise _bomb(self._where, f"more than {self._limit} bytes unpacked")
        if self.count > _RATIO_FROM and self.count > self._packed * MAX_RATIO:
            raise _bomb(self._where, f"more than {MAX_RATIO} times its size unpacked")
        return data


def members(
    stream: BinaryIO, name: str, size: int, max_bytes: int, format_: str = "csv"
) -> Iterator[Member]:
    """The data files in a landed file: itself, or the members of an archive in name order.

    An XLSX workbook is a zip, too: with format ``excel`` it is handed over as it is, and a zip
    is an archive only when it has no workbook parts.

    Args:
        stream: Seekable bytes of the landed file.
        name: Its name, for errors.
        size: Its size in bytes.
        max_bytes: Bound on the unpacked size of all members together.
        format_: The layout's format.

    Raises:
        BadInputError: ``archive_bomb``, ``truncated_archive``, ``bad_archive``,
            ``encrypted_archive``, ``empty_archive`` or ``too_large``.
    """
    magic = stream.read(4)
    stream.seek(0)
    if magic[:2] == b"\x1f\x8b":
        yield from _gzip_members(stream, name, size, max_bytes)
    elif magic in (b"PK\x03\x04", b"PK\x05\x06") and not _is_workbook(stream, format_):
        yield from _zip_members(stream, name, size, max_bytes)
    elif name.lower().endswith(".tar"):
        yield from _tar_members(stream, name, size, max_bytes)
    elif size > max_bytes:
        raise BadInputError(
            f"the file has {size} bytes, more than the {max_bytes} that the contract allows",
            where=name,
            fix="have it handed in in smaller parts, or raise maxBytes in the contract",
            code="too_large",
        )
    else:
        yield Member(None, stream)


def _is_workbook(stream: BinaryIO, format_: str) -> bool:
    if format_ != "excel":
        return False
    try:
        with zipfile.ZipFile(stream) as archive:
            return "[Content_Types].xml" in archive.namelist()
    except zipfile.BadZipFile:
        return True
    finally:
        stream.seek(0)


def _gzip_members(stream: BinaryIO, name: str, size: int, max_bytes: int) -> Iterator[Member]:
    unpacked = Bounded(gzip.GzipFile(fileobj=stream), max_bytes, size, name)
    if name.lower().endswith((".tar.gz", ".tgz")):
        yield from _tar_members(unpacked, name, size, max_bytes)
        return
    yield Member(None, unpacked)


def _zip_members(stream: BinaryIO, name: str, size: int, max_bytes: int) -> Iterator[Member]:
    try:
        archive = zipfile.ZipFile(stream)
    except zipfile.BadZipFile as error:
        # The directory is at the end: a cut-off archive has none.
        if "not a zip file" in str(error):
            raise _truncated(name) from None
        raise _broken(name, error) from None
    with archive:
        infos = sorted((info for info in archive.infolist() if _is_data(info)), key=_zip_name)
        _check_zip(infos, name, size, max_bytes)
        budget = max_bytes
        for info in infos:
            place = f"{name}#{_zip_name(info)}"
            if info.flag_bits & _ENCRYPTED_FLAG:
                raise _encrypted(place)
            try:
                opened = archive.open(info)
            except (zipfile.BadZipFile, NotImplementedError) as error:
                raise _broken(place, error) from None
            with opened as member:
                unpacked = Bounded(member, budget, info.compress_size, place)
                yield Member(_zip_name(info), unpacked)
                budget -= unpacked.count


def _check_zip(infos: list[zipfile.ZipInfo], name: str, size: int, max_bytes: int) -> None:
    if not infos:
        raise _empty(name)
    if len(infos) > MAX_MEMBERS:
        raise _bomb(name, f"{len(infos)} members, more than {MAX_MEMBERS}")
    declared = sum(info.file_size for info in infos)
    if declared > max_bytes or (declared > _RATIO_FROM and declared > size * MAX_RATIO):
        raise _bomb(name, f"{size} bytes that unpack to {declared}")


def _is_data(info: zipfile.ZipInfo) -> bool:
    return not info.is_dir() and not any(part in info.filename for part in _IGNORED)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Member name as its maker meant it: without the UTF-8 flag Chinese tools write GBK."""
    if info.flag_bits & _UTF8_FLAG:
        return info.filename
    try:
        raw = info.filename.encode("cp437")
    except UnicodeEncodeError:
        return info.filename
    for codec in ("utf-8", "gb18030"):
        try:
            return remap_gb18030(raw.decode(codec))
        except UnicodeDecodeError:
            continue
    return info.filename


def _tar_members(stream: ByteStream, name: str, size: int, max_bytes: int) -> Iterator[Member]:
    """Members in archive order: a tar stream can't be sorted without unpacking it."""
    count = 0
    budget = max_bytes
    try:
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as archive:
            for info in archive:
                member = archive.extractfile(info) if _is_tar_data(info) else None
                if member is None:
                    continue
                count += 1
                if count > MAX_MEMBERS:
                    raise _bomb(name, f"more than {MAX_MEMBERS} members")
                unpacked = Bounded(member, budget, size, f"{name}#{info.name}")
                yield Member(info.name, unpacked)
                budget -= unpacked.count
    except _BROKEN as error:
        raise _unreadable(name, error) from None
    if not count:
        raise _empty(name)


def _is_tar_data(info: tarfile.TarInfo) -> bool:
    return info.isfile() and not any(part in info.name for part in _IGNORED)


def _unreadable(where: str, error: Exception) -> BadInputError:
    if isinstance(error, EOFError) or "unexpected end" in str(error):
        return _truncated(where)
    return _broken(where, error)


def _truncated(where: str) -> BadInputError:
    return BadInputError(
        "the archive is cut off: its end is missing",
        where=where,
        fix="have it handed in again; the transfer broke off",
        code="truncated_archive",
    )


def _broken(where: str, error: Exception) -> BadInputError:
    return BadInputError(
        f"the archive can't be unpacked ({type(error).__name__})",
        where=where,
        fix="have it packed and handed in again",
        code="bad_archive",
    )


def _bomb(where: str, what: str) -> BadInputError:
    return BadInputError(
        f"the archive is refused: {what}",
        where=where,
        fix="have it handed in in smaller parts, or raise maxBytes in the contract if it is meant",
        code="archive_bomb",
    )


def _encrypted(where: str) -> BadInputError:
    return BadInputError(
        "the archive is encrypted",
        where=where,
        fix="have it handed in without a password",
        code="encrypted_archive",
    )


def _empty(where: str) -> BadInputError:
    return BadInputError(
        "the archive holds no file",
        where=where,
        fix="have it packed and handed in again",
        code="empty_archive",
    )
