"""A folder of backups on disk.

```
<folder>/
  objects/ab/abcd…            the bytes of an object version, named by their SHA-256, kept once
  known.sqlite                which version has which bytes: a cache, may be deleted
  20260331T020000Z/           one backup
    manifest.json             written last: without it the backup is not there
    objects.jsonl.gz          every version of every object, with its properties
    cityledger.dump, …        the databases
```

Everything is readable by its owner only: it holds all personal data of the installation.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from cityledger.errors import BadInputError, CityLedgerError, UnavailableError
from cityledger.operations.backup.records import FORMAT, Manifest, ObjectLine

MANIFEST: Final = "manifest.json"
OBJECTS: Final = "objects.jsonl.gz"
_ID: Final = re.compile(r"\d{8}T\d{6}Z")
_READ: Final = 1024**2


class BackupFolder:
    """Backups of one installation, and the bytes that they share."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Make the folder.

        Raises:
            UnavailableError: it cannot be written.
        """
        try:
            for folder in (self.path, self.path / "objects", self._drafts):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(
                f"the backup folder cannot be written: {error.strerror}",
                where=str(self.path),
                fix="mount the disk, or give the folder to this user",
                code="backup_folder_not_writable",
            ) from error

    # backups

    def ids(self) -> list[str]:
        """Finished backups, oldest first."""
        found = self.path.glob(f"*/{MANIFEST}")
        return sorted(one.parent.name for one in found if _ID.fullmatch(one.parent.name))

    def unfinished(self) -> list[str]:
        """Backups that were begun and not ended."""
        folders = (one for one in self.path.glob("*") if _ID.fullmatch(one.name))
        return sorted(one.name for one in folders if not (one / MANIFEST).exists())

    def manifest(self, backup: str | None = None) -> Manifest:
        """A backup's manifest; without an id the newest one's.

        Raises:
            BadInputError: there is no such backup, or its manifest cannot be read.
        """
        known = self.ids()
        chosen = backup or (known[-1] if known else "")
        if chosen not in known:
            raise BadInputError(
                f"there is no backup {chosen}".rstrip(),
                where=str(self.path),
                fix="`cityledger backup list` shows those there are",
                code="backup_missing",
            )
        try:
            made = Manifest.model_validate_json((self.folder(chosen) / MANIFEST).read_bytes())
        except ValidationError as error:
            raise self._damaged(chosen, MANIFEST) from error
        if made.format != FORMAT:
            raise BadInputError(
                f"backup {chosen} has format {made.format}, this version reads {FORMAT}",
                fix=f"use version {made.version} of CityLedger",
                code="backup_format",
            )
        return made

    def folder(self, backup: str) -> Path:
        """Where a backup's own files lie."""
        return self.path / backup

    def lines(self, backup: str) -> Iterator[ObjectLine]:
        """The object versions of a backup.

        Raises:
            BadInputError: the list is damaged.
        """
        try:
            with gzip.open(self.folder(backup) / OBJECTS, "rt", encoding="utf-8") as file:
                for line in file:
                    yield ObjectLine.model_validate_json(line)
        except (OSError, EOFError, ValidationError) as error:
            raise self._damaged(backup, OBJECTS) from error

    def finish(self, manifest: Manifest) -> None:
        """Make a backup exist: everything is on disk before its manifest is."""
        os.sync()
        target = self.folder(manifest.id) / MANIFEST
        draft = target.with_suffix(".draft")
        draft.write_text(manifest.model_dump_json(indent=2) + "\n", "utf-8")
        draft.replace(target)
        os.sync()

    def discard(self, backup: str) -> None:
        """Remove a backup's own files; bytes that no backup names stay until `tidy`."""
        (self.folder(backup) / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(self.folder(backup), ignore_errors=True)

    def tidy(self) -> tuple[int, int]:
        """Remove bytes that no backup names.

        Returns:
            Files and bytes removed.
        """
        named = {line.sha256 for backup in self.ids() for line in self.lines(backup)}
        count = size = 0
        for path in (self.path / "objects").glob("??/*"):
            if path.name not in named:
                count, size = count + 1, size + path.stat().st_size
                path.unlink()
        shutil.rmtree(self._drafts, ignore_errors=True)
        return count, size

    # bytes

    def object(self, sha256: str) -> Path:
        """Where the bytes with a hash lie."""
        return self.path / "objects" / sha256[:2] / sha256

    def keep(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Take in bytes; the same bytes are kept once.

        Returns:
            Their SHA-256 and size.

        Raises:
            UnavailableError: the disk is full.
        """
        digest, size = hashlib.sha256(), 0
        with self._draft() as draft:
            with draft.open("wb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
                    file.write(chunk)
            target = self.object(digest.hexdigest())
            if not target.exists():
                target.parent.mkdir(mode=0o700, exist_ok=True)
                draft.replace(target)
        return digest.hexdigest(), size

    @contextmanager
    def _draft(self) -> Iterator[Path]:
        handle, name = tempfile.mkstemp(dir=self._drafts)
        os.close(handle)
        try:
            yield Path(name)
        except OSError as error:
            raise UnavailableError(
                f"the backup cannot be written: {error.strerror}",
                where=str(self.path),
                fix="make room (`cityledger backup prune`), then run again: it goes on",
                code="backup_folder_full",
            ) from error
        finally:
            Path(name).unlink(missing_ok=True)

    @property
    def _drafts(self) -> Path:
        return self.path / "objects" / "drafts"

    def _damaged(self, backup: str, name: str) -> CityLedgerError:
        return BadInputError(
            f"{name} of backup {backup} is damaged",
            where=str(self.folder(backup) / name),
            fix="use another backup, or another copy of this one",
            code="backup_damaged",
        )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
