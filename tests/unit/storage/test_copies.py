"""Copies of landed files: a shortcut that never changes what is read."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest
from cityledger.errors import UnavailableError
from cityledger.records import ObjectRef
from cityledger.storage import copies as module
from cityledger.storage.copies import LandedCopies

LANDED = "办件编号,区划\n1,990102\n".encode()
REF = ObjectRef(
    bucket="landing",
    key="gov/cases/x.csv",
    version_id="1",
    sha256=hashlib.sha256(LANDED).hexdigest(),
    size=len(LANDED),
)


@contextmanager
def from_store(ref: ObjectRef) -> Iterator[BinaryIO]:
    """What the object store would hand out, told apart by a mark."""
    yield BytesIO(b"store:" + ref.sha256.encode())


def read(copies: LandedCopies) -> bytes:
    with copies.open(REF, from_store) as stream:
        return stream.read()


@pytest.fixture
def copies(tmp_path: Path) -> LandedCopies:
    return LandedCopies(tmp_path / "landed")


def spooled(tmp_path: Path, data: bytes = LANDED) -> Path:
    path = tmp_path / "spooled"
    path.write_bytes(data)
    return path


def test_a_kept_copy_is_read_and_a_dropped_one_is_not(copies: LandedCopies, tmp_path: Path) -> None:
    """A copy that nobody reads makes deliveries wait; one left behind is forgotten data."""
    assert read(copies).startswith(b"store:")
    path = spooled(tmp_path)
    copies.keep(path, REF.sha256)
    assert not path.exists()
    assert read(copies) == LANDED
    copies.drop(REF.sha256)
    copies.drop(REF.sha256)
    assert read(copies).startswith(b"store:")


def test_others_on_the_machine_cannot_read_a_copy(copies: LandedCopies, tmp_path: Path) -> None:
    """Departments' files hold personal data; the spool may lie on a shared disk."""
    path = spooled(tmp_path)
    path.chmod(0o644)
    copies.keep(path, REF.sha256)
    kept = tmp_path / "landed" / REF.sha256
    assert (kept.parent.stat().st_mode & 0o777, kept.stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0], ids=["unread", "half read", "whole"])
def test_a_changed_copy_is_refused_however_much_was_read(
    copies: LandedCopies, tmp_path: Path, share: float
) -> None:
    """What was judged must be what has landed: a damaged disk must not change an indicator."""
    copies.keep(spooled(tmp_path, LANDED.replace(b"1,", b"2,")), REF.sha256)
    with (
        pytest.raises(UnavailableError) as caught,
        copies.open(REF, from_store) as stream,
    ):
        stream.read(int(share * len(LANDED)))
    assert caught.value.code == "copy_damaged"
    assert read(copies).startswith(b"store:")


def test_copies_that_nobody_read_do_not_pile_up(copies: LandedCopies, tmp_path: Path) -> None:
    """Files landed here and judged on another machine would fill the disk in a month."""
    copies.keep(spooled(tmp_path, b"old"), "0" * 64)
    old = tmp_path / "landed" / ("0" * 64)
    yesterday = time.time() - 25 * 3600
    os.utime(old, (yesterday, yesterday))
    copies.keep(spooled(tmp_path), REF.sha256)
    assert [path.name for path in (tmp_path / "landed").iterdir()] == [REF.sha256]


def test_a_nearly_full_disk_is_left_to_the_work(
    copies: LandedCopies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held-back rows and spilling need the room more than a shortcut does."""
    monkeypatch.setattr(module, "_SHARE_OF_FREE_DISK", 0.0)
    path = spooled(tmp_path)
    copies.keep(path, REF.sha256)
    assert path.exists()
    assert read(copies).startswith(b"store:")
