"""CityLedger's database: connections, migrations, locks between processes."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import InterfaceError, OperationalError

from cityledger.errors import UnavailableError
from cityledger.settings import Settings
from cityledger.storage.address import DatabaseAddress
from cityledger.storage.tables import SCHEMA

_MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_NOT_AVAILABLE = "55P03"


class Database:
    """The PostgreSQL database that holds schema ``cityledger``; connects on first use."""

    def __init__(self, address: DatabaseAddress) -> None:
        self.address = address
        self.engine: Engine = create_engine(
            address.sqlalchemy,
            pool_size=2,
            max_overflow=8,
            pool_pre_ping=True,
            pool_use_lifo=True,
            hide_parameters=True,  # they hold names, reasons, events: not for error texts
            connect_args={"connect_timeout": 5, "application_name": "cityledger"},
        )
        _forget_connections_after_fork(self.engine)

    @classmethod
    def from_settings(cls, settings: Settings) -> Database:
        """The database that ``settings.database_url`` points to.

        Raises:
            UnavailableError: no database is configured.
        """
        return cls(DatabaseAddress.from_settings(settings))

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction: committed at the end, rolled back on an error.

        Raises:
            UnavailableError: the database does not answer.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except (OperationalError, InterfaceError) as error:
            raise self._unavailable(error) from error

    @contextmanager
    def each_alone(self) -> Iterator[Connection]:
        """Every statement its own transaction: for one statement, half the round trips.

        Raises:
            UnavailableError: the database does not answer.
        """
        try:
            with self.engine.connect() as connection:
                yield connection.execution_options(isolation_level="AUTOCOMMIT")
        except (OperationalError, InterfaceError) as error:
            raise self._unavailable(error) from error

    def migrate(self) -> None:
        """Bring schema ``cityledger`` to this version; safe when several processes call it.

        Raises:
            UnavailableError: the database does not answer.
        """
        # Imported late: every task process uses the database, hardly any migrates it.
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with self.lock("migrate"), self.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @contextmanager
    def lock(self, name: str, *, timeout: float = 3600.0) -> Iterator[None]:
        """Keep other processes out of what ``name`` stands for until the block ends.

        The lock belongs to the connection: a killed process gives it back by itself.

        Args:
            name: What to keep others out of, e.g. ``health.outpatient_visits/2026-03-31``.
            timeout: Seconds to wait for another holder.

        Raises:
            UnavailableError: another process kept the lock too long (code ``locked``), or the
                database does not answer.
        """
        with self._connect() as connection:
            self._acquire(connection, name, timeout)
            try:
                yield
            finally:
                # Dropped, not pooled: closing gives the lock back even when SQL no longer works.
                connection.invalidate()

    def close(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        try:
            connection = self.engine.connect()
        except (OperationalError, InterfaceError) as error:
            raise self._unavailable(error) from error
        with connection:
            yield connection

    def _acquire(self, connection: Connection, name: str, timeout: float) -> None:
        try:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(
                text("SELECT set_config('lock_timeout', :wait, false)"),
                {"wait": f"{max(1, int(timeout * 1000))}ms"},
            )
            connection.execute(
                text("SELECT pg_advisory_lock(hashtextextended(:name, 0))"),
                {"name": f"{SCHEMA}:{name}"},
            )
        except OperationalError as error:
            connection.invalidate()
            if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
                raise UnavailableError(
                    f"another process is still busy with {name}",
                    fix="wait for it to finish, then run again",
                    code="locked",
                ) from None
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            f"the database at {self.address.host}:{self.address.port} does not answer "
            f"({type(error).__name__})",
            fix="check `cityledger status`; start the database or correct CITYLEDGER_DATABASE_URL",
            code="database_unavailable",
        )


def _forget_connections_after_fork(engine: Engine) -> None:
    # Airflow forks task processes: a connection shared with the parent would mix up both.
    reference = weakref.ref(engine)

    def forget() -> None:
        alive = reference()
        if alive is not None:
            alive.dispose(close=False)

    os.register_at_fork(after_in_child=forget)
