"""The object store: whole objects in, pinned versions out, over any S3 service.

Landing and evidence are versioned and object-locked (WORM): a landed version cannot be deleted or
overwritten before its retention ends, not even by whoever holds the keys.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Self, cast

import urllib3
from minio import Minio
from minio.commonconfig import COMPLIANCE
from minio.datatypes import Object
from minio.error import InvalidResponseError, S3Error, ServerError
from minio.helpers import ObjectWriteResult, genheaders
from minio.retention import Retention
from urllib3.exceptions import HTTPError

from cityledger.errors import BadInputError, CityLedgerError, UnavailableError
from cityledger.records import ObjectRef
from cityledger.settings import Settings
from cityledger.storage.buckets import BUCKETS as BUCKETS
from cityledger.storage.buckets import EVIDENCE as EVIDENCE
from cityledger.storage.buckets import LAKE as LAKE
from cityledger.storage.buckets import LANDING as LANDING
from cityledger.storage.buckets import LOCKED as LOCKED
from cityledger.storage.buckets import PUBLISHED as PUBLISHED
from cityledger.storage.buckets import QUARANTINE as QUARANTINE
from cityledger.storage.buckets import VALIDATED as VALIDATED
from cityledger.storage.connections import connections
from cityledger.storage.endpoint import S3Endpoint
from cityledger.storage.moved import MovedVersions
from cityledger.storage.outages import store_full
from cityledger.storage.uploads import PART_BYTES, ObjectWriter, PieceReader

# minio's own choice is one part for anything below 525 MiB, held in memory whole; parts of this
# size keep at most six of them in memory and let hashing overlap with sending.
_PART_BYTES: Final = 16 * 1024**2
_PARALLEL_PARTS: Final = 3
_READ_BYTES: Final = 1024**2
_READ_ATTEMPTS: Final = 4

_MISSING: Final = frozenset({"NoSuchKey", "NoSuchVersion", "ResourceNotFound", "MethodNotAllowed"})
# Stores refuse a version id of another make (AWS's in SeaweedFS, say) as malformed.
_STRANGE: Final = _MISSING | {"InvalidRequest", "InvalidArgument"}
_TRANSIENT: Final = frozenset(
    {
        "SlowDown",
        "ServiceUnavailable",
        "InternalError",
        "RequestTimeout",
    }
)
# What MinIO, Ceph and others say; SeaweedFS says no more than InternalError.
_FULL: Final = frozenset(
    {
        "InsufficientStorage",
        "QuotaExceeded",
        "XMinioStorageFull",
    }
)
_REFUSED: Final = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"})


class _Client(Minio):
    """minio's client with what it lacks: a PUT that never replaces, and tidying up after kills."""

    def put_if_absent(
        self, bucket: str, key: str, data: bytes, content_type: str, retention: Retention | None
    ) -> ObjectWriteResult:
        """PUT with ``If-None-Match: *``; S3Error ``PreconditionFailed`` when the key exists."""
        headers = genheaders(_metadata(data), None, None, retention, False)
        headers |= {"Content-Type": content_type, "If-None-Match": "*"}
        return self._put_object(bucket, key, data, headers)

    def abort_unfinished(self, bucket: str, key: str) -> None:
        """Drop the parts that a killed process has sent of an object."""
        for upload in self._list_multipart_uploads(bucket, prefix=key).uploads:
            if upload.object_name == key and upload.upload_id:
                self._abort_multipart_upload(bucket, key, upload.upload_id)


