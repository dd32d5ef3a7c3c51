"""Copies of landed objects on the machine that landed them, for the stage that reads them next.

A delivery is mostly judged where it has just landed. Reading its bytes back through the object
store would cost a third of the whole work (SeaweedFS unpacks what it packed). A copy is a shortcut
only: whoever has none reads the store, and every copy is hashed again while it is read.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from cityledger.errors import UnavailableError
from cityledger.records import ObjectRef

# What nobody has read by then is read from the store, if ever.
_LONGEST_SECONDS: Final = 24 * 3600
# Work that follows needs room, too: held-back rows, what DuckDB spills.
_SHARE_OF_FREE_DISK: Final = 0.25

Open = Callable[[ObjectRef], AbstractContextManager[BinaryIO]]
"""Opens one version of an object for reading."""


class LandedCopies:
    """Files named by their SHA-256 in a private folder.

    Args:
        folder: On the spool's file system; created with the first copy.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, path: Path, sha256: str) -> None:
        """Take over a spooled file; without room for it, it stays where it is."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()
        if path.stat().st_size <= _SHARE_OF_FREE_DISK * shutil.disk_usage(self._folder).free:
            path.chmod(0o600)
            path.replace(self._folder / sha256)

    def drop(self, sha256: str) -> None:
        """Remove a copy; harmless when there is none."""
        (self._folder / sha256).unlink(missing_ok=True)

    @contextmanager
    def open(self, ref: ObjectRef, otherwise: Open) -> Iterator[BinaryIO]:
        """The object's bytes from its copy, or from where they are otherwise.

        Raises:
            UnavailableError: the copy had other bytes (``copy_damaged``); what was made of them
                must not be kept. The copy is gone, so the next run reads the store.
        """
        path = self._folder / ref.sha256
        try:
            copy = path.open("rb")
        except FileNotFoundError:
            with otherwise(ref) as stream:
                yield stream
            return
        with copy, ThreadPoolExecutor(1, thread_name_prefix="cityledger-copy") as pool:
            digest = pool.submit(_sha256, path)
            try:
                yield copy
            finally:
                self._check(ref, digest.result())

    def _check(self, ref: ObjectRef, found: str) -> None:
        if found == ref.sha256:
            return
        self.drop(ref.sha256)
        raise UnavailableError(
            "this machine's copy of a landed file has changed; nothing made of it was kept",
            where=ref.uri,
            fix="run again: the file is read from the object store then; check the disk",
            code="copy_damaged",
        )

    def _sweep(self) -> None:
        oldest = time.time() - _LONGEST_SECONDS
        for path in self._folder.iterdir():
            if path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
