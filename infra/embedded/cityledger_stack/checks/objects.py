"""Checks of the object store."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from cityledger.errors import CityLedgerError
from cityledger.settings import Settings
from cityledger.storage.endpoint import S3Endpoint
from cityledger.storage.objects import BUCKETS, LOCKED, ObjectStore
from minio import Minio
from minio.error import MinioException, S3Error
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from cityledger_stack.checks.database import clock_finding
from cityledger_stack.findings import Finding

_REFUSED = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"})
_AGAIN = "cityledger up, or python -m cityledger_stack.prepare (it makes the buckets)"


def objects(settings: Settings) -> Iterator[Finding]:
    """Whether the store answers, has its buckets, and cannot be made to forget."""
    try:
        endpoint, store = S3Endpoint.from_settings(settings), ObjectStore.from_settings(settings)
    except CityLedgerError as error:
        yield Finding("object store", "problem", error.what, error.fix)
        return
    pool = PoolManager(timeout=5, retries=False)
    try:
        yield from _clock(pool, endpoint)
    except HTTPError:
        fix = "cityledger logs s3; for an external one check CITYLEDGER_S3_URL"
        yield Finding("object store", "problem", f"{endpoint.host} does not answer", fix)
        return
    client = Minio(
        endpoint.host,
        endpoint.access_key,
        endpoint.secret_key,
        secure=endpoint.secure,
        region=endpoint.region,
        http_client=pool,
    )
    for name in BUCKETS:
        yield _bucket(client, store.bucket(name), locked=name in LOCKED)


def _clock(pool: PoolManager, endpoint: S3Endpoint) -> Iterator[Finding]:
    scheme = "https" if endpoint.secure else "http"
    answer = pool.request("GET", f"{scheme}://{endpoint.host}/", redirect=False)
    date = answer.headers.get("Date")
    if date is not None:  # any answer has one, a refusal as well
        yield clock_finding("object store", parsedate_to_datetime(date).timestamp())


def _bucket(client: Minio, bucket: str, *, locked: bool) -> Finding:
    check = f"bucket {bucket}"
    try:
        if not client.bucket_exists(bucket):
            return Finding(check, "problem", "there is no such bucket", _AGAIN)
        return _lock(client, bucket) if locked else Finding(check, "ok", "exists")
    except S3Error as error:
        fix = (
            "check the keys in CITYLEDGER_S3_URL, and what their owner may do"
            if error.code in _REFUSED
            else "look the code up in the store's documentation"
        )
        return Finding(check, "problem", f"the object store says {error.code}", fix)
    except (MinioException, HTTPError, ValueError):
        return Finding(check, "problem", "the object store does not answer", "cityledger logs s3")


def _lock(client: Minio, bucket: str) -> Finding:
    check = f"bucket {bucket}"
    versions = client.get_bucket_versioning(bucket).status
    if versions != "Enabled":
        fix = "turn versions on again; then run `cityledger ledger verify --objects`"
        return Finding(check, "problem", f"versions are {versions or 'off'}", fix)
    try:
        client.get_object_lock_config(bucket)
    except S3Error as error:
        if error.code in _REFUSED:
            raise
        fix = "a lock is set when a bucket is made: make it anew, or choose another prefix"
        return Finding(check, "problem", "there is no object lock", fix)
    return Finding(check, "ok", "object lock and versions are on")