class ObjectStore:
    """Objects of one installation; bucket arguments are logical names (``landing``, …)."""

    def __init__(self, endpoint: S3Endpoint, *, bucket_prefix: str = "") -> None:
        self.endpoint = endpoint
        self._prefix = bucket_prefix
        self._moved = MovedVersions()
        self._client = _Client(
            endpoint.host,
            endpoint.access_key,
            endpoint.secret_key,
            secure=endpoint.secure,
            region=endpoint.region,
            http_client=connections(endpoint),
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The store that ``settings.s3_url`` points to; connects on first use.

        Raises:
            UnavailableError: no store is configured.
        """
        return cls(S3Endpoint.from_settings(settings), bucket_prefix=settings.bucket_prefix)

    def bucket(self, name: str) -> str:
        """Physical name of a logical bucket."""
        if name not in BUCKETS:
            raise ValueError(f"'{name}' is none of the buckets {', '.join(BUCKETS)}")
        return f"{self._prefix}{name}"

    def ensure_buckets(self) -> None:
        """Create the missing buckets; landing and evidence with object lock (implies versions).

        Raises:
            CityLedgerError: landing or evidence exists without object lock, which S3 can't add.
        """
        for name in BUCKETS:
            bucket = self.bucket(name)
            with self._errors(f"s3://{bucket}", writing=True):
                self._ensure(bucket, locked=name in LOCKED)

    def put_file(
        self,
        bucket: str,
        key: str,
        path: Path,
        *,
        sha256: str | None = None,
        retain_until: datetime | None = None,
        content_type: str = "application/octet-stream",
    ) -> ObjectRef:
        """Upload a file, hashing it while it is sent.

        The bytes must hash to ``sha256``; without it the file is hashed before.

        Raises:
            BadInputError: the file's bytes hash to something else; nothing is stored.
            UnavailableError: the store does not answer.
        """
        physical = self.bucket(bucket)
        expected = sha256 or _file_sha256(path)
        with path.open("rb") as file, self._errors(f"s3://{physical}/{key}", writing=True):
            size = path.stat().st_size
            result = self._client.put_object(
                physical,
                key,
                cast(BinaryIO, _VerifiedReader(file, size, expected, path)),
                size,
                content_type=content_type,
                metadata={"sha256": expected},
                part_size=_PART_BYTES,
                num_parallel_uploads=_PARALLEL_PARTS,
                retention=_retention(retain_until),
            )
        return self._ref(physical, key, result.version_id, expected, size)

    @contextmanager
    def writer(self, bucket: str, key: str) -> Iterator[ObjectWriter]:
        """Send an object while it is being made; without a commit inside, nothing is stored.

        A large object has no hash in its metadata, which S3 wants before the first byte; the hash
        is in the reference that ``commit`` returns.

        Raises:
            UnavailableError: the store does not answer.
        """
        physical = self.bucket(bucket)

        def whole(data: bytes) -> ObjectRef:
            return self.put_bytes(bucket, key, data)

        def parts(pieces: PieceReader) -> ObjectRef:
            with self._errors(f"s3://{physical}/{key}", writing=True):
                self._client.abort_unfinished(physical, key)
                # One part at a time: minio's own threads could outlive the abort of an upload.
                result = self._client.put_object(
                    physical,
                    key,
                    cast(BinaryIO, pieces),
                    -1,
                    part_size=PART_BYTES,
                    num_parallel_uploads=1,
                )
            return self._ref(physical, key, result.version_id, "", 0)

        made = ObjectWriter(whole, parts)
        try:
            yield made
        finally:
            made.abandon()

    def put_bytes(
        self,
        bucket: str,
        key: str,
        data: bytes,
        *,
        retain_until: datetime | None = None,
        content_type: str = "application/octet-stream",
    ) -> ObjectRef:
        """Store a small object; a former version of an unversioned bucket is replaced."""
        physical = self.bucket(bucket)
        with self._errors(f"s3://{physical}/{key}", writing=True):
            result = self._client.put_object(
                physical,
                key,
                io.BytesIO(data),
                len(data),
                content_type=content_type,
                metadata=_metadata(data),
                retention=_retention(retain_until),
            )
        return self._ref(physical, key, result.version_id, _sha256(data), len(data))

    def put_new(
        self,
        bucket: str,
        key: str,
        data: bytes,
        *,
        retain_until: datetime | None = None,
        content_type: str = "application/octet-stream",
    ) -> ObjectRef | None:
        """Store a small object unless the key exists; of two racing writers exactly one wins.

        Returns:
            None when the key was already there.
        """
        physical = self.bucket(bucket)
        with self._errors(f"s3://{physical}/{key}", writing=True):
            try:
                result = self._client.put_if_absent(
                    physical, key, data, content_type, _retention(retain_until)
                )
            except S3Error as error:
                if error.code == "PreconditionFailed":
                    return None
                raise
        return self._ref(physical, key, result.version_id, _sha256(data), len(data))

    @contextmanager
    def open(self, ref: ObjectRef) -> Iterator[BinaryIO]:
        """Stream one version of an object; seekable; a broken connection is picked up again.

        Raises:
            CityLedgerError: that version does not exist (code ``object_missing``).
            UnavailableError: the store does not answer.
        """
        reader = io.BufferedReader(_VersionReader(self, ref), _READ_BYTES)
        with reader:
            yield cast(BinaryIO, reader)

    def get_bytes(self, bucket: str, key: str, version_id: str | None = None) -> bytes:
        """The whole of a small object.

        Raises:
            CityLedgerError: there is no such object (code ``object_missing``).
        """
        physical = self.bucket(bucket)
        with self._errors(f"s3://{physical}/{key}"):
            response = self._client.get_object(physical, key, version_id=version_id)
            try:
                return bytes(response.read())
            finally:
                response.close()
                response.release_conn()

    def find(self, bucket: str, key: str) -> ObjectRef | None:
        """The latest version of an object, or None; an object of foreign make is hashed."""
        physical = self.bucket(bucket)
        with self._errors(f"s3://{physical}/{key}"):
            try:
                stat = self._client.stat_object(physical, key)
            except S3Error as error:
                if error.code in _MISSING:
                    return None
                raise
        return self._from_stat(stat)

    def discard(self, bucket: str, key: str) -> None:
        """Remove an object of the lake's bucket, the only one where workers may; idempotent."""
        physical = self.bucket(bucket)
        with self._errors(f"s3://{physical}/{key}"):
            self._client.remove_object(physical, key)

    def list(self, bucket: str, prefix: str) -> Iterator[str]:
        """Keys below a prefix, in key order."""
        physical = self.bucket(bucket)
        with self._errors(f"s3://{physical}/{prefix}"):
            for item in self._client.list_objects(physical, prefix=prefix, recursive=True):
                yield str(item.object_name)

    def extend_retention(self, ref: ObjectRef, until: datetime) -> None:
        """Make sure that a version of a locked bucket is kept at least until then."""
        with self._errors(ref.uri):
            now = self._client.get_object_retention(ref.bucket, ref.key, ref.version_id)
            if now is None or now.retain_until_date < until:
                self._client.set_object_retention(
                    ref.bucket, ref.key, Retention(COMPLIANCE, until), ref.version_id
                )

    def fetch(self, ref: ObjectRef, offset: int) -> urllib3.BaseHTTPResponse:
        """An open response for the bytes of a version from an offset on (see :meth:`open`)."""
        with self._errors(ref.uri):
            try:
                return self._read(ref, self._moved.get(ref), offset)
            except S3Error as error:
                if error.code not in _STRANGE:
                    raise
                version = self._moved.find(ref, self._twins, self._read)
                if version is None:
                    raise _missing(ref.uri) from error
                return self._read(ref, version, offset)

    def _read(
        self, ref: ObjectRef, version: str | None, offset: int = 0
    ) -> urllib3.BaseHTTPResponse:
        return self._client.get_object(ref.bucket, ref.key, offset=offset, version_id=version)

    def _twins(self, ref: ObjectRef) -> Iterator[str]:
        """Version ids of the key's objects of the same size."""
        for item in self._client.list_objects(ref.bucket, prefix=ref.key, include_version=True):
            same = item.object_name == ref.key and item.size == ref.size
            if same and not item.is_delete_marker and item.version_id:
                yield str(item.version_id)

    def _ensure(self, bucket: str, *, locked: bool) -> None:
        try:
            self._client.make_bucket(bucket, object_lock=locked)
        except S3Error as error:
            if error.code not in {"BucketAlreadyExists", "BucketAlreadyOwnedByYou"}:
                raise
        if locked and self._client.get_bucket_versioning(bucket).status != "Enabled":
            raise CityLedgerError(
                "the bucket exists without object lock and versions",
                where=f"s3://{bucket}",
                fix="create it anew with object lock, or choose another CITYLEDGER_BUCKET_PREFIX",
                code="bucket_not_locked",
            )

    def _from_stat(self, stat: Object) -> ObjectRef:
        metadata = stat.metadata or {}
        key, size = str(stat.object_name), int(stat.size or 0)
        found = self._ref(
            stat.bucket_name, key, stat.version_id, metadata.get("x-amz-meta-sha256", ""), size
        )
        if found.sha256:
            return found
        with self.open(found) as stream:
            return found.model_copy(update={"sha256": _stream_sha256(stream)})

    @staticmethod
    def _ref(bucket: str, key: str, version: str | None, sha256: str, size: int) -> ObjectRef:
        # SeaweedFS answers "null" as the version id of objects in unversioned buckets, as AWS does
        # for objects from before versioning: neither can be asked for everywhere.
        known = version if version and version != "null" else None
        return ObjectRef(bucket=bucket, key=key, version_id=known, sha256=sha256, size=size)

    @contextmanager
    def _errors(self, where: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except S3Error as error:
            if writing and error.code == "InternalError" and self._reads():
                raise store_full(
                    f"the object store at {self.endpoint.host} can be read, but stores nothing "
                    f"({error.code}): most likely its disk is full",
                    where,
                ) from error
            raise self._refusal(error, where) from error
        except (HTTPError, ServerError, InvalidResponseError) as error:
            raise UnavailableError(
                f"the object store at {self.endpoint.host} does not answer "
                f"({type(error).__name__})",
                where=where,
                fix="check `cityledger status`; start the store or correct CITYLEDGER_S3_URL",
                code="s3_unavailable",
            ) from error

    def _reads(self) -> bool:
        """Whether the store answers questions, though it has just failed to store something."""
        try:
            self._client.stat_object(self.bucket(LANDING), "is-the-store-there")
        except S3Error as error:
            return error.code in _MISSING
        except (HTTPError, ServerError, InvalidResponseError):
            return False
        return True

    def _refusal(self, error: S3Error, where: str) -> CityLedgerError:
        code = str(error.code)
        if code in _FULL:
            told = f"the object store at {self.endpoint.host} has no disk space left ({code})"
            return store_full(told, where)
        if code in _TRANSIENT:
            return UnavailableError(
                f"the object store at {self.endpoint.host} cannot do it now ({code})",
                where=where,
                fix="look into its log, then run again",
                code="s3_unavailable",
            )
        if code == "RequestTimeTooSkewed":
            return UnavailableError(
                "this machine's clock is more than 15 minutes off the object store's",
                where=where,
                fix="set the clocks (`timedatectl set-ntp true`), then run again",
                code="clock_off",
            )
        if code in _MISSING:
            return _missing(where)
        if code == "NoSuchBucket":
            return CityLedgerError(
                "the bucket does not exist",
                where=where,
                fix="run `cityledger up`, which creates the buckets",
                code="bucket_missing",
            )
        if code in _REFUSED:
            return CityLedgerError(
                f"the object store refused ({code})",
                where=where,
                fix="check the keys in CITYLEDGER_S3_URL and, for deletion, the retention",
                code="s3_refused",
            )
        return CityLedgerError(f"the object store says {code}", where=where, code="s3_error")


class _VerifiedReader:
    """Hands a file to the uploader and refuses its last bytes unless the whole hashes right."""

    def __init__(self, file: BinaryIO, size: int, sha256: str, path: Path) -> None:
        self._file, self._left, self._expected, self._path = file, size, sha256, path
        self._digest = hashlib.sha256()
        if size == 0:
            self._check()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        self._left -= len(data)
        if self._left <= 0 or not data:
            self._check()
        return data

    def _check(self) -> None:
        if self._digest.hexdigest() != self._expected:
            raise BadInputError(
                "the file changed between extraction and landing; nothing of it was kept",
                where=self._path.name,
                fix="extract again when the department has finished writing",
                code="file_changed",
            )


class _VersionReader(io.RawIOBase):
    """One version of one object as a raw, seekable stream."""

    def __init__(self, store: ObjectStore, ref: ObjectRef) -> None:
        self._store, self._ref, self._at = store, ref, 0
        self._response: urllib3.BaseHTTPResponse | None = None
        if ref.size:
            self._response = store.fetch(ref, 0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._ref.size}[whence]
        target = base + offset
        if target < 0:
            raise ValueError("seek before the start of the object")
        if target != self._at:
            self._drop()
            self._at = target
        return target

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        # A buffered reader passes its caller's wish on; memory for large pieces is always new,
        # and takes longer to come by than to fill.
        wanted = min(len(view), self._ref.size - self._at, _READ_BYTES)
        if wanted <= 0:
            return 0
        data = self._read(wanted)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._drop()
        super().close()

    def _read(self, wanted: int) -> bytes:
        last: Exception | None = None
        for _ in range(_READ_ATTEMPTS):
            if self._response is None:
                self._response = self._store.fetch(self._ref, self._at)
            try:
                data = bytes(self._response.read(wanted))
            except (HTTPError, OSError) as error:
                last = error
            else:
                if data:
                    return data
            self._drop()
        raise UnavailableError(
            f"the object store broke off after {self._at} of {self._ref.size} bytes",
            where=self._ref.uri,
            fix="try again",
            code="s3_unavailable",
        ) from last

    def _drop(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response.release_conn()
            self._response = None


def _missing(where: str) -> CityLedgerError:
    return CityLedgerError("there is no such object", where=where, code="object_missing")


def _retention(until: datetime | None) -> Retention | None:
    return None if until is None else Retention(COMPLIANCE, until)


def _metadata(data: bytes) -> dict[str, Any]:
    return {"sha256": _sha256(data)}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stream_sha256(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(_READ_BYTES):
        digest.update(chunk)
    return digest.hexdigest()
