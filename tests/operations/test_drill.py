"""The drill: a city with Airflow lives a day, is lost altogether, comes back and lives on.

Run by `make drill`: it starts the embedded stack three times. Everything is done by the commands of
docs/operations.md, in processes of their own, as an operator would.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import cityledger_stack
import pytest
from cityledger.demo.airflow_client import AirflowClient
from cityledger.demo.day import Day
from cityledger.demo.generate.generator import generate
from cityledger.settings import get_settings
from cityledger_stack.layout import Layout

from tests.conftest import stack_environment

pytestmark = [pytest.mark.drill, pytest.mark.timeout(1800)]

INDICATOR = "SVC-01"
_LONG_AGO = "2020-01-01T00:00:00Z"


def cityledger(*words: str) -> str:
    """Run the command line as the current home's operator; what it prints."""
    program = Path(sys.executable).with_name("cityledger")
    done = subprocess.run([program, *words], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


def _destroy(home: Path) -> None:
    cityledger_stack.down()
    for folder in (home, *Layout(home).postgres_dirs):
        shutil.rmtree(folder, ignore_errors=True)


def _runs() -> Counter[tuple[str, str]]:
    with AirflowClient.from_settings(get_settings()) as airflow:
        return Counter((run["dag_id"], run["state"]) for run in airflow.runs(_LONG_AGO))


@pytest.fixture
def homes(server_dir: Path) -> Any:
    """Two homes; whatever still runs in them is stopped in the end."""
    both = server_dir / "drill-old", server_dir / "drill-new"
    yield both
    for home in both:
        with stack_environment(home):
            _destroy(home)


def test_a_lost_city_comes_back_and_goes_on(
    homes: tuple[Path, Path], server_dir: Path, tmp_path: Path
) -> None:
    """The one promise that counts after a fire: same ledger, same numbers, and work goes on."""
    old, new = homes
    safe, backups = tmp_path / "safe", server_dir / "drill-backups"
    drop = tmp_path / "drop"
    places = [(one.dataset, one.partition) for one in generate(drop, scale=0.02, seed=5).deliveries]
    tomorrow = next(two for one, two in pairwise(places) if one[0] == two[0])
    today = [place for place in places if place != tomorrow]

    with stack_environment(old, CITYLEDGER_DROP_DIR=str(drop)):
        cityledger("up")
        get_settings.cache_clear()
        day = Day(get_settings(), today).run()
        value = next(one for one in day.indicators if one.code == INDICATOR and one.value)
        where = ("--area", value.area, "--period", value.period)
        pack = tmp_path / "before.zip"
        cityledger("audit", "pack", INDICATOR, *where, "--out", str(pack))
        trace = json.loads(cityledger("trace", "indicator", INDICATOR, *where, "--json"))
        key = cityledger("ledger", "keys").split()[0]
        runs = _runs()
        made = json.loads(cityledger("backup", "create", str(backups), "--json"))
        assert set(made["databases"]) == {"cityledger", "airflow"}
        assert made["warnings"] == []
        for name in ("secrets.json", "secrets/ledger.key"):
            (safe / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(old / name, safe / name)
        _destroy(old)
        assert not old.exists()

    with stack_environment(new, CITYLEDGER_DROP_DIR=str(drop)):
        shutil.copytree(safe, new)
        cityledger("up", "--no-airflow")
        done = json.loads(cityledger("backup", "restore", str(backups), "--json"))
        assert done["problems"] == []
        assert set(done["databases"]) == {"cityledger", "airflow"}
        verified = json.loads(cityledger("ledger", "verify", "--objects", "--key", key, "--json"))
        assert verified["root"] == made["checkpoint"]["root"]
        assert verified["findings"] == []
        assert trace == json.loads(cityledger("trace", "indicator", INDICATOR, *where, "--json"))
        derived = json.loads(cityledger("audit", "rederive", str(pack), "--key", key, "--json"))
        assert derived["result"] in {"identical bytes", "identical content"}
        assert any(check["what"].startswith("table ") for check in derived["checks"])

        cityledger("up")
        get_settings.cache_clear()
        # A task that was running when the city was lost may have been ended by the scheduler.
        assert set(_runs()) >= set(runs)
        after = Day(get_settings(), [tomorrow]).run()
        assert {(row.dataset, row.partition) for row in after.datasets} >= {tomorrow}
        cityledger("ledger", "checkpoint")
        lived = json.loads(cityledger("ledger", "verify", "--objects", "--key", key, "--json"))
        assert lived["findings"] == []
        assert lived["tree_size"] > verified["tree_size"]
        again = tmp_path / "after.zip"
        cityledger("audit", "pack", INDICATOR, *where, "--out", str(again))
        cityledger("audit", "verify", str(again), "--key", key)
