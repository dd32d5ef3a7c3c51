"""What a backup says about itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from cityledger.records import Record
from cityledger.storage.operator_store import Properties, StoredVersion

FORMAT: Final = 1
#: Names of the databases in a backup.
OWN, AIRFLOW = "cityledger", "airflow"

#: Told while it goes on: what is being done, how much of it, and of how much if that is known.
Progress = Callable[[str, int, int | None], None]


class Dump(Record):
    """A database in the backup.

    Attributes:
        file: Beside the manifest; PostgreSQL's custom format.
        server_version: Of the server that it was taken from.
        revision: Migration that its tables have.
    """

    file: str
    sha256: str
    size: int
    server_version: str
    revision: str


class Bucket(Record):
    """What a backup holds of a bucket."""

    name: str
    versions: int
    markers: int
    size: int


class Objects(Record):
    """The list of all object versions: one JSON line each, gzipped, beside the manifest."""

    file: str
    sha256: str
    size: int
    buckets: tuple[Bucket, ...]


class Cut(Record):
    """The transparency log's newest checkpoint at the moment that the backup shows."""

    tree_size: int
    root: str
    note: str


class Secret(Record):
    """A secret that the installation needs and the backup does not hold.

    Attributes:
        where: File or setting that holds it.
        needed_for: What does not work without it.
        fingerprint: Shows at a restore whether it is the same one; empty: it was not there.
    """

    name: str
    where: str
    needed_for: str
    fingerprint: str


class Manifest(Record):
    """A backup.

    Attributes:
        id: UTC time of its start, ``20260331T020000Z``.
        cut_at: The moment that databases and log show; objects may be newer, never older.
        bucket_prefix: Stands before each bucket's name, in lineage events, too.
        secrets: What must be kept besides.
        warnings: What the operator should know.
        read: Versions that were read from the store; the others were known.
    """

    format: int
    id: str
    version: str
    started_at: datetime
    cut_at: datetime
    ended_at: datetime
    bucket_prefix: str
    lineage_namespace: str
    checkpoint: Cut | None
    databases: dict[str, Dump]
    objects: Objects
    secrets: tuple[Secret, ...]
    warnings: tuple[str, ...]
    read: int
    read_bytes: int

    @property
    def versions(self) -> int:
        """How many object versions it holds."""
        return sum(bucket.versions for bucket in self.objects.buckets)

    @property
    def size(self) -> int:
        """Bytes of all object versions and dumps."""
        dumps = sum(dump.size for dump in self.databases.values())
        return dumps + sum(bucket.size for bucket in self.objects.buckets)


class ObjectLine(Record):
    """One version in the list of objects.

    Attributes:
        place: Where the store listed it: of two versions of a key, the smaller one is newer.
        sha256: None for a delete marker.
    """

    bucket: str
    key: str
    version_id: str | None
    marker: bool
    latest: bool
    place: int
    size: int
    etag: str
    modified: datetime
    sha256: str | None
    content_type: str = "application/octet-stream"
    retain_until: datetime | None = None
    hold: bool = False

    @classmethod
    def of(cls, one: StoredVersion, place: int, sha256: str | None, kept: Properties) -> ObjectLine:
        """The line for a version whose bytes are in the backup."""
        properties: dict[str, Any] = {
            "content_type": kept.content_type,
            "retain_until": kept.retain_until,
            "hold": kept.hold,
        }
        return cls(
            bucket=one.bucket,
            key=one.key,
            version_id=one.version_id,
            marker=one.marker,
            latest=one.latest,
            place=place,
            size=one.size,
            etag=one.etag,
            modified=one.modified,
            sha256=sha256,
            **properties,
        )

    @property
    def properties(self) -> Properties:
        """What is kept beside the bytes."""
        return Properties(self.content_type, self.retain_until, self.hold)
