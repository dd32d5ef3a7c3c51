"""Sail and Apache Spark (standalone, two workers) against DuckDB; run by `make test-spark`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from cityledger.contracts.city import read_city
from cityledger.contracts.registry import load_contracts
from cityledger.ledger.columns import column_lineage
from cityledger.lifecycle.content_digest import table_digest
from cityledger.lifecycle.dbt_inputs import write_inputs
from cityledger.lifecycle.publish import publish
from cityledger.lifecycle.spark.build import run_dbt
from cityledger.lifecycle.spark.session import open_engine
from cityledger.lifecycle.standardise import standardise
from cityledger.settings import PROJECT_DIR, Settings
from cityledger.storage import duck
from cityledger.storage.objects import ObjectStore

from tests.dbt.city import deliver, deliver_city, trips
from tests.dbt.conftest import KEY, Built
from tests.dbt.test_on_sail import plain
from tests.dbt.test_rebuild import build_with_a_lost_row
from tests.spark.engines import stays_silent, workers_used

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1800)]


def test_city_is_the_one_that_duckdb_builds(
    built: Built,
    on_engine: Settings,
    engine: tuple[str, str],
    engine_dir: Path,
    target_dir: Path,
    tmp_path: Path,
) -> None:
    """Numbers, digests, suites, lineage and the published file follow from the data alone."""
    releases, validations = deliver_city(on_engine)
    result = standardise(releases, settings=on_engine, target_dir=tmp_path, validations=validations)
    assert result.digests == built.result.digests
    assert result.staged == built.result.staged
    assert [plain(one) for one in result.results] == [plain(one) for one in built.result.results]
    with duck.connect(on_engine, lake=True, read_only=True) as connection:
        for table, digest in result.digests.items():
            assert table_digest(connection, table, result.snapshot_id).sha256 == digest, table
    published = publish(result, settings=on_engine, store=ObjectStore.from_settings(on_engine))
    assert published.content_sha256 == result.digests["indicators.fct_indicator_value"]
    project = PROJECT_DIR / "dbt_project"
    traced = {one.table: one for one in column_lineage(tmp_path, project)}
    assert traced == {one.table: one for one in column_lineage(target_dir, project)}
    assert stays_silent(engine_dir, [KEY, "9901021990010100"])
    if engine[1].startswith("file:"):
        assert workers_used(engine_dir) == {"worker1", "worker2"}


def test_tests_and_unit_tests_of_the_models(on_engine: Settings, tmp_path: Path) -> None:
    """A model may be right on the data of one day and wrong on the case that comes next year."""
    releases, validations = deliver_city(on_engine)
    inputs = tmp_path / "input"
    write_inputs(
        inputs,
        releases=releases,
        validations=validations,
        contracts=load_contracts(on_engine.contracts_dir),
        city=read_city(on_engine.contracts_dir / "city.yaml"),
    )
    assert on_engine.pseudonym_key is not None
    with open_engine(on_engine, on_engine.pseudonym_key):
        results = run_dbt(
            ("build",),
            on_engine,
            store=ObjectStore.from_settings(on_engine),
            folder="engine/tests",
            inputs=inputs,
            target_dir=tmp_path / "target",
            environment={},
        )
    # An exposure names a reader of the tables; dbt lists it and has nothing to do.
    ran = [result for result in results if result.layer != "exposure"]
    assert {result.status for result in ran} == {"success", "pass"}
    manifest = json.loads((tmp_path / "target" / "manifest.json").read_text("utf-8"))
    tests = [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]
    by_layer = Counter(result.layer for result in results)
    assert by_layer["test"] == len(tests) > 0
    assert by_layer["unit_test"] == len(manifest["unit_tests"]) > 0


def test_lost_row_stops_the_build_and_leaves_the_lake(on_engine: Settings, tmp_path: Path) -> None:
    """Readers must not see tables whose rows do not add up, and the message holds no value."""
    build_with_a_lost_row(on_engine, tmp_path)
    with duck.connect(on_engine, lake=True, read_only=False) as connection:
        tables = connection.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'lake'"
        ).fetchone()
    assert tables == (0,)


def test_redelivery_replaces_and_withdrawal_removes(on_engine: Settings, tmp_path: Path) -> None:
    """What a build leaves follows from the releases, not from what was there before."""
    releases, validations = deliver_city(on_engine)
    again = deliver(
        on_engine, "transport.metro_trips", "2026-03-31", list(trips())[:25], delivery="d2"
    )
    gone = {"transport.metro_trips", "hotline.satisfaction"}
    standardise(releases, settings=on_engine, target_dir=tmp_path, validations=validations)
    changed = standardise(
        [*(one for one in releases if one.dataset not in gone), again[0]],
        settings=on_engine,
        target_dir=tmp_path,
        validations=[*(one for one in validations if one.dataset not in gone), again[1]],
    )
    rows = {model.name: model.rows for model in changed.models}
    assert rows["stg_transport__metro_trips"] == 25
    assert rows["stg_hotline__satisfaction"] == 0
