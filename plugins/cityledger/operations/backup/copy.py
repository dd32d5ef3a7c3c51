"""Object versions into a backup folder: only those that it does not hold are read."""

from __future__ import annotations

import gzip
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cityledger.errors import CityLedgerError
from cityledger.operations.backup.folder import BackupFolder, file_sha256
from cityledger.operations.backup.known import Known
from cityledger.operations.backup.records import Bucket, ObjectLine, Objects, Progress
from cityledger.storage.objects import LANDING, LOCKED
from cityledger.storage.operator_store import OperatorStore, Properties, StoredVersion

_READERS: Final = 6
_CHUNK: Final = 1024**2


@dataclass
class _Count:
    versions: int = 0
    markers: int = 0
    size: int = 0


@dataclass
class Copy:
    """Copies versions and writes the list of them.

    Attributes:
        read, read_bytes: What had to be read from the store.
        vanished: Objects of buckets without versions that were gone before they were read.
    """

    store: OperatorStore
    folder: BackupFolder
    known: Known
    backup: str
    tell: Progress
    read: int = 0
    read_bytes: int = 0
    vanished: list[str] = field(default_factory=list)
    _counts: dict[str, _Count] = field(default_factory=dict)
    _seen: int = 0

    def run(self, versions: Iterable[StoredVersion], target: Path) -> Objects:
        """Copy what is missing and list everything in ``target``.

        Raises:
            CityLedgerError: a version of a locked bucket is gone while it is read.
            UnavailableError: store or disk do not answer; the next run goes on from here.
        """
        with gzip.open(target, "wt", encoding="utf-8", compresslevel=5) as file:
            for line in self._lines(versions):
                file.write(line.model_dump_json() + "\n")
                self._count(line)
        return Objects(
            file=target.name,
            sha256=file_sha256(target),
            size=target.stat().st_size,
            buckets=tuple(
                Bucket(name=name, versions=one.versions, markers=one.markers, size=one.size)
                for name, one in self._counts.items()
            ),
        )

    def _lines(self, versions: Iterable[StoredVersion]) -> Iterator[ObjectLine]:
        """In the order of the listing; several are on their way at once."""
        waiting: deque[tuple[StoredVersion, Future[ObjectLine | None]]] = deque()
        with ThreadPoolExecutor(_READERS, thread_name_prefix="backup-read") as pool:
            for place, one in enumerate(versions):
                waiting.append((one, self._begin(pool, one, place)))
                if len(waiting) > 4 * _READERS:
                    yield from self._arrived(*waiting.popleft())
            while waiting:
                yield from self._arrived(*waiting.popleft())

    def _begin(
        self, pool: ThreadPoolExecutor, one: StoredVersion, place: int
    ) -> Future[ObjectLine | None]:
        known = self.known.find(one)
        if known is not None and (known.marker or self.folder.object(str(known.sha256)).exists()):
            known = known.model_copy(update={"place": place, "latest": one.latest})
            if one.bucket != LANDING or known.marker:
                done: Future[ObjectLine | None] = Future()
                done.set_result(known)
                return done
            return pool.submit(self._refresh, one, known)
        return pool.submit(self._fetch, one, place)

    def _refresh(self, one: StoredVersion, known: ObjectLine) -> ObjectLine:
        """Retentions get longer and holds come and go after landing."""
        now = self.store.properties(one.bucket, one.key, one.version_id)
        return ObjectLine.of(one, known.place, known.sha256, now)

    def _fetch(self, one: StoredVersion, place: int) -> ObjectLine | None:
        if one.marker:
            return ObjectLine.of(one, place, None, Properties())
        try:
            with self.store.read(one) as (response, kept):
                sha256, size = self.folder.keep(response.stream(_CHUNK))
        except CityLedgerError as error:
            if error.code != "object_missing" or one.bucket in LOCKED:
                raise
            return None
        if size != one.size:
            # Replaced since it was listed: what was read is what is there.
            one = StoredVersion(
                one.bucket, one.key, one.version_id, False, one.latest, size, "", one.modified
            )
        self.read += 1
        self.read_bytes += size
        return ObjectLine.of(one, place, sha256, kept)

    def _arrived(
        self, one: StoredVersion, found: Future[ObjectLine | None]
    ) -> Iterator[ObjectLine]:
        line = found.result()
        if line is None:
            self.vanished.append(f"s3://{self.store.bucket(one.bucket)}/{one.key}")
            return
        self.known.add(self.backup, one, line)
        yield line

    def _count(self, line: ObjectLine) -> None:
        one = self._counts.setdefault(line.bucket, _Count())
        one.versions += not line.marker
        one.markers += line.marker
        one.size += line.size
        self._seen += 1
        self.tell("objects", self._seen, None)
