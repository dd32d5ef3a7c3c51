"""A lake with the small city in it, built once for all tests of this folder."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cityledger.lifecycle.standardise import standardise
from cityledger.records import Release, Standardisation, Validation
from cityledger.settings import Settings
from cityledger.storage.objects import ObjectStore
from cityledger_stack.postgres import Postgres
from psycopg import sql

from tests.dbt.city import deliver_city

KEY = "a key for tests, long enough for the rule"


@dataclass(frozen=True)
class Built:
    """A lake after one build."""

    settings: Settings
    releases: list[Release]
    validations: list[Validation]
    result: Standardisation


@pytest.fixture(scope="session")
def new_lake(
    postgres_server: Postgres, s3_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Settings]:
    """Makes settings with an empty database and buckets of their own."""

    def make() -> Settings:
        database = f"lake_{secrets.token_hex(6)}"
        with postgres_server.connect() as session:
            session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
        made = Settings(
            _env_file=None,
            home=tmp_path_factory.getbasetemp() / "dbt-home",
            database_url=(
                f"postgresql://postgres:{postgres_server.password}"
                f"@127.0.0.1:{postgres_server.port}/{database}"
            ),
            s3_url=s3_url,
            bucket_prefix=f"t{secrets.token_hex(4)}-",
            pseudonym_key=KEY,
            threads=2,
        )
        ObjectStore.from_settings(made).ensure_buckets()
        return made

    return make


@pytest.fixture(scope="session")
def target_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all builds: dbt parses the project once."""
    return tmp_path_factory.mktemp("target")


@pytest.fixture(scope="session")
def built(new_lake: Callable[[], Settings], target_dir: Path) -> Built:
    """The city in a lake of its own; tests must not write to it."""
    settings = new_lake()
    releases, validations = deliver_city(settings)
    result = standardise(
        releases, settings=settings, target_dir=target_dir, validations=validations
    )
    return Built(settings, releases, validations, result)
