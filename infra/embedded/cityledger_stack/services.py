"""Checks of the database and the object store, embedded or external."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
from alembic.script import ScriptDirectory
from cityledger.errors import CityLedgerError
from cityledger.settings import Settings
from cityledger.storage import migrations
from cityledger.storage.endpoint import S3Endpoint
from cityledger.storage.objects import LOCKED, ObjectStore
from minio import Minio
from minio.error import MinioException, S3Error
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from cityledger_stack.findings import Finding, finding
from cityledger_stack.plan import without_credentials

_VERSION = "SELECT version_num FROM cityledger.alembic_version"


def database(settings: Settings) -> Iterator[Finding]:
    """Whether the database answers, has this version's tables and agrees about the time."""
    if settings.database_url is None:
        return
    url = settings.database_url.get_secret_value()
    where = without_credentials(url)
    try:
        with psycopg.connect(url, connect_timeout=5, autocommit=True) as session:
            yield _clock(session)
            yield _migrated(session, where)
    except psycopg.OperationalError:
        fix = "cityledger logs postgres; for an external one check CITYLEDGER_DATABASE_URL"
        yield Finding("database", "problem", f"{where} does not answer", fix)


def objects(settings: Settings) -> Iterator[Finding]:
    """Whether the buckets that must not forget have their object lock."""
    try:
        endpoint, store = S3Endpoint.from_settings(settings), ObjectStore.from_settings(settings)
    except CityLedgerError as error:
        yield Finding("object store", "problem", error.what, error.fix)
        return
    client = Minio(
        endpoint.host,
        endpoint.access_key,
        endpoint.secret_key,
        secure=endpoint.secure,
        region=endpoint.region,
        http_client=PoolManager(timeout=5, retries=False),
    )
    for bucket in sorted(LOCKED):
        yield _lock(client, store.bucket(bucket))


def _migrated(session: psycopg.Connection, where: str) -> Finding:
    wanted = ScriptDirectory(str(migrations.__path__[0])).get_current_head()
    try:
        row = session.execute(_VERSION).fetchone()
    except psycopg.errors.UndefinedTable:
        row = None
    found = row[0] if row else "none"
    detail = f"{where}, tables of version {found}, this program needs {wanted}"
    return finding("database", found == wanted, detail, "cityledger up (it migrates the tables)")


def _clock(session: psycopg.Connection) -> Finding:
    row = session.execute("SELECT extract(epoch FROM clock_timestamp())::float8").fetchone()
    off = abs(time.time() - row[0]) if row else 0.0
    fix = "set the clocks (timedatectl set-ntp true): retention and evidence carry the time"
    return finding("clock", off < 5, f"{off:.1f} s from the database's", fix, bad="warning")


def _lock(client: Minio, bucket: str) -> Finding:
    check = f"bucket {bucket}"
    try:
        client.get_object_lock_config(bucket)
    except S3Error as error:
        missing = error.code == "NoSuchBucket"
        fix = "cityledger up" if missing else "a lock is set when a bucket is made: make it anew"
        return Finding(check, "problem", f"object lock: {error.code}", fix)
    except (MinioException, HTTPError):
        return Finding(check, "problem", "the object store does not answer", "cityledger logs s3")
    return Finding(check, "ok", "object lock is on")
