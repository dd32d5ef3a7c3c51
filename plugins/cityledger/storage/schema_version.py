"""Whether a program and its database belong together."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

import psycopg

from cityledger.errors import CityLedgerError
from cityledger.storage.outages import PREPARE
from cityledger.storage.tables import SCHEMA

MIGRATIONS: Final = Path(__file__).parent / "migrations"
_VERSION: Final = f"SELECT version_num FROM {SCHEMA}.alembic_version"


@lru_cache(maxsize=1)
def revisions() -> tuple[str, ...]:
    """The revisions that this program knows, oldest first.

    Read from the file names: asking Alembic would cost every task process its import.
    """
    return tuple(sorted(path.name[:4] for path in (MIGRATIONS / "versions").glob("0*.py")))


def check_versions(connection: psycopg.Connection[tuple[str, ...]]) -> None:
    """Refuse a database whose tables are not those of this program.

    A database without any tables is let pass: whoever needs one of them is told then.

    Raises:
        CityLedgerError: its tables are older (``database_older``) or newer (``program_older``).
    """
    found, known = _found(connection), revisions()
    if found is None or found == known[-1]:
        return
    if found in known:
        raise CityLedgerError(
            f"the database has the tables of version {found}, this program needs {known[-1]}",
            where=_where(connection),
            fix=PREPARE,
            code="database_older",
        )
    raise newer(found, _where(connection))


def check_not_newer(connection: psycopg.Connection[tuple[str, ...]]) -> None:
    """Refuse to migrate a database of a newer program.

    Raises:
        CityLedgerError: its tables are of a version that this program does not know.
    """
    found = _found(connection)
    if found is not None and found not in revisions():
        raise newer(found, _where(connection))


def newer(found: str, where: str) -> CityLedgerError:
    """The error of a program that is older than its database."""
    return CityLedgerError(
        f"this program is older than the database: it knows the tables up to version "
        f"{revisions()[-1]}, the database has {found}",
        where=where,
        fix="install the version of CityLedger that the installation runs (`cityledger --version` "
        "there), then run again; nothing was changed",
        code="program_older",
    )


def _found(connection: psycopg.Connection[tuple[str, ...]]) -> str | None:
    try:
        row = connection.execute(_VERSION).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return None
    finally:
        connection.rollback()
    return row[0] if row else None


def _where(connection: psycopg.Connection[tuple[str, ...]]) -> str:
    return f"{connection.info.host}:{connection.info.port}"
