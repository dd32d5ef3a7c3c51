"""`cityledger profile` on a delivery that went through the real servers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cityledger.cli.main import app
from cityledger.demo.generate.generator import generate
from cityledger.profiling import delivery as profiling
from cityledger.profiling.store import ProfileStore
from cityledger.runner import Runner
from cityledger.settings import Settings, get_settings
from typer.testing import CliRunner

DATASET, PARTITION = "health.outpatient_visits", "2026-03-31"


@pytest.fixture
def runner(ready_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    generate(tmp_path / "extracts", scale=0.02, seed=1)
    shutil.copytree(tmp_path / "extracts", ready_settings.drop_dir, dirs_exist_ok=True)
    monkeypatch.setattr("cityledger.runner.get_settings", lambda: ready_settings)
    monkeypatch.setattr("cityledger.cli.profile.get_settings", lambda: ready_settings)
    get_settings.cache_clear()
    return Runner(ready_settings)


def test_a_validated_delivery_is_profiled_once_and_shows_no_patient(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading every delivery again for each page view would cost hours; a leak costs more."""
    runner.extract_land(DATASET, PARTITION)
    validation = runner.parse_validate(DATASET, PARTITION)
    printed = CliRunner().invoke(app, ["profile", DATASET, "--json"], catch_exceptions=False)
    (report,) = json.loads(printed.stdout)
    assert report["rows"] == validation.accounting.validated
    assert report["declared_key"] == ["visit_no"]
    assert ["visit_no"] in report["keys"]
    personal = {
        one.name
        for one in runner.contract(DATASET).columns
        if one.classification in ("personal", "sensitive")
    }
    hidden = {one["name"] for one in report["columns"] if one["hidden"]}
    assert personal
    assert personal <= hidden
    monkeypatch.setattr(profiling, "connect", None)  # reading again would fail
    again = profiling.profile_delivery(runner, DATASET, PARTITION)
    assert again.model_dump(mode="json") == report


def test_nothing_validated_is_one_clear_error(runner: Runner) -> None:
    """An empty report would pass for a city without data."""
    result = CliRunner().invoke(app, ["profile"])
    assert "nothing has been validated yet" in str(result.exception)


def test_inventory_of_the_drop_folder_knows_what_contracts_take_in(runner: Runner) -> None:
    """All demo files have contracts: an uncovered one means a pattern is read wrongly."""
    printed = CliRunner().invoke(app, ["inventory", "--json"], catch_exceptions=False)
    taken = json.loads(printed.stdout)
    assert taken["files"] == sum(group["covered"] for group in taken["groups"]) > 8
    assert taken["oddities"] == []
    kept = ProfileStore(runner.database).latest_inventory()
    assert kept is not None
    assert kept.files == taken["files"]
