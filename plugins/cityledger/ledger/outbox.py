"""A folder in which events wait until they are delivered; it outlives crashes and power cuts."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

_WAITING = ".json"
_ABANDONED_AFTER = 3600.0


class Outbox:
    """Events of this machine's producers; any number of processes may use it at once.

    An event is one file, named by time and content, whose name appears when its bytes are on disk.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, raw: bytes) -> Path:
        """Keep an event; it is on disk when this returns.

        Raises:
            OSError: the folder cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns():020d}-{hashlib.sha256(raw).hexdigest()[:16]}"
        partial = self.folder / f"{name}.{os.getpid()}.part"
        with partial.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        kept = partial.replace(self.folder / f"{name}{_WAITING}")
        _sync_folder(self.folder)
        return kept

    def waiting(self) -> list[Path]:
        """The files that wait, oldest first."""
        return sorted(self.folder.glob(f"*{_WAITING}"))

    def batches(self, events: int, size: int) -> Iterator[list[tuple[Path, bytes]]]:
        """What waits, oldest first, in batches bounded in number and bytes.

        A file that another process has just delivered is passed over.
        """
        batch: list[tuple[Path, bytes]] = []
        total = 0
        for path in self.waiting():
            try:
                raw = path.read_bytes()
            except FileNotFoundError:
                continue
            if batch and (len(batch) >= events or total + len(raw) > size):
                yield batch
                batch, total = [], 0
            batch.append((path, raw))
            total += len(raw)
        if batch:
            yield batch

    def done(self, path: Path) -> None:
        """An event was delivered."""
        path.unlink(missing_ok=True)

    def refuse(self, path: Path) -> None:
        """Put an event aside that its destination will never take; it is not thrown away."""
        aside = self.folder / "refused"
        aside.mkdir(exist_ok=True)
        path.replace(aside / path.name)

    def tidy(self) -> None:
        """Remove what a process that died was writing; its event was never accepted."""
        for partial in self.folder.glob("*.part"):
            try:
                if time.time() - partial.stat().st_mtime > _ABANDONED_AFTER:
                    partial.unlink()
            except FileNotFoundError:
                continue


def _sync_folder(folder: Path) -> None:
    # The bytes are on disk, but without this the name that leads to them need not be.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
