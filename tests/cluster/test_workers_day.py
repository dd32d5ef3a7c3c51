"""The demo city's day on two Celery workers, with parts of the stack killed in the middle of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cityledger_stack
import httpx
import pytest
from cityledger.demo import airflow_client
from cityledger.demo.airflow_client import AirflowClient
from cityledger.demo.day import STANDARDISE, Day
from cityledger.demo.generate.answers import AnswerKey
from cityledger.demo.generate.generator import generate
from cityledger.demo.summary import DaySummary
from cityledger.ledger.journal import Journal
from cityledger.settings import Settings, get_settings
from cityledger.storage.database import Database

from tests.cluster import disturb
from tests.cluster.conftest import WORKERS, worker_environment
from tests.cluster.disturb import Disturbances, Step
from tests.conftest import stack_environment
from tests.undisturbed import undisturbed

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2400)]

SCALE, SEED = 0.05, 3

STEPS = (
    Step("a worker is killed in the middle of parse", "parse", disturb.kill_worker),
    Step("a worker is killed in the middle of validate", "validate", disturb.kill_worker),
    Step("the scheduler is killed", "parse", disturb.kill_scheduler, goes_on=True),
    Step("the broker is killed", "parse", disturb.kill_broker, goes_on=True),
    Step("the database restarts during parse", "parse", disturb.restart_database, goes_on=True),
    Step("a worker is killed in the middle of dbt", "dbt", disturb.kill_worker),
    Step("the database restarts during dbt", "dbt", disturb.restart_database, goes_on=True),
    Step("a worker is killed after dbt, before its mark", "built", disturb.kill_worker),
)


@dataclass
class City:
    """The city after its day."""

    key: AnswerKey
    settings: Settings
    journal: Journal
    summary: DaySummary
    disturbances: Disturbances
    began: str

    @property
    def deliveries(self) -> list[tuple[str, str]]:
        """(dataset, partition) of every delivery."""
        return [(one.dataset, one.partition) for one in self.key.deliveries]


@pytest.fixture(scope="module")
def city(home: Path, pauses: Path) -> Iterator[City]:
    """The day and everything that happens in it."""
    # The api-server waits for a database that restarts, and so must its client.
    patch = pytest.MonkeyPatch()
    patch.setattr(airflow_client, "_TIMEOUT_SECONDS", 180.0)
    began = datetime.now(UTC).isoformat()
    with stack_environment(home, **worker_environment(pauses)), ExitStack() as after:
        cityledger_stack.up(workers=WORKERS)
        settings = get_settings()
        key = generate(settings.drop_dir, scale=SCALE, seed=SEED)
        places = [(one.dataset, one.partition) for one in key.deliveries]
        disturbances = Disturbances(pauses, STEPS)
        database = Database.from_settings(settings)
        after.callback(database.close)
        after.callback(patch.undo)
        summary = Day(settings, places, disturbances).run()
        yield City(key, settings, Journal(database), summary, disturbances, began)


@pytest.fixture
def airflow(city: City) -> Iterator[AirflowClient]:
    """Airflow's API."""
    with AirflowClient.from_settings(city.settings) as client:
        yield client


def test_everything_happened_that_was_to_happen(city: City) -> None:
    """A day in which nobody was killed in the middle of something would prove nothing."""
    assert city.disturbances.done == [step.name for step in STEPS]
    restarts = {part.name: part.restarts for part in cityledger_stack.status()}
    kills = sum(step.act is disturb.kill_worker for step in STEPS)
    assert restarts["worker-1"] + restarts["worker-2"] == kills
    assert restarts["scheduler"] >= 1
    assert restarts["redis"] == 1
    assert restarts["postgres"] == sum(step.act is disturb.restart_database for step in STEPS)


def test_the_killed_tasks_were_tried_again(city: City, airflow: AirflowClient) -> None:
    """A task that ends well at its first try was not the one that was killed."""
    again = Counter(task["task_id"] for task in airflow.tasks(city.began) if task["try_number"] > 1)
    assert again["parse_validate"] >= 2
    assert again[STANDARDISE] >= 1
    assert {run["state"] for run in airflow.runs(city.began)} <= {"success", "queued", "running"}


def test_both_workers_did_the_work(city: City, airflow: AirflowClient) -> None:
    """A worker that never gets a task again after its restart halves the city's capacity."""
    hosts = {task["hostname"] for task in airflow.tasks(city.began)}
    assert hosts >= disturb.ADDRESSES


def test_every_record_is_accounted_for(city: City) -> None:
    """Lost or doubled rows show first in the figures of a delivery."""
    found = {(row.dataset, row.partition): row for row in city.summary.datasets}
    assert len(found) == len(city.key.deliveries) >= 10
    for answer in city.key.deliveries:
        row = found[answer.dataset, answer.partition].model_dump(exclude={"dataset", "partition"})
        assert row == {name: getattr(answer, name) for name in row}


def test_nothing_was_done_twice(city: City) -> None:
    """A killed task that had half finished must not leave a second receipt or release."""
    released = Counter((one.dataset, one.partition) for one in city.journal.released())
    assert released == Counter(city.deliveries)
    for dataset, partition in city.deliveries:
        assert len(city.journal.receipts(dataset, partition)) == 1
    assert city.journal.pending() == []


def test_the_published_figures_are_those_of_an_undisturbed_run(
    city: City, s3_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """To the digit, whoever runs the stages and whatever dies meanwhile."""
    whole = undisturbed(
        city.settings, city.deliveries, s3_url=s3_url, postgres_url=postgres_url, home=tmp_path
    )
    newest = city.journal.latest_standardisation()
    assert newest is not None
    assert newest.digests == whole.built.digests
    assert city.summary.content_sha256 == whole.published.content_sha256


def test_logs_of_a_task_are_read_from_its_worker(city: City, airflow: AirflowClient) -> None:
    """Whoever looks why a task failed must find its log, also that of the try that was killed."""
    task = next(
        one
        for one in airflow.tasks(city.began)
        if one["task_id"] == "parse_validate" and one["try_number"] > 1
    )
    place = (task["dag_id"], task["dag_run_id"], task["task_id"])
    for attempt in (1, task["try_number"]):
        lines = airflow.log(*place, attempt)
        sources = [line for line in lines if line.startswith("http://127.0.0.1")]
        assert sources, lines[:5]
        assert any("DAG bundles loaded" in line for line in lines)


def test_logs_of_a_worker_want_a_signature(city: City) -> None:
    """Task logs must not be readable for every local user who knows the port."""
    (logs,) = (part for part in cityledger_stack.status() if part.name == "worker-logs")
    assert httpx.get(f"{logs.address}/log/dag_id=standardise/x.log").status_code == 403
