"""Runs inside the deployment: what a part must not be able to do; prints what really happens."""

from __future__ import annotations

import errno
import json
import socket
from pathlib import Path

import psycopg
from cityledger.settings import get_settings
from cityledger.storage.address import DatabaseAddress
from cityledger.storage.endpoint import S3Endpoint
from cityledger.storage.objects import LANDING, ObjectStore
from minio.error import S3Error

_DOCUMENTED_NOWHERE = ("192.0.2.1", 80)  # RFC 5737: an address that belongs to nobody

settings = get_settings()
address = DatabaseAddress.from_settings(settings)


def outside() -> str:
    """What a connection to the outside comes to."""
    try:
        socket.create_connection(_DOCUMENTED_NOWHERE, timeout=3).close()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return "connected"


def write_to_the_image() -> str:
    """What writing beside the code comes to."""
    try:
        Path("/opt/cityledger/left-behind").touch()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return "written"


def database(statement: str, **options: str) -> str:
    """What a statement comes to, as the workers' role."""
    try:
        with psycopg.connect(
            host=address.host,
            port=address.port,
            dbname=address.database,
            user=address.user,
            password=address.password,
            **options,  # type: ignore[arg-type]  # libpq's words
        ) as session:
            session.execute(statement)
    except psycopg.Error as error:
        if "no pg_hba.conf entry" in str(error) and "no encryption" in str(error):
            return "no entry without encryption"
        return error.sqlstate or type(error).__name__
    return "done"


def delete_a_landed_file() -> str:
    """What deleting the first landed object comes to, as the workers' identity."""
    store = ObjectStore.from_settings(settings)
    key = next(store.list(LANDING, ""))
    found = store.find(LANDING, key)
    assert found is not None
    client = store._client
    try:
        client.remove_object(found.bucket, found.key, version_id=found.version_id)
    except S3Error as error:
        return str(error.code)
    return "deleted"


print(  # noqa: T201 - what the caller reads
    json.dumps(
        {
            "a way out": outside(),
            "write to the image": write_to_the_image(),
            "database without TLS": database("SELECT 1", sslmode="disable"),
            "change the ledger": database("UPDATE cityledger.outcome SET stage = stage"),
            "make a table": database("CREATE TABLE cityledger.mine (a int)"),
            "delete a landed file": delete_a_landed_file(),
            "object store": "https" if S3Endpoint.from_settings(settings).secure else "http",
        }
    )
)
