"""Reads a backup again and says whether it is what its manifest says."""

from __future__ import annotations

from collections.abc import Iterator

from cityledger.operations.backup.dump import PostgresTools
from cityledger.operations.backup.folder import BackupFolder, file_sha256
from cityledger.operations.backup.records import Dump, Manifest, Objects, Progress
from cityledger.records import Record


class Damage(Record):
    """A file of a backup that is missing or has other bytes."""

    file: str
    what: str


def check(
    folder: BackupFolder, manifest: Manifest, *, tools: PostgresTools, progress: Progress | None
) -> list[Damage]:
    """Hash every file that a backup needs, and read the dumps' tables of contents."""
    tell = progress or (lambda *_: None)
    found = list(_own_files(folder, manifest, tools))
    if any(one.file == manifest.objects.file for one in found):
        return found
    seen: set[str] = set()
    for number, line in enumerate(folder.lines(manifest.id), start=1):
        tell("objects", number, manifest.versions)
        if line.sha256 is not None and line.sha256 not in seen:
            seen.add(line.sha256)
            found += _object(folder, line.sha256, f"s3://{line.bucket}/{line.key}")
    return found


def _own_files(folder: BackupFolder, manifest: Manifest, tools: PostgresTools) -> Iterator[Damage]:
    own: list[Dump | Objects] = [manifest.objects, *manifest.databases.values()]
    for one in own:
        path = folder.folder(manifest.id) / one.file
        if not path.is_file():
            yield Damage(file=one.file, what="missing")
        elif file_sha256(path) != one.sha256:
            yield Damage(file=one.file, what="other bytes than when it was made")
        elif isinstance(one, Dump) and not tools.readable(path):
            yield Damage(file=one.file, what="pg_restore here cannot read it")


def _object(folder: BackupFolder, sha256: str, name: str) -> Iterator[Damage]:
    path = folder.object(sha256)
    if not path.is_file():
        yield Damage(file=name, what=f"its bytes ({sha256[:16]}…) are missing")
    elif file_sha256(path) != sha256:
        yield Damage(file=name, what=f"its bytes are not those with SHA-256 {sha256[:16]}…")
