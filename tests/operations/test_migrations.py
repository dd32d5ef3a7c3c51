"""Databases of older versions, with rows in them, brought up to this one."""

from __future__ import annotations

import hashlib
import secrets
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from cityledger.errors import CityLedgerError
from cityledger.operations.backup.dump import PostgresTools, connect
from cityledger.storage.address import DatabaseAddress
from cityledger.storage.database import Database
from cityledger.storage.schema_version import MIGRATIONS, revisions
from cityledger_stack.postgres import Postgres
from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy import text

NewDatabase = Callable[[], DatabaseAddress]

#: A value of a column by its type's name, different for each number.
_VALUES: dict[str, Callable[[int], Any]] = {
    "int2": lambda number: number,
    "int4": lambda number: number,
    "int8": lambda number: number,
    "float8": lambda number: number + 0.5,
    "text": lambda number: f"值 {number}",
    "bool": lambda number: number % 2 == 0,
    "timestamptz": lambda number: datetime(2026, 3, number, 2, tzinfo=UTC),
    "date": lambda number: date(2026, 3, number),
    "jsonb": lambda number: Jsonb({"number": number, "name": "名"}),
    "bytea": lambda number: bytes([number]) * 8,
    "uuid": lambda number: UUID(int=number),
    "_text": lambda number: [f"a{number}", "b"],
    "_int4": lambda number: [number],
    "_int8": lambda number: [number],
}


@pytest.fixture
def new_database(postgres_server: Postgres) -> Iterator[NewDatabase]:
    """Makes empty databases."""
    names: list[str] = []

    def make() -> DatabaseAddress:
        names.append(f"old_{secrets.token_hex(4)}")
        with postgres_server.connect() as session:
            session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(names[-1])))
        port, password = postgres_server.port, postgres_server.password
        return DatabaseAddress("127.0.0.1", port, names[-1], "postgres", password)

    yield make
    with postgres_server.connect() as session:
        for name in names:
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _upgrade(address: DatabaseAddress, revision: str) -> None:
    database, config = Database(address), Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS cityledger"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    database.close()


def _tables(session: psycopg.Connection[Any]) -> list[str]:
    """Tables in an order in which rows can be added: what is referred to comes first."""
    query = """
        SELECT c.relname, coalesce(array_agg(r.relname) FILTER (WHERE r.relname IS NOT NULL), '{}')
        FROM pg_class c
        LEFT JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'f'
        LEFT JOIN pg_class r ON r.oid = k.confrelid
        WHERE c.relnamespace = 'cityledger'::regnamespace AND c.relkind IN ('r', 'p')
          AND c.relname <> 'alembic_version'
        GROUP BY c.relname ORDER BY c.relname
    """
    waiting = {name: set(needs) for name, needs in session.execute(query)}
    ordered: list[str] = []
    while waiting:
        ready = sorted(name for name, needs in waiting.items() if needs <= {*ordered, name})
        assert ready, waiting
        ordered += ready
        waiting = {name: needs for name, needs in waiting.items() if name not in ready}
    return ordered


def _fill(session: psycopg.Connection[Any], table: str) -> None:
    """Two rows with a value in every column that does not get one by itself."""
    query = """
        SELECT column_name, udt_name FROM information_schema.columns
        WHERE table_schema = 'cityledger' AND table_name = %s AND is_identity = 'NO'
          AND is_generated = 'NEVER'
          AND (table_name, column_name) <> ('score', 'standardisation_id')
    """  # a score is of a validation or of a build, never of both
    columns = session.execute(query, [table]).fetchall()
    for number in (1, 2):
        session.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier("cityledger", table),
                sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
                sql.SQL(", ").join(sql.Placeholder() for _ in columns),
            ),
            [_VALUES[kind](number) for _, kind in columns],
        )


def _content(session: psycopg.Connection[Any], tables: dict[str, list[str]]) -> dict[str, str]:
    """A digest of each table's rows, over given columns."""
    found = {}
    for table, columns in tables.items():
        listed = sql.SQL(", ").join(sql.Identifier(name) for name in columns)
        place = sql.Identifier("cityledger", table)
        query = sql.SQL("SELECT {} FROM {} ORDER BY 1").format(listed, place)
        rows = session.execute(query).fetchall()
        assert len(rows) == 2, table
        found[table] = hashlib.sha256(repr(rows).encode()).hexdigest()
    return found


def _columns(session: psycopg.Connection[Any], table: str) -> list[str]:
    query = (
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'cityledger'"
        " AND table_name = %s ORDER BY ordinal_position"
    )
    return [name for (name,) in session.execute(query, [table])]


def _schema(tools: PostgresTools, address: DatabaseAddress) -> str:
    """The database's tables, triggers, functions and rights as SQL."""
    assert tools.folder is not None
    place = f"postgresql://postgres:{address.password}@127.0.0.1:{address.port}/{address.database}"
    words = ["--schema-only", "--no-owner", "--schema=cityledger", "--restrict-key=test", place]
    done = subprocess.run(
        [tools.folder / "pg_dump", *words], capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("revision", revisions()[:-1])
def test_an_older_database_becomes_this_one_with_all_its_rows(
    revision: str, new_database: NewDatabase, tools: PostgresTools
) -> None:
    """An update of the program that loses rows, or leaves tables that a fresh start has not."""
    old, fresh = new_database(), new_database()
    _upgrade(old, revision)
    with connect(old) as session:
        tables = _tables(session)
        for table in tables:
            _fill(session, table)
        columns = {table: _columns(session, table) for table in tables}
        before = _content(session, columns)
    assert before
    for address in (old, fresh):
        Database(address).migrate()
    with connect(old) as session:
        assert _content(session, columns) == before
    assert _schema(tools, old) == _schema(tools, fresh)


def test_a_migration_that_meets_foreign_tables_says_so_and_goes_on_later(
    new_database: NewDatabase, tools: PostgresTools
) -> None:
    """A migration applied by hand and half: one clear error, the former tables, then the cure."""
    address, fresh = new_database(), new_database()
    _upgrade(address, revisions()[2])
    with connect(address) as session:
        session.execute("CREATE TABLE cityledger.log_bundle (id INT)")
        before = _schema(tools, address)
        with pytest.raises(CityLedgerError) as told:
            Database(address).migrate()
        assert told.value.code == "migration_failed"
        assert "log_bundle" in told.value.what
        assert _schema(tools, address) == before
        session.execute("DROP TABLE cityledger.log_bundle")
    for one in (address, fresh):
        Database(one).migrate()
    assert _schema(tools, address) == _schema(tools, fresh)
