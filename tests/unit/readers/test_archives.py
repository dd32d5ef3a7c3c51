"""Archives: members with their names, within bounds, or one clear error."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cityledger.errors import BadInputError

CSV = "办件编号,区划代码,费用\na,1,2\n".encode()


def zipped(members: dict[str, bytes], *, gbk: bool = False) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(_gbk(name) if gbk else name, data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


class _Gbk(zipfile.ZipInfo):
    """A member whose name is written in GBK without the UTF-8 flag, as Chinese tools do."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802 - zipfile's hook
        return self.filename.encode("gb18030"), self.flag_bits & ~0x800


def _gbk(name: str) -> zipfile.ZipInfo:
    return _Gbk(name)


def tarred(members: dict[str, bytes], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def test_gzip_is_one_file(read: Callable[..., Any]) -> None:
    """Prevents a member suffix on the source of a plain gzip."""
    result = read(gzip.compress(CSV), name="a.csv.gz")
    assert result.members == [None]
    assert result.values == [("a", "1", "2")]


def test_zip_members_in_name_order_with_gbk_names(read: Callable[..., Any]) -> None:
    """Prevents garbled member names in every row's source."""
    data = zipped({"乙.csv": CSV, "甲.csv": CSV, "__MACOSX/._甲.csv": b"x"}, gbk=True)
    assert "甲.csv".encode("gb18030") in data
    result = read(data, name="a.zip")
    assert result.members == ["乙.csv", "甲.csv"]
    assert len(result.rows) == 2


@pytest.mark.parametrize(
    ("mode", "name"), [("w", "a.tar"), ("w:gz", "a.tar.gz"), ("w:gz", "a.tgz")]
)
def test_tar_members(read: Callable[..., Any], mode: str, name: str) -> None:
    """Prevents a tarball from being read as one text."""
    result = read(tarred({"甲.csv": CSV, "b.csv": CSV}, mode), name=name)
    assert result.members == ["甲.csv", "b.csv"]
    assert len(result.rows) == 2


def test_names_that_climb_stay_names(
    read: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents path traversal: nothing is unpacked to a path."""
    monkeypatch.chdir(tmp_path)
    result = read(zipped({"../../evil.csv": CSV}), name="a.zip")
    assert result.members == ["../../evil.csv"]
    assert list(tmp_path.rglob("*")) == []


def test_cut_off_archives(read: Callable[..., Any]) -> None:
    """Prevents the first half of a delivery from passing for the whole."""
    many = CSV + b"".join(b"%d,x,%d\n" % (i, i * i) for i in range(5000))
    whole = [
        (gzip.compress(many), "a.csv.gz"),
        (zipped({"a.csv": many}), "a.zip"),
        (tarred({"a.csv": many}), "a.tar"),
        (tarred({"a.csv": many}, "w:gz"), "a.tar.gz"),
    ]
    for data, name in whole:
        with pytest.raises(BadInputError) as caught:
            read(data[: len(data) // 2], name=name)
        assert caught.value.code == "truncated_archive", name
        assert name in caught.value.where


def test_damaged_archives(read: Callable[..., Any]) -> None:
    """Prevents garbage from a flipped bit; the checksum decides."""
    for data, name in ((gzip.compress(CSV), "a.csv.gz"), (zipped({"a.csv": CSV}), "a.zip")):
        broken = bytearray(data)
        broken[45 if name == "a.zip" else -8] ^= 0xFF
        with pytest.raises(BadInputError) as caught:
            read(bytes(broken), name=name)
        assert caught.value.code in ("bad_archive", "truncated_archive")


def test_bombs_are_refused(read: Callable[..., Any], contract: Any) -> None:
    """Prevents a small archive from filling memory, by ratio and by contract."""
    bomb = CSV + b"0" * (70 << 20)
    for data, name in (
        (gzip.compress(bomb), "a.csv.gz"),
        (zipped({"a.csv": bomb}), "a.zip"),
        (tarred({"a.csv": bomb}, "w:gz"), "a.tar.gz"),
    ):
        with pytest.raises(BadInputError) as caught:
            read(data, name=name)
        assert caught.value.code == "archive_bomb", name
    small = contract(max_bytes=20)
    for data, name in ((gzip.compress(CSV), "a.csv.gz"), (zipped({"a": CSV}), "a.zip")):
        with pytest.raises(BadInputError) as caught:
            read(data, small, name=name)
        assert caught.value.code == "archive_bomb"


def test_a_plain_file_beyond_the_bound_is_told(read: Callable[..., Any], contract: Any) -> None:
    """Prevents a plain file from being called an archive, or from being read without bound."""
    with pytest.raises(BadInputError) as caught:
        read(CSV, contract(max_bytes=20))
    assert caught.value.code == "too_large"


def test_empty_and_encrypted_archives(read: Callable[..., Any]) -> None:
    """Prevents an empty delivery from passing, and a traceback about a password."""
    for data, name in ((zipped({}), "a.zip"), (tarred({}), "a.tar")):
        with pytest.raises(BadInputError) as caught:
            read(data, name=name)
        assert caught.value.code == "empty_archive"
    locked = bytearray(zipped({"a.csv": CSV}))
    for marker, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.find(marker) + offset] |= 1
    with pytest.raises(BadInputError) as caught:
        read(bytes(locked), name="a.zip")
    assert caught.value.code == "encrypted_archive"
