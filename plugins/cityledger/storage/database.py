"""CityLedger's database: connections, migrations, locks between processes."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError

from cityledger.errors import CityLedgerError, UnavailableError
from cityledger.settings import Settings
from cityledger.storage.address import DatabaseAddress
from cityledger.storage.outages import database_error
from cityledger.storage.schema_version import (
    MIGRATIONS,
    check_not_newer,
    check_versions,
    revisions,
)
from cityledger.storage.tables import SCHEMA

_LOCK_NOT_AVAILABLE = "55P03"
# Times in receipts, retentions and events come from this machine's clock, and an S3 service refuses
# requests that are 15 minutes off.
_CLOCK_LIMIT = 300.0


class Database:
    """The PostgreSQL database that holds schema ``cityledger``; connects on first use.

    Args:
        address: Where it is.
        greet: Called with every new driver connection; raises when the database can't be used.
    """

    def __init__(
        self, address: DatabaseAddress, greet: Callable[[Any], None] = check_versions
    ) -> None:
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
        _greet_connections(self.engine, greet)

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
            CityLedgerError: it refuses us, or its tables are not those of this program.
        """
        with self._explained(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def each_alone(self) -> Iterator[Connection]:
        """Every statement its own transaction: for one statement, half the round trips.

        Raises:
            UnavailableError: the database does not answer.
            CityLedgerError: it refuses us, or its tables are not those of this program.
        """
        with self._explained(), self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def migrate(self) -> None:
        """Bring schema ``cityledger`` to this version; safe when several processes call it.

        All of it is one transaction: a migration that is killed half-way leaves the former tables.

        Raises:
            UnavailableError: the database does not answer.
            CityLedgerError: it is that of a newer program.
        """
        with closing(Database(self.address, greet=check_not_newer)) as database:
            _migrate(database)
        self.engine.dispose()  # of connections that met the former tables

    @contextmanager
    def lock(self, name: str, *, timeout: float = 3600.0) -> Iterator[None]:
        """Keep other processes out of what ``name`` stands for until the block ends.

        The lock belongs to the connection: a killed process gives it back by itself.

        Args:
            name: What to keep others out of, e.g. ``health.outpatient_visits/2026-03-31``.
            timeout: Seconds to wait for another holder.

        Raises:
            UnavailableError: another process kept the lock too long (code ``locked``), the database
                does not answer, the clocks differ too much (``clock_off``), or the work failed
                after the database had cut our session.
            CityLedgerError: it refuses us, or its tables are not those of this program.
        """
        with self._connect() as connection:
            self._acquire(connection, name, timeout)
            try:
                yield
            except CityLedgerError as error:
                self._blame_the_cut(connection, name, error)
                raise
            finally:
                # Dropped, not pooled: closing gives the lock back even when SQL no longer works.
                connection.invalidate()

    def close(self) -> None:
        """Close the pooled connections."""
        self.engine.dispose()

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        with self._explained():
            connection = self.engine.connect()
        with connection:
            yield connection

    def _acquire(self, connection: Connection, name: str, timeout: float) -> None:
        try:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            now = connection.scalar(
                text(
                    "SELECT extract(epoch FROM clock_timestamp())::float8"
                    " FROM set_config('lock_timeout', :wait, false)"
                ),
                {"wait": f"{max(1, int(timeout * 1000))}ms"},
            )
            _check_clock(now)
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
            with self._explained():
                raise

    def _blame_the_cut(self, connection: Connection, name: str, error: CityLedgerError) -> None:
        # A database that restarts cuts our session and every other one: what failed meanwhile, dbt
        # for instance, tells of its own connection only, in words that nobody could sort.
        if isinstance(error, UnavailableError):
            return
        try:
            connection.execute(text("SELECT 1"))
        except DBAPIError:
            raise UnavailableError(
                f"the database cut our session while {name} was worked on",
                where=f"{self.address.host}:{self.address.port}",
                fix="run again; what was finished before is not done twice",
                code="database_unavailable",
            ) from error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            explained = database_error(error, self.address)
            if explained is None:
                raise
            raise explained from error


def _migrate(database: Database) -> None:
    # Imported late: every task process uses the database, hardly any migrates it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.lock("migrate"), database.begin() as connection:
        # Whoever may not make schemas is refused even where there is nothing to make.
        if connection.scalar(text(f"SELECT to_regnamespace('{SCHEMA}')")) is None:
            connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except (ProgrammingError, IntegrityError) as error:
            raise _not_migrated(error, database.address) from error


def _not_migrated(error: DBAPIError, address: DatabaseAddress) -> CityLedgerError:
    # The first line names what is in the way; the statement and its values are left out.
    told = str(error.orig).splitlines()[0]
    return CityLedgerError(
        f"the tables could not be brought to version {revisions()[-1]}: {told}",
        where=f"{address.host}:{address.port}/{address.database}",
        fix="somebody changed them by hand or applied a migration in part: undo that (compare with "
        "a fresh database), then run again; nothing was changed",
        code="migration_failed",
    )


def _check_clock(database_now: float | None) -> None:
    off = time.time() - (database_now or 0.0)
    if abs(off) > _CLOCK_LIMIT:
        raise UnavailableError(
            f"this machine's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the "
            "database's",
            fix="set the clocks (`timedatectl set-ntp true`), then run again; nothing was changed",
            code="clock_off",
        )


def _greet_connections(engine: Engine, greet: Callable[[Any], None]) -> None:
    def new_connection(connection: Any, _record: Any) -> None:
        try:
            greet(connection)
        except BaseException:
            connection.close()
            raise

    event.listen(engine, "connect", new_connection)


def _forget_connections_after_fork(engine: Engine) -> None:
    # Airflow forks task processes: a connection shared with the parent would mix up both.
    reference = weakref.ref(engine)

    def forget() -> None:
        alive = reference()
        if alive is not None:
            alive.dispose(close=False)

    os.register_at_fork(after_in_child=forget)
