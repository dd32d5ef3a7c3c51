"""One large file in parts on two Celery workers, one of which is killed in the middle of a part."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import cityledger_stack
import pytest
from cityledger.demo.airflow_client import AirflowClient
from cityledger.demo.day import Day
from cityledger.demo.generate.generator import generate
from cityledger.ledger.journal import Journal
from cityledger.lifecycle.readers import encoding
from cityledger.records import Outcome, Stage, Validation
from cityledger.settings import PROJECT_DIR, Settings, get_settings
from cityledger.storage.database import Database
from cityledger.storage.keys import PARTS
from cityledger.storage.objects import LAKE, ObjectStore

from tests.cluster import disturb
from tests.cluster.conftest import WORKERS, worker_environment
from tests.cluster.disturb import Disturbances, Step
from tests.cluster.pausing import BLOCK
from tests.conftest import stack_environment
from tests.undisturbed import undisturbed

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

PLACE = ("gov_services.service_cases", "2026-03-31")
KILL = Step("a worker is killed in the middle of a part", "part", disturb.kill_worker)
PART_BYTES = 15_000


@dataclass
class City:
    """The city after its delivery.

    Attributes:
        tasks: Airflow's task instances.
        parsed: Attempts at parsing the delivery, oldest first.
    """

    settings: Settings
    disturbances: Disturbances
    tasks: list[dict[str, Any]]
    parsed: list[Outcome]
    validation: Validation
    published: str | None

    def of(self, task_id: str) -> list[dict[str, Any]]:
        """The instances of one task."""
        return [task for task in self.tasks if task["task_id"] == task_id]


@pytest.fixture(scope="module")
def contracts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo city's contracts, of which one has its files cut."""
    folder = tmp_path_factory.mktemp("contracts") / "contracts"
    shutil.copytree(PROJECT_DIR / "contracts", folder)
    path = folder / "gov_services" / "service_cases.odcs.yaml"
    text, wanted = path.read_text("utf-8"), "    customProperties:\n"
    assert wanted in text
    line = f"      - {{property: partBytes, value: {PART_BYTES}}}\n"
    path.write_text(text.replace(wanted, wanted + line, 1), "utf-8")
    return folder


@pytest.fixture(scope="module")
def city(home: Path, pauses: Path, contracts: Path) -> Iterator[City]:
    """The delivery and what happens meanwhile."""
    began = datetime.now(UTC).isoformat()
    places = {"CITYLEDGER_CONTRACTS_DIR": str(contracts), **worker_environment(pauses)}
    with stack_environment(home, **places), ExitStack() as after:
        cityledger_stack.up(workers=WORKERS)
        settings = get_settings()
        generate(settings.drop_dir, scale=0.05, seed=3)
        disturbances = Disturbances(pauses, [KILL])
        database = Database.from_settings(settings)
        after.callback(database.close)
        summary = Day(settings, [PLACE], disturbances).run()
        with AirflowClient.from_settings(settings) as airflow:
            tasks = airflow.tasks(began)
        journal = Journal(database)
        parsed = journal.outcomes(*PLACE, Stage.PARSE)[::-1]
        (release,) = journal.released()
        validation = journal.find_validation(*PLACE, release.delivery, release.contract_sha256)
        assert validation is not None
        yield City(settings, disturbances, tasks, parsed, validation, summary.content_sha256)


def test_parts_run_side_by_side(city: City) -> None:
    """Parts that wait for each other are slower than no parts."""
    parts = city.of("parse_part")
    assert len(parts) >= 6
    assert {task["map_index"] for task in parts} == set(range(len(parts)))
    spans = sorted((task["start_date"], task["end_date"]) for task in parts)
    assert any(later[0] < earlier[1] for earlier, later in pairwise(spans))


def test_only_parts_of_the_killed_worker_are_parsed_again(city: City) -> None:
    """A worker that dies near the end of a huge file must not cost the whole of it."""
    assert city.disturbances.done == [KILL.name]
    parts = city.of("parse_part")
    assert {task["state"] for task in parts} == {"success"}
    again = [task for task in parts if task["try_number"] > 1]
    assert 1 <= len(again) < len(parts)
    assert [task["try_number"] for task in city.of("split")] == [1]


def test_the_parts_were_gathered(city: City) -> None:
    """A delivery that was quietly read as a whole would be right, too."""
    count = len(city.of("parse_part"))
    assert city.parsed[0].detail["parts"] == count
    assert city.parsed[-1].detail["gathered"] == count
    done = {one.detail["part"] for one in city.parsed if "part" in one.detail}
    assert done == set(range(1, count + 1))
    assert list(ObjectStore.from_settings(city.settings).list(LAKE, PARTS)) == []


def test_the_verdict_and_the_figures_are_those_of_one_undisturbed_task(
    city: City, s3_url: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the byte of the validated file, and to the digit."""
    monkeypatch.setattr(encoding, "BLOCK", BLOCK)
    elsewhere = {"s3_url": s3_url, "postgres_url": postgres_url, "home": tmp_path}
    whole = undisturbed(city.settings, [PLACE], **elsewhere)
    (alone,) = whole.validations
    # The landed object's version is of its store.
    assert city.validation.model_dump(exclude={"inputs"}) == alone.model_dump(exclude={"inputs"})
    assert city.published == whole.published.content_sha256
