"""Real servers for tests: one PostgreSQL and one object store per test process, on free ports.

`settings` gives each test a database and bucket names of its own on them, so tests do not see each
other, in one process or in several (pytest-xdist).
"""

from __future__ import annotations

import ipaddress
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cityledger_stack
import pytest
from cityledger.settings import Settings, get_settings
from cityledger_stack import StackInfo
from cityledger_stack.account import server_account
from cityledger_stack.ports import pick
from cityledger_stack.postgres import Postgres
from cityledger_stack.seaweed import SeaweedFS, pick_ports
from cityledger_stack.servers import running
from psycopg import sql


class ForeignAddressError(AssertionError):
    """A test wanted to talk to another machine."""


def _is_local(address: object) -> bool:
    if not isinstance(address, tuple):
        return True  # a Unix socket
    host = str(address[0])
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="session", autouse=True)
def loopback_only() -> Iterator[None]:
    """The product must work on a closed network, so its tests may not leave the machine."""
    patch = pytest.MonkeyPatch()

    def guard(name: str) -> None:
        real: Callable[[socket.socket, object], object] = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: object) -> object:
            if not _is_local(address):
                raise ForeignAddressError(f"a test connects to {address!r}")
            return real(self, address)

        patch.setattr(socket.socket, name, guarded)

    guard("connect")
    guard("connect_ex")
    yield
    patch.undo()


@pytest.fixture(scope="session")
def server_dir() -> Iterator[Path]:
    """A short-lived folder that PostgreSQL's unprivileged account can reach as well."""
    folder = Path(tempfile.mkdtemp(prefix="cityledger-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(server_dir: Path) -> Iterator[Postgres]:
    """A PostgreSQL server for this test process."""
    server = Postgres(
        data_dir=server_dir / "postgres",
        port=pick(),
        password=secrets.token_hex(16),
        account=server_account(),
        durable=False,
    )
    with running(server, logs=server_dir):
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: Postgres) -> str:
    """``postgresql://user:password@127.0.0.1:port/database`` of a superuser; read-mostly."""
    name = f"shared_{secrets.token_hex(4)}"
    with postgres_server.connect() as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return _url(postgres_server, name)


@pytest.fixture(scope="session")
def s3_url(server_dir: Path) -> Iterator[str]:
    """``http://access-key:secret-key@127.0.0.1:port`` of an object store for this process."""
    server = SeaweedFS(
        data_dir=server_dir / "s3",
        ports=pick_ports({}),
        access_key="test",
        secret_key=secrets.token_hex(16),
        internal_secret=secrets.token_hex(16),
        volume_mb=16,  # each test makes buckets of its own
    )
    with running(server, logs=server_dir):
        yield f"http://{server.access_key}:{server.secret_key}@127.0.0.1:{server.ports['s3']}"


@pytest.fixture(scope="session")
def database_template(postgres_server: Postgres) -> str:
    """Name of a migrated database; copying it takes a tenth of the time of migrating anew."""
    # Here, because most tests don't need it.
    from cityledger.storage.address import DatabaseAddress
    from cityledger.storage.database import Database

    name = "migrated_template"
    with postgres_server.connect() as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    database = Database(DatabaseAddress.parse(_url(postgres_server, name)))
    database.migrate()
    database.close()
    return name


@pytest.fixture
def settings(
    postgres_server: Postgres,
    database_template: str,
    s3_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Settings]:
    """Settings with a database without rows, unused bucket names and a home of this test's own.

    The environment says the same, so code that calls ``get_settings()`` agrees.
    """
    database = f"test_{secrets.token_hex(6)}"
    name, template = sql.Identifier(database), sql.Identifier(database_template)
    with postgres_server.connect() as session:
        session.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, template))
    for variable in [one for one in os.environ if one.startswith("CITYLEDGER_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("CITYLEDGER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CITYLEDGER_DATABASE_URL", _url(postgres_server, database))
    monkeypatch.setenv("CITYLEDGER_S3_URL", s3_url)
    monkeypatch.setenv("CITYLEDGER_BUCKET_PREFIX", f"t{secrets.token_hex(4)}-")
    get_settings.cache_clear()
    made = get_settings()
    for folder in (made.home, made.drop_dir, made.spool_dir):
        folder.mkdir(parents=True, exist_ok=True)
    yield made
    get_settings.cache_clear()
    with postgres_server.connect() as session:
        session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
def ready_settings(settings: Settings) -> Settings:
    """`settings` whose buckets exist."""
    from cityledger.storage.objects import ObjectStore

    ObjectStore.from_settings(settings).ensure_buckets()
    return settings


def _url(server: Postgres, database: str) -> str:
    return f"postgresql://postgres:{server.password}@127.0.0.1:{server.port}/{database}"


@dataclass(frozen=True)
class StackHome:
    """A whole embedded stack in a home folder of its own; ``info`` is as of the test's start."""

    home: Path
    info: StackInfo


@pytest.fixture(scope="session")
def stack_home(server_dir: Path) -> Iterator[Path]:
    """The home of the whole embedded stack; stopped when the test process ends."""
    home = server_dir / "stack"
    yield home
    with stack_environment(home):
        cityledger_stack.down()


@pytest.fixture
def stack(stack_home: Path) -> Iterator[StackHome]:
    """The whole embedded stack, Airflow included, started by the first test that needs it.

    The environment and the settings point to it during the test; do not use it together with
    `settings`, which points elsewhere.
    """
    with stack_environment(stack_home):
        yield StackHome(stack_home, cityledger_stack.up())


@contextmanager
def stack_environment(home: Path, **variables: str) -> Iterator[None]:
    """Point this process's environment and settings to a stack's home."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in [one for one in os.environ if one.startswith(("CITYLEDGER_", "AIRFLOW"))]:
            patch.delenv(variable)
        for name, value in {"CITYLEDGER_HOME": str(home), **variables}.items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        yield
    get_settings.cache_clear()
