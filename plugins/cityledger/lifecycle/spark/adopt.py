"""DuckLake takes over the files that the engine wrote: one commit, one snapshot, no copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb

from cityledger.errors import CityLedgerError
from cityledger.settings import Settings
from cityledger.storage import duck
from cityledger.storage.objects import LAKE, ObjectStore


def adopt(
    settings: Settings,
    store: ObjectStore,
    tables: Mapping[str, Mapping[str, str]],
    rows: Mapping[str, int],
    *,
    folder: str,
) -> int:
    """Make the engine's files the lake's tables; readers see all the old tables, or all the new.

    Args:
        settings: Where the lake is.
        store: Where the files are.
        tables: ``schema.table`` → column → DuckDB type.
        rows: ``schema.table`` → rows that the engine counted.
        folder: Key prefix in the lake's bucket; files lie in ``<folder>/<schema>/<table>/``.

    Returns:
        The snapshot.

    Raises:
        CityLedgerError: a file does not fit its table, or the files hold another number of rows
            than the engine counted (``engine_files``); the lake is as before.
        UnavailableError: database or object store do not answer.
    """
    with duck.connect(settings, lake=True) as connection:
        connection.execute("BEGIN")
        try:
            for table, columns in sorted(tables.items()):
                files = _files(store, folder, table)
                _take_over(connection, table, columns, files)
                _check(connection, table, rows[table])
            connection.execute("COMMIT")
        except duckdb.Error as error:
            raise CityLedgerError(
                f"the lake cannot take over the engine's files: {str(error).splitlines()[0]}",
                where=folder,
                fix="standardise again; if it repeats, the engine writes other types than it says",
                code="engine_files",
            ) from error
        return duck.snapshot_id(connection)


def _files(store: ObjectStore, folder: str, table: str) -> list[str]:
    """Addresses of a table's files, without those that engines themselves pass over."""
    bucket, prefix = store.bucket(LAKE), f"{folder}/{table.replace('.', '/')}/"
    return sorted(
        f"s3://{bucket}/{key}"
        for key in store.list(LAKE, prefix)
        if key.endswith(".parquet")
        and not any(part.startswith(("_", ".")) for part in key.removeprefix(prefix).split("/"))
    )


def _take_over(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    columns: Mapping[str, str],
    files: Sequence[str],
) -> None:
    schema, _, name = table.partition(".")
    typed = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
    connection.execute(f'CREATE SCHEMA IF NOT EXISTS lake."{schema}"')
    connection.execute(f'CREATE OR REPLACE TABLE lake."{schema}"."{name}" ({typed})')
    for file in files:
        connection.execute(
            "CALL ducklake_add_data_files('lake', $name, $file, schema => $schema)",
            {"name": name, "file": file, "schema": schema},
        )


def _check(connection: duckdb.DuckDBPyConnection, table: str, expected: int) -> None:
    row = connection.execute(f"SELECT count(*) FROM lake.{table}").fetchone()
    if row is None or row[0] != expected:
        raise CityLedgerError(
            f"the engine counted {expected} rows, its files hold {row[0] if row else 0}",
            where=table,
            fix="check that the engine and the lake use the same bucket, then standardise again",
            code="engine_files",
        )
