"""Files with secrets: whole or as they were, and nobody else's to read."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Barrier, Thread

import pytest
from cityledger.storage.private_files import make_private, write_private


@pytest.mark.parametrize("write", [write_private, make_private])
def test_nobody_else_may_read_it_at_any_time(write: object, tmp_path: Path) -> None:
    """A secret that is readable for a moment has been read."""
    path, before = tmp_path / "key", os.umask(0)
    try:
        with write(path) as draft:  # type: ignore[operator]
            assert draft.stat().st_mode & 0o777 == 0o600
            draft.write_text("secret")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["key"]


def test_a_writer_that_fails_leaves_the_former_file_and_nothing_else(tmp_path: Path) -> None:
    """Half a file of accounts locks everybody out; a forgotten draft is a copy of secrets."""
    path = tmp_path / "accounts"
    with write_private(path) as draft:
        draft.write_text("former")
    with pytest.raises(OSError, match="full"):
        write_half(path)
    assert path.read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]


def write_half(path: Path) -> None:
    with write_private(path) as draft:
        draft.write_text("ha")
        raise OSError("full")


def test_of_several_makers_one_makes_it(tmp_path: Path) -> None:
    """Two processes with a key each would refuse each other's sessions."""
    path, start, seen = tmp_path / "key", Barrier(8), []

    def make(number: int) -> None:
        start.wait()
        with make_private(path) as draft:
            draft.write_text(str(number))
        seen.append(path.read_text())

    threads = [Thread(target=make, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert list(tmp_path.iterdir()) == [path]
