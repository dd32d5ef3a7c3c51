"""DuckDB sessions: extensions from wheels, the object store's secret, the lake attached.

Nothing is downloaded: the wheels bring the signed extension binaries. Secrets are bound as
parameters, so neither a query log nor an error text holds them.
"""

from __future__ import annotations

import os
import time
from importlib import resources
from pathlib import Path
from typing import Final

import duckdb

from cityledger.errors import CityLedgerError, UnavailableError
from cityledger.settings import Settings
from cityledger.storage.address import DatabaseAddress
from cityledger.storage.endpoint import S3Endpoint
from cityledger.storage.objects import LAKE

EXTENSIONS: Final = ("httpfs", "ducklake", "postgres_scanner")
CATALOGUE_SCHEMA: Final = "ducklake"

# The first process to attach makes the catalogue. DuckLake does so in one transaction, but of
# several processes that come first at once all but one fail on the schema; then it is there.
_FIRST_ATTACHES: Final = 5


def connect(
    settings: Settings, *, lake: bool = False, read_only: bool = False
) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that can read and write ``s3://`` and, if asked, the lake.

    Args:
        settings: Addresses, threads and the memory limit.
        lake: Attach the DuckLake catalogue as ``lake``.
        read_only: Attach it read-only.

    Raises:
        UnavailableError: the catalogue's database or the object store does not answer, or is not
            configured.
    """
    connection = duckdb.connect(":memory:", config=session_config(settings))
    try:
        prepare(connection, settings, lake=lake)
        if lake:
            _attach_lake(connection, settings, read_only=read_only)
    except BaseException:
        connection.close()
        raise
    return connection


def session_config(settings: Settings) -> dict[str, str | bool | int | float | list[str]]:
    """Options that a DuckDB session is opened with; makes the folder that it may need."""
    folder = settings.home / "duckdb"
    # DuckDB makes the last folder of a path only, and only when it first spills: a large delivery
    # would fail where small ones passed.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        "extension_directory": str(folder / "extensions"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "threads": settings.threads,
        "memory_limit": f"{settings.memory_limit_mb}MiB",
        "temp_directory": str(folder / "temp"),
    }


def prepare(
    connection: duckdb.DuckDBPyConnection, settings: Settings, *, lake: bool = False
) -> None:
    """Load the extensions and create the secrets in a session that somebody else opened.

    With ``lake`` it loads and creates those of the lake, too, so that
    ``ATTACH 'ducklake:cityledger_lake'`` works (dbt attaches by itself).
    """
    for name in EXTENSIONS if lake else EXTENSIONS[:1]:
        connection.execute(f"LOAD '{extension_file(name)}'")
    endpoint = S3Endpoint.from_settings(settings)
    if endpoint.secure:
        _trust_authorities(connection)
    _create_s3_secret(connection, endpoint)
    if lake:
        _create_lake_secrets(connection, settings)


def extension_file(name: str) -> Path:
    """The signed binary of an extension, where its wheel put it.

    It is loaded from there: nothing is unpacked, so processes that start side by side have nothing
    to race for.

    Raises:
        CityLedgerError: the wheel is missing or made for another version of DuckDB.
    """
    try:
        wheel = resources.files(f"duckdb_extension_{name}")
    except ModuleNotFoundError:
        wheel = None
    version = f"v{duckdb.__version__}"
    path = Path(str(wheel)) / "extensions" / version / f"{name}.duckdb_extension"
    if wheel is None or not path.is_file():
        raise CityLedgerError(
            f"DuckDB {version} has no extension {name} here",
            fix=f"install duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}",
            code="extension_missing",
        )
    return path


def data_path(settings: Settings) -> str:
    """Where the lake's Parquet files lie."""
    return f"s3://{settings.bucket_prefix}{LAKE}/"


def snapshot_id(connection: duckdb.DuckDBPyConnection) -> int:
    """The newest snapshot of the attached lake: the version of every table in it."""
    row = connection.execute("SELECT max(snapshot_id) FROM lake.snapshots()").fetchone()
    return int(row[0]) if row and row[0] is not None else 0


def _trust_authorities(connection: duckdb.DuckDBPyConnection) -> None:
    """Check servers' certificates with the authorities that ``SSL_CERT_FILE`` names.

    Python's and libpq's clients heed the variable by themselves; httpfs has a setting of its own.
    """
    if path := os.environ.get("SSL_CERT_FILE"):
        literal = path.replace("'", "''")
        # For the session's cursors, too: dbt works with one for each model.
        connection.execute(f"SET GLOBAL ca_cert_file = '{literal}'")


def _create_s3_secret(connection: duckdb.DuckDBPyConnection, endpoint: S3Endpoint) -> None:
    connection.execute(
        "CREATE SECRET cityledger_s3 (TYPE s3, KEY_ID $key, SECRET $secret, ENDPOINT $host,"
        " REGION $region, USE_SSL $secure, URL_STYLE 'path')",
        {
            "key": endpoint.access_key,
            "secret": endpoint.secret_key,
            "host": endpoint.host,
            "region": endpoint.region,
            "secure": endpoint.secure,
        },
    )


def _create_lake_secrets(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    address = DatabaseAddress.from_settings(settings)
    connection.execute(
        "CREATE SECRET cityledger_catalogue (TYPE postgres, HOST $host, PORT $port,"
        " DATABASE $database, USER $user, PASSWORD $password)",
        {
            "host": address.host,
            "port": str(address.port),
            "database": address.database,
            "user": address.user,
            "password": address.password,
        },
    )
    connection.execute(
        "CREATE SECRET cityledger_lake (TYPE ducklake, METADATA_PATH '', DATA_PATH $data,"
        " METADATA_SCHEMA $schema,"
        " METADATA_PARAMETERS MAP {'TYPE': 'postgres', 'SECRET': 'cityledger_catalogue'})",
        {"data": data_path(settings), "schema": CATALOGUE_SCHEMA},
    )


def _attach_lake(
    connection: duckdb.DuckDBPyConnection, settings: Settings, *, read_only: bool
) -> None:
    address = DatabaseAddress.from_settings(settings)
    try:
        _attach(connection, "(READ_ONLY)" if read_only else "")
    except duckdb.IOException as error:
        raise UnavailableError(
            f"the lake's catalogue in the database at {address.host}:{address.port} "
            "cannot be opened",
            fix="check `cityledger status`; start the database or correct CITYLEDGER_DATABASE_URL",
            code="lake_unavailable",
        ) from error
    except duckdb.Error as error:
        raise CityLedgerError(
            f"the lake does not fit its catalogue: {str(error).splitlines()[0]}",
            fix="use the CITYLEDGER_BUCKET_PREFIX and database that the lake was made with",
            code="lake_mismatch",
        ) from error


def _attach(connection: duckdb.DuckDBPyConnection, mode: str) -> None:
    for _ in range(_FIRST_ATTACHES):
        try:
            connection.execute(f"ATTACH 'ducklake:cityledger_lake' AS lake {mode}")
        except duckdb.Error as error:
            if "Failed to initialize DuckLake" not in str(error):
                raise
            failed = error
            time.sleep(0.2)
        else:
            return
    raise failed
