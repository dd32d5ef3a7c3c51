"""What no waiting cures: one message that says what to do, no storm of attempts, nothing half."""

from __future__ import annotations

import secrets
import signal
import time

import pytest
from alembic import command
from alembic.config import Config
from cityledger.errors import Exit
from cityledger.storage.address import DatabaseAddress
from cityledger.storage.database import Database
from cityledger.storage.schema_version import MIGRATIONS, check_not_newer, revisions
from cityledger_stack.postgres import Postgres
from psycopg import sql
from sqlalchemy import text

from tests.failures.town import Ran, Town, ended, left, undisturbed

LIMITED = ("prlimit", f"--fsize={40 * 1024}", "--")
#: Python 3.11 keeps a module's bytecode although only its first 40 KiB were written, and nobody
#: could import the module after that (CPython issue 126606).
NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}


def judge(dataset: str, partition: str) -> tuple[str, ...]:
    return ("run", dataset, "-p", partition, "--to-stage", "release")


def new_database(town: Town) -> str:
    """An empty database; its URL."""
    server, name = town.postgres.server, f"other_{secrets.token_hex(4)}"
    assert isinstance(server, Postgres)
    with server.connect() as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return town.database_url(name)


def silent_about(town: Town, ran: Ran, *more: str) -> None:
    """No secret may be in what a command tells."""
    for secret in (town.password, town.key, *more):
        assert secret not in ran.out + ran.err


def test_a_full_disk_stops_the_run_with_nothing_half_done(town: Town) -> None:
    """A spool that is full must not end in a traceback, nor in half a delivery."""
    place = ("transport.metro_trips", "2026-03-31")
    ran = town.run(*judge(*place), wrapper=LIMITED, **NO_BYTECODE)
    assert (ran.code, ran.error["code"]) == (Exit.UNAVAILABLE, "disk_full")
    assert "CITYLEDGER_SPOOL_DIR" in ran.error["fix"]
    assert str(town.settings().spool_dir) in ran.error["where"]
    assert [path for path in town.settings().spool_dir.rglob("*") if path.is_file()] == []
    assert town.run(*judge(*place)).code == 0
    found = left(town, *place)
    assert (found.deliveries, found.validations, set(found.versions)) == (1, 1, {1})
    assert found.validated == undisturbed(town, *place)


@pytest.mark.parametrize("part", ["s3", "postgres"])
def test_a_wrong_password_is_told_once_and_tried_once(town: Town, part: str) -> None:
    """Attempt after attempt locks accounts, and a message with the password ends in a log."""
    wrong = f"wrong{secrets.token_hex(8)}"
    name, url = {
        "s3": ("CITYLEDGER_S3_URL", town.environment["CITYLEDGER_S3_URL"].replace(town.key, wrong)),
        "postgres": ("CITYLEDGER_DATABASE_URL", town.database_url("postgres", wrong)),
    }[part]
    gate = getattr(town, part).gate
    before, begun = gate.connections, time.monotonic()
    ran = town.run(*judge("market.enterprises", "2026-03"), **{name: url})
    error = ran.error
    assert (ran.code, error["code"]) == (
        Exit.FAILED,
        {"s3": "s3_refused", "postgres": "database_refused"}[part],
    )
    assert name in error["fix"]
    assert gate.connections - before <= 2
    assert time.monotonic() - begun < 30
    silent_about(town, ran, wrong)


def test_an_old_program_refuses_a_newer_database_and_the_other_way_round(town: Town) -> None:
    """A program that writes into tables it does not know leaves records that nobody can read."""
    url = new_database(town)
    database = Database(DatabaseAddress.parse(url), greet=check_not_newer)
    migrate_to(database, "0005")
    older = town.run("status", CITYLEDGER_DATABASE_URL=url)
    assert (older.code, older.error["code"]) == (Exit.FAILED, "database_older")
    assert "0005" in older.error["what"]
    assert "cityledger_stack.prepare" in older.error["fix"]
    with database.begin() as connection:
        connection.execute(text("UPDATE cityledger.alembic_version SET version_num = '9001'"))
    database.close()
    newer = town.run("status", CITYLEDGER_DATABASE_URL=url)
    assert (newer.code, newer.error["code"]) == (Exit.FAILED, "program_older")
    assert "9001" in newer.error["what"]
    assert "install the version" in newer.error["fix"]


def test_a_killed_migration_leaves_the_former_tables(town: Town) -> None:
    """Half of a migration is a database that neither the old nor the new program can use."""
    url = new_database(town)
    database = Database(DatabaseAddress.parse(url), greet=check_not_newer)
    migrate_to(database, "0002")
    before = tables_of(database)
    # Whoever reads the version keeps the migration from writing the last one, long after the first.
    with database.begin() as reader:
        reader.execute(text("LOCK TABLE cityledger.alembic_version IN SHARE MODE"))
        process = town.begin_python("-m", "cityledger_stack.prepare", CITYLEDGER_DATABASE_URL=url)
        wait_for_a_waiter(database)
        killed = ended(process, killed=True)
        assert killed.code == -signal.SIGKILL
    assert tables_of(database) == before
    told = town.run("status", CITYLEDGER_DATABASE_URL=url)
    assert told.error["code"] == "database_older"
    database.close()
    cured = Database(DatabaseAddress.parse(url))
    cured.migrate()
    with cured.begin() as connection:
        found = connection.scalar(text("SELECT version_num FROM cityledger.alembic_version"))
    cured.close()
    assert found == revisions()[-1]


def migrate_to(database: Database, revision: str) -> None:
    """As an older program would have done it."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.begin() as connection:
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS cityledger"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def tables_of(database: Database) -> list[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'cityledger' ORDER BY 1"
    with database.begin() as connection:
        return list(connection.scalars(text(query)))


def wait_for_a_waiter(database: Database) -> None:
    """Until another session waits for the lock on the version table."""
    query = (
        "SELECT count(*) FROM pg_locks WHERE NOT granted"
        " AND relation = 'cityledger.alembic_version'::regclass"
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with database.begin() as connection:
            if connection.scalar(text(query)):
                return
        time.sleep(0.05)
    raise AssertionError("the migration does not reach its lock")
