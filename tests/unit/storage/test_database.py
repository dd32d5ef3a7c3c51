"""The database: migrations, append-only tables, locks between processes."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from importlib.resources import files

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cityledger.errors import CityLedgerError, UnavailableError
from cityledger.settings import Settings
from cityledger.storage.address import DatabaseAddress
from cityledger.storage.database import Database
from cityledger.storage.outages import PASSING
from cityledger.storage.tables import SCHEMA, metadata
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

_CUT_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture(scope="session")
def database_template() -> str:
    """Of PostgreSQL itself: these tests migrate by themselves."""
    return "template1"


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    made = Database.from_settings(settings)
    made.migrate()
    yield made
    made.close()


def test_migrations_end_at_the_declared_tables(database: Database) -> None:
    """Prevents a table definition that a fresh installation would not get."""
    with database.begin() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "version_table_schema": SCHEMA,
                "include_name": lambda name, kind, _: kind != "schema" or name == SCHEMA,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_migrating_twice_and_at_once_is_harmless(settings: Settings) -> None:
    """Prevents a broken schema when api-server and scheduler start side by side."""
    errors: list[Exception] = []

    def migrate() -> None:
        try:
            Database.from_settings(settings).migrate()
        except Exception as error:  # noqa: BLE001 - a thread's error is to be seen by the test
            errors.append(error)

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_migrations_are_part_of_the_package() -> None:
    """Prevents a wheel that cannot create its tables."""
    versions = files("cityledger.storage") / "migrations" / "versions"
    assert [one.name for one in versions.iterdir() if one.name.startswith("0001")]


def test_journals_refuse_change(database: Database) -> None:
    """Prevents a past that somebody tidies up, even by a superuser's slip."""
    changes = ("UPDATE {} SET id = DEFAULT", "DELETE FROM {}", "TRUNCATE {} CASCADE")
    for table in metadata.sorted_tables:
        if "mutable" in table.info:  # an index or a position: no record of anything
            continue
        for change in changes:
            statement = text(change.format(f"{SCHEMA}.{table.name}"))
            with pytest.raises(DBAPIError, match="append-only"), database.begin() as connection:
                connection.execute(statement)


def test_lock_keeps_others_out_and_is_given_back(database: Database) -> None:
    """Prevents two processes from doing the same stage of the same partition."""
    with database.lock("dept.set/2026"):
        with database.lock("dept.set/2027", timeout=10):
            pass
        with (
            pytest.raises(UnavailableError, match="still busy") as caught,
            database.lock("dept.set/2026", timeout=0.2),
        ):
            pass
        assert caught.value.code == "locked"
    with database.lock("dept.set/2026", timeout=10):
        pass


def test_lock_is_given_back_after_an_error_inside(database: Database) -> None:
    """Prevents a failed task from blocking its own retry."""
    with pytest.raises(ZeroDivisionError), database.lock("one"):
        raise ZeroDivisionError
    with database.lock("one", timeout=10):
        pass


def test_what_fails_while_the_database_restarts_is_tried_again(database: Database) -> None:
    """Prevents a restart from ending the day: dbt's words for a cut session name no outage."""

    def work(cut: bool) -> None:
        with database.lock("one"):
            if cut:
                with database.begin() as other:
                    other.execute(text(_CUT_OTHERS))
            raise CityLedgerError("a model failed", code="dbt_failed")

    with pytest.raises(CityLedgerError) as told:
        work(cut=False)
    assert told.value.code == "dbt_failed"
    with pytest.raises(UnavailableError) as told:
        work(cut=True)
    assert told.value.code in PASSING
    assert isinstance(told.value.__cause__, CityLedgerError)
    with database.lock("one", timeout=10):
        pass


def _hold_and_die(settings: Settings, held: object) -> None:
    with Database.from_settings(settings).lock("fatal"):
        held.set()  # type: ignore[attr-defined]
        os.kill(os.getpid(), 9)


def test_killed_process_gives_its_lock_back(settings: Settings) -> None:
    """Prevents a `kill -9` from stopping a partition for good."""
    spawn = multiprocessing.get_context("spawn")
    held = spawn.Event()
    process = spawn.Process(target=_hold_and_die, args=(settings, held))
    process.start()
    assert held.wait(30)
    process.join()
    with Database.from_settings(settings).lock("fatal", timeout=10):
        pass


def _query_in_child(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(text("SELECT 1"))


def test_forked_process_does_not_share_connections(database: Database) -> None:
    """Prevents two processes from talking over one connection after Airflow forks a task."""
    fork = multiprocessing.get_context("fork")
    with database.begin() as connection:
        mine = connection.scalar(text("SELECT pg_backend_pid()"))
        process = fork.Process(target=_query_in_child, args=(database,))
        process.start()
        process.join()
        assert process.exitcode == 0
        assert connection.scalar(text("SELECT pg_backend_pid()")) == mine
    process = fork.Process(target=_query_in_child, args=(database,))
    process.start()
    process.join()
    assert process.exitcode == 0
    with database.begin() as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) == mine


def test_failed_transaction_leaves_nothing(database: Database) -> None:
    """Prevents half a record after a crash."""
    table = f"{SCHEMA}.standardisation"
    row = text(f"INSERT INTO {table} (snapshot_id, record) VALUES (1 / :divisor, '{{}}')")
    with pytest.raises(DBAPIError), database.begin() as connection:
        connection.execute(row, [{"divisor": 1}, {"divisor": 0}])
    with database.begin() as connection:
        assert connection.scalar(text(f"SELECT count(*) FROM {table}")) == 0


def test_errors_of_the_database_do_not_repeat_what_was_written(database: Database) -> None:
    """Prevents names, reasons and whole events in logs: a driver's error lists the parameters."""
    with pytest.raises(DBAPIError) as caught, database.begin() as connection:
        connection.execute(
            text("SELECT CAST(:who AS text), 1 / :none"), {"who": "张三丰", "none": 0}
        )
    assert "张三丰" not in str(caught.value)


def test_database_that_is_down_is_told_without_the_password() -> None:
    """Prevents a driver's stack trace with the connection string in it."""
    database = Database(DatabaseAddress.parse("postgresql://u:hidden-word@127.0.0.1:1/db"))
    started = time.monotonic()
    for attempt in (database.migrate, lambda: database.begin().__enter__()):
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1 does not answer") as caught:
            attempt()
        assert "hidden-word" not in str(caught.value) + str(caught.value.__cause__)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("url", ["mysql://u:secret@h/d", "secret", "postgresql://u:secret@/"])
def test_unreadable_url_is_not_repeated(url: str) -> None:
    """Prevents a secret in an error message about its own URL."""
    with pytest.raises(CityLedgerError, match="CITYLEDGER_DATABASE_URL") as caught:
        DatabaseAddress.parse(url)
    assert "secret" not in str(caught.value)
