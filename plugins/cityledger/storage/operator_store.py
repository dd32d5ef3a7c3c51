"""The object store as operators see it: every version, its locks and holds, and their removal.

Stages and pages use :class:`~cityledger.storage.objects.ObjectStore`, which can neither list
versions nor delete: what only backups and retention need is kept apart from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import urllib3
from minio.datatypes import Object
from minio.error import S3Error

from cityledger.records import ObjectRef
from cityledger.storage.objects import LOCKED, ObjectStore

_UNTIL = "x-amz-object-lock-retain-until-date"
_HOLD = "x-amz-object-lock-legal-hold"


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version of one object, or a delete marker.

    Attributes:
        bucket: Logical name.
        version_id: None in buckets without versions.
        marker: Whether it says that the object was deleted.
    """

    bucket: str
    key: str
    version_id: str | None
    marker: bool
    latest: bool
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class Properties:
    """What the store keeps beside an object's bytes.

    Attributes:
        retain_until: Until when the store refuses to delete the version.
        hold: Whether a legal hold forbids it without end.
    """

    content_type: str = "application/octet-stream"
    retain_until: datetime | None = None
    hold: bool = False


class OperatorStore(ObjectStore):
    """An object store whose versions can be listed, re-created, held and removed."""

    def versions(self, bucket: str, prefix: str = "") -> Iterator[StoredVersion]:
        """All versions below a prefix: by key, newest first; delete markers may come later.

        Raises:
            UnavailableError: the store does not answer.
        """
        physical = self.bucket(bucket)
        with self._errors(f"s3://{physical}/{prefix}"):
            for item in self._client.list_objects(
                physical, prefix=prefix, recursive=True, include_version=True
            ):
                yield _stored(bucket, item)

    @contextmanager
    def read(self, version: StoredVersion) -> Iterator[tuple[urllib3.BaseHTTPResponse, Properties]]:
        """A version's bytes as a stream, and its properties, in one request.

        Raises:
            CityLedgerError: it is gone (code ``object_missing``).
        """
        physical = self.bucket(version.bucket)
        with self._errors(f"s3://{physical}/{version.key}"):
            response = self._client.get_object(physical, version.key, version_id=version.version_id)
            try:
                yield response, _properties(response.headers)
            finally:
                response.close()
                response.release_conn()

    def properties(self, bucket: str, key: str, version_id: str | None = None) -> Properties:
        """What is kept beside a version's bytes.

        Raises:
            CityLedgerError: it is gone (code ``object_missing``).
        """
        physical = self.bucket(bucket)
        with self._errors(f"s3://{physical}/{key}"):
            stat = self._client.stat_object(physical, key, version_id=version_id)
            return _properties(stat.metadata or {})

    def recreate(
        self, bucket: str, key: str, path: Path, *, sha256: str, properties: Properties
    ) -> ObjectRef:
        """Store a file as the newest version, with the properties that it had elsewhere.

        A retention that has ended is not set: S3 refuses one in the past.

        Raises:
            BadInputError: the file's bytes do not hash to ``sha256`` (code ``file_changed``).
        """
        until = properties.retain_until
        if bucket not in LOCKED or (until is not None and until <= datetime.now(UTC)):
            until = None
        made = self.put_file(
            bucket,
            key,
            path,
            sha256=sha256,
            retain_until=until,
            content_type=properties.content_type,
        )
        if properties.hold:
            self.hold(bucket, key, made.version_id)
        return made

    def mark_deleted(self, bucket: str, key: str) -> None:
        """Put a delete marker on top; older versions stay."""
        self.remove(bucket, key, None)

    def remove(self, bucket: str, key: str, version_id: str | None) -> None:
        """Remove a version for good.

        Raises:
            CityLedgerError: its retention or a legal hold forbids it (code ``s3_refused``).
        """
        physical = self.bucket(bucket)
        with self._errors(f"s3://{physical}/{key}"):
            try:
                self._client.remove_object(physical, key, version_id)
            except S3Error as error:
                # Removing what is gone is done already; some stores say so, most don't.
                if error.code not in {"NoSuchKey", "NoSuchVersion"}:
                    raise

    def hold(self, bucket: str, key: str, version_id: str | None) -> None:
        """Forbid the removal of a version until :meth:`release_hold`."""
        physical = self.bucket(bucket)
        with self._errors(f"s3://{physical}/{key}"):
            self._client.enable_object_legal_hold(physical, key, version_id)

    def release_hold(self, bucket: str, key: str, version_id: str | None) -> None:
        """Take a legal hold away; the retention stays as it is."""
        physical = self.bucket(bucket)
        with self._errors(f"s3://{physical}/{key}"):
            self._client.disable_object_legal_hold(physical, key, version_id)


def _stored(bucket: str, item: Object) -> StoredVersion:
    version = item.version_id
    return StoredVersion(
        bucket=bucket,
        key=str(item.object_name),
        version_id=version if version and version != "null" else None,
        marker=bool(item.is_delete_marker),
        latest=str(item.is_latest).lower() == "true",
        size=int(item.size or 0),
        etag=str(item.etag or "").strip('"'),
        modified=item.last_modified or datetime.fromtimestamp(0, UTC),
    )


def _properties(headers: Mapping[str, str]) -> Properties:
    named = {name.lower(): value for name, value in headers.items()}
    until = named.get(_UNTIL)
    return Properties(
        content_type=named.get("content-type", "application/octet-stream"),
        retain_until=datetime.fromisoformat(until) if until else None,
        hold=named.get(_HOLD) == "ON",
    )
