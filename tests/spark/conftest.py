"""A store of its own for the engines, because Apache Spark reads it through a mount."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cityledger.settings import Settings
from cityledger_stack.seaweed import SeaweedFS, pick_ports
from cityledger_stack.servers import running

from tests.dbt.conftest import built, new_lake, target_dir
from tests.dbt.test_on_sail import with_engine
from tests.spark.engines import apache_spark, mounted, sail

__all__ = ["built", "new_lake", "target_dir"]


@pytest.fixture(scope="session")
def store(server_dir: Path) -> Iterator[SeaweedFS]:
    """The object store, whose filer a mount needs as well."""
    server = SeaweedFS(
        data_dir=server_dir / "s3",
        ports=pick_ports({}),
        access_key="test",
        secret_key=secrets.token_hex(16),
        internal_secret=secrets.token_hex(16),
        volume_mb=16,
    )
    with running(server, logs=server_dir):
        yield server


@pytest.fixture(scope="session")
def s3_url(store: SeaweedFS) -> str:
    """In place of the one that all other tests share."""
    return f"http://{store.access_key}:{store.secret_key}@127.0.0.1:{store.ports['s3']}"


@pytest.fixture(scope="session")
def engine_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs and scratch of the engines."""
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="session", params=["sail", "apache-spark"])
def engine(
    request: pytest.FixtureRequest, store: SeaweedFS, s3_url: str, engine_dir: Path
) -> Iterator[tuple[str, str]]:
    """Address of an engine, and what it puts before ``<bucket>/<key>``."""
    if request.param == "sail":
        server = sail(engine_dir, s3_url)
        with running(server, logs=engine_dir):
            yield server.address, "s3://"
        return
    with mounted(engine_dir, store), apache_spark(engine_dir) as connect:
        yield connect.address, f"file://{engine_dir}/buckets/"


@pytest.fixture
def on_engine(new_lake: Callable[[], Settings], engine: tuple[str, str]) -> Settings:
    """An empty lake, filled by the engine."""
    address, before = engine
    return with_engine(new_lake(), address, before)
