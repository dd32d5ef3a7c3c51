"""The same models on a Spark Connect engine (Sail): the tables that DuckDB makes, to the digit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cityledger.errors import CityLedgerError, UnavailableError
from cityledger.lifecycle.content_digest import table_digest
from cityledger.lifecycle.publish import publish
from cityledger.lifecycle.standardise import standardise
from cityledger.records import RuleResult
from cityledger.settings import Settings
from cityledger.storage import duck
from cityledger.storage.objects import ObjectStore
from cityledger_stack.ports import pick
from cityledger_stack.servers import running

from tests.dbt.city import deliver_city
from tests.dbt.conftest import Built
from tests.spark.engines import sail


@pytest.fixture(scope="module")
def on_sail(
    new_lake: Callable[[], Settings], s3_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    folder = tmp_path_factory.mktemp("engine")
    engine = sail(folder, s3_url)
    with running(engine, logs=folder), pytest.MonkeyPatch.context() as patched:
        # Spark's client takes a main module without a file, as in a test worker, for its doctests.
        patched.setattr(sys.modules["__main__"], "__file__", __file__, raising=False)
        yield with_engine(new_lake(), engine.address)


def with_engine(settings: Settings, address: str, store: str = "s3://") -> Settings:
    values = settings.model_dump() | {
        "engine": "spark",
        "spark_remote": address,
        "spark_store": store,
    }
    return Settings(_env_file=None, **values)


def test_tables_are_equal_to_the_digit(
    built: Built, on_sail: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A city that moves to a cluster would publish other numbers than the year before."""
    releases, validations = deliver_city(on_sail)
    target = tmp_path_factory.mktemp("target-sail")
    result = standardise(releases, settings=on_sail, target_dir=target, validations=validations)
    assert result.digests == built.result.digests
    assert result.staged == built.result.staged
    assert [plain(one) for one in result.results] == [plain(one) for one in built.result.results]
    with duck.connect(on_sail, lake=True, read_only=True) as connection:
        taken_over = {
            table: table_digest(connection, table, result.snapshot_id).sha256
            for table in result.digests
        }
    assert taken_over == result.digests
    published = publish(result, settings=on_sail, store=ObjectStore.from_settings(on_sail))
    assert published.content_sha256 == built.result.digests["indicators.fct_indicator_value"]


def plain(result: RuleResult) -> RuleResult:
    """A result without the snapshot that it was found in."""
    return result.model_copy(update={"object_version": ""})


def test_engine_without_an_address_is_said(built: Built, tmp_path: Path) -> None:
    """Half a setting must not quietly mean DuckDB."""
    settings = built.settings.model_copy(update={"engine": "spark"})
    with pytest.raises(CityLedgerError) as caught:
        standardise([], settings=settings, target_dir=tmp_path, validations=[])
    assert caught.value.code == "spark_not_configured"


def test_engine_that_does_not_answer_is_said(built: Built, tmp_path: Path) -> None:
    """The queue tries again what is unavailable, and nothing else."""
    settings = with_engine(built.settings, f"sc://127.0.0.1:{pick()}")
    with pytest.raises(UnavailableError) as caught:
        standardise([], settings=settings, target_dir=tmp_path, validations=[])
    assert caught.value.code == "spark_unavailable"
