"""A day of the demo city through real Airflow, PostgreSQL, S3 and DuckLake."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cityledger_stack
import pytest
from cityledger.contracts.identity import DatasetId
from cityledger.demo.airflow_client import AirflowClient, wait_until
from cityledger.demo.day import STANDARDISE, Day, DayView
from cityledger.demo.generate.answers import AnswerKey
from cityledger.demo.generate.generator import generate, redeliver
from cityledger.demo.summary import DaySummary
from cityledger.ledger.journal import Journal
from cityledger.settings import Settings, get_settings
from cityledger.storage import tables
from cityledger.storage.database import Database
from sqlalchemy import select

from tests.conftest import stack_environment
from tests.undisturbed import undisturbed

pytestmark = [pytest.mark.stack, pytest.mark.timeout(900)]

SCALE, SEED = 0.02, 3
METRO = "transport.metro_trips"
TASKS = ("extract_land", "parse_validate", "release")


class Killer:
    """Kills one process of each named task, in the middle of its work.

    Any dataset's will do: a task of this small city is over within seconds, and the day is looked
    at once a second.
    """

    def __init__(self, *task_ids: str) -> None:
        self.left = set(task_ids)
        self.killed: set[str] = set()
        self.since = datetime.now(UTC).isoformat()

    def __call__(self, view: DayView) -> None:
        """Look for a victim whenever the day reports."""
        if any(run.task == f"{task_id} running" for run in view.runs for task_id in self.left):
            self._kill()

    def _kill(self) -> None:
        with AirflowClient.from_settings(get_settings()) as airflow:
            for task in airflow.tasks(self.since):
                if task["task_id"] in self.left and task["state"] == "running" and task["pid"]:
                    try:
                        os.kill(task["pid"], signal.SIGKILL)
                    except ProcessLookupError:  # it ended before we came
                        continue
                    self.left.remove(task["task_id"])
                    self.killed.add(task["task_id"])


@dataclass
class City:
    """The city after its day."""

    key: AnswerKey
    settings: Settings
    journal: Journal
    summary: DaySummary
    killer: Killer
    began: str

    @property
    def deliveries(self) -> list[tuple[str, str]]:
        """(dataset, partition) of every delivery."""
        return [(one.dataset, one.partition) for one in self.key.deliveries]


@pytest.fixture(scope="module")
def city(stack_home: Path) -> Iterator[City]:
    """The demo day, during which two task processes are killed."""
    began = datetime.now(UTC).isoformat()
    with stack_environment(stack_home):
        cityledger_stack.up()
        settings = get_settings()
        key = generate(settings.drop_dir, scale=SCALE, seed=SEED)
        places = [(one.dataset, one.partition) for one in key.deliveries]
        killer = Killer("parse_validate", STANDARDISE)
        summary = Day(settings, places, killer).run()
        journal = Journal(Database.from_settings(settings))
        yield City(key, settings, journal, summary, killer, began)


@pytest.fixture
def airflow(city: City) -> Iterator[AirflowClient]:
    """Airflow's API."""
    with AirflowClient.from_settings(city.settings) as client:
        yield client


def test_every_record_of_every_delivery_is_accounted_for(city: City) -> None:
    """The figures that the demo prints must be the planted ones, through Airflow, too."""
    found = {(row.dataset, row.partition): row for row in city.summary.datasets}
    assert len(found) == len(city.key.deliveries) >= 10
    for answer in city.key.deliveries:
        row = found[answer.dataset, answer.partition]
        assert row.model_dump(exclude={"dataset", "partition"}) == {
            name: getattr(answer, name)
            for name in (
                "declared",
                "extracted",
                "rejected",
                "expected_rejects",
                "quarantined",
                "validated",
            )
        }


def test_every_dag_is_green_and_its_asset_updated(city: City, airflow: AirflowClient) -> None:
    """A red or forgotten DAG on Airflow's page is the first thing an engineer sees."""
    # A release that arrived during the last build starts one more run, with nothing left to do.
    _eventually(lambda: not _unfinished(airflow, city.began))
    runs = airflow.runs(city.began)
    by_dag = {(run["dag_id"], run["partition_key"]): run["state"] for run in runs}
    for dataset, partition in city.deliveries:
        assert by_dag[DatasetId.parse(dataset).dag_id, partition] == "success"
    assert by_dag[STANDARDISE, "released"] == "success"
    events = airflow.asset_events(city.began)
    updated = {(event["name"], event["partition_key"]) for event in events}
    assert updated >= {*city.deliveries, ("indicators", "released")}


def test_releases_close_together_are_few_builds(city: City) -> None:
    """A dbt build for every one of ten releases would take ten times as long."""
    assert 1 <= city.summary.builds <= 1 + 3  # one was killed; a slow machine may split the rest
    assert city.journal.pending() == []


def test_indicators_are_published(city: City) -> None:
    """The day's purpose."""
    assert len({value.code for value in city.summary.indicators}) >= 10
    assert city.summary.content_sha256


def test_the_summary_says_where_the_time_went(city: City) -> None:
    """Scheduling overhead is a promise of the project, so it is reported per task."""
    tasks = {(one.dag_id, one.partition, one.task_id) for one in city.summary.tasks}
    for dataset, partition in city.deliveries:
        for task_id in TASKS:
            assert (DatasetId.parse(dataset).dag_id, partition, task_id) in tasks
    assert all(one.ran >= one.own >= 0 for one in city.summary.tasks)
    assert city.summary.overhead.tasks == len(city.summary.tasks)
    assert city.summary.overhead.process > 0


def test_a_killed_task_ends_in_the_same_tables(
    city: City, s3_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """A process that dies half-way must leave neither a gap nor a row too many."""
    assert city.killer.killed == {"parse_validate", STANDARDISE}
    whole = undisturbed(
        city.settings, city.deliveries, s3_url=s3_url, postgres_url=postgres_url, home=tmp_path
    )
    newest = city.journal.latest_standardisation()
    assert newest is not None
    assert newest.digests == whole.built.digests
    assert city.summary.content_sha256 == whole.published.content_sha256


@dataclass
class TaskLineage:
    """What Airflow's own events say of one task, over all its runs."""

    states: set[str] = field(default_factory=set)
    inputs: set[str] = field(default_factory=set)
    outputs: set[str] = field(default_factory=set)


def test_every_task_tells_what_it_read_and_wrote(city: City) -> None:
    """Lineage that misses a task, or names a temporary path, proves nothing."""
    seen = _lineage(city)
    landing, validated = "s3://landing/", "s3://validated/"
    delivered: dict[str, set[str]] = defaultdict(set)
    for answer in city.key.deliveries:
        delivered[answer.dataset] |= {f"drop://{file.path}" for file in answer.files}
    for dataset, _ in city.deliveries:
        identity = DatasetId.parse(dataset)
        extract, validate, release = (seen[f"{identity.dag_id}.{task}"] for task in TASKS)
        for task in (extract, validate, release):
            assert task.states >= {"START", "COMPLETE"}
        assert extract.inputs
        assert extract.inputs <= delivered[dataset]
        assert extract.outputs == validate.inputs != set()
        assert all(name.startswith(f"{landing}{identity.prefix}/") for name in extract.outputs)
        good = {name for name in validate.outputs if name.startswith(validated)}
        assert good == release.inputs == release.outputs != set()
        assert good <= seen["standardise.standardise"].inputs
    built, published = seen["standardise.standardise"], seen["standardise.publish"]
    assert built.outputs
    assert all(name.startswith("ducklake://127.0.0.1:") for name in built.outputs)
    assert published.inputs <= built.outputs
    assert all(name.startswith("s3://published/") for name in published.outputs)


def test_stages_name_the_task_that_ran_them(city: City) -> None:
    """Without the parent, the data's lineage and Airflow's runs are two unconnected graphs."""
    events = _events(city)
    runs = {event["run"]["runId"]: event["job"]["name"] for event in events}
    staged = [event for event in events if event["job"]["name"] == f"{METRO}.land"]
    assert staged
    for event in staged:
        parent = event["run"]["facets"]["parent"]
        name = f"{DatasetId.parse(METRO).dag_id}.extract_land"
        assert parent["job"]["name"] == runs[parent["run"]["runId"]] == name


def _events(city: City) -> list[dict[str, Any]]:
    with Database.from_settings(city.settings).begin() as connection:
        rows = connection.execute(select(tables.lineage_event.c.raw)).scalars()
        return [json.loads(bytes(row)) for row in rows]


def _lineage(city: City) -> dict[str, TaskLineage]:
    seen: dict[str, TaskLineage] = defaultdict(TaskLineage)
    for event in _events(city):
        task = seen[event["job"]["name"]]
        task.states.add(event["eventType"])
        for side, found in (("inputs", task.inputs), ("outputs", task.outputs)):
            found |= {f"{one['namespace']}/{one['name']}" for one in event.get(side) or ()}
    return seen


def test_a_second_day_changes_nothing(city: City) -> None:
    """Running the whole day again is how people repair things; it must be safe and quick."""
    before = city.journal.latest_standardisation()
    again = Day(city.settings, city.deliveries).run()
    assert city.journal.latest_standardisation() == before
    assert again.content_sha256 == city.summary.content_sha256
    assert again.builds == 0
    assert {one.stage.value for one in again.stages if one.attempts} <= {"extract"}
    assert again.datasets == city.summary.datasets


def test_a_held_batch_waits_for_the_steward_and_goes_on(city: City, airflow: AirflowClient) -> None:
    """The steward must see the reasons where the decision is taken, and it must be carried out."""
    dag_id, partition = DatasetId.parse(METRO).dag_id, "2026-03-31"
    redeliver(city.settings.drop_dir, METRO)
    (city.settings.drop_dir / "transport" / "metro_trips_20260331.ctl").write_text("1\n", "utf-8")
    for dag in (dag_id, STANDARDISE):
        airflow.pause(dag, False)
    since = datetime.now(UTC).isoformat()
    run_id = airflow.trigger(dag_id, partition)

    _eventually(lambda: _task_state(airflow, since, run_id, "release") == "awaiting_input")
    (question,) = airflow.questions(dag_id, run_id)
    assert METRO in question["subject"]
    assert "declared" in question["body"]
    standing = {(one.dataset, one.partition): one.delivery for one in city.journal.released()}

    words = ["", "recounted by hand"]

    def approved() -> bool:
        # On a busy machine Airflow hears of the asking process's end only after a quick answer and
        # runs the task again, which asks again; a steward would answer again, too.
        state = _task_state(airflow, since, run_id, "release")
        open_questions = airflow.questions(dag_id, run_id)
        if state == "awaiting_input" and not open_questions[0]["response_received"]:
            # An answer without a reason is not taken: the question stands again.
            reason = words.pop(0) if len(words) > 1 else words[0]
            airflow.answer(dag_id, run_id, "release", "Approve", {"reason": reason})
        return state == "success"

    _eventually(approved)

    released = {(one.dataset, one.partition): one for one in city.journal.released()}
    release = released[METRO, partition]
    assert release.delivery != standing[METRO, partition]
    assert release.decision is not None
    assert (release.decision.decided_by, release.decision.reason) == ("admin", "recounted by hand")
    _eventually(lambda: city.journal.pending() == [])


def test_a_backfill_means_the_days_that_the_user_wrote(city: City, airflow: AirflowClient) -> None:
    """Airflow hands the range over in UTC; a day's shift would miss the first or the last file."""
    body = {
        "dag_id": DatasetId.parse(METRO).dag_id,
        "from_date": "2026-01-01T00:00:00Z",
        "to_date": "2026-01-03T00:00:00Z",
    }
    planned = airflow._call("POST", "/api/v2/backfills/dry_run", json=body)["backfills"]
    assert [run["partition_key"] for run in planned] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    body["dag_id"] = DatasetId.parse("environment.air_quality").dag_id
    body |= {"from_date": "2025-11-01T00:00:00Z", "to_date": "2026-03-31T00:00:00Z"}
    planned = airflow._call("POST", "/api/v2/backfills/dry_run", json=body)["backfills"]
    # February and March have run in the demo day; a backfill leaves them alone.
    assert [run["partition_key"] for run in planned] == ["2025-11", "2025-12", "2026-01"]


def _unfinished(airflow: AirflowClient, since: str) -> list[str]:
    return [
        run["dag_run_id"]
        for run in airflow.runs(since)
        if run["dag_id"] == STANDARDISE and run["state"] in ("queued", "running")
    ]


def _task_state(airflow: AirflowClient, since: str, run_id: str, task_id: str) -> str | None:
    for task in airflow.tasks(since):
        if (task["dag_run_id"], task["task_id"]) == (run_id, task_id):
            return str(task["state"])
    return None


def _eventually(condition: Callable[[], bool]) -> None:
    begun = time.monotonic()
    wait_until(condition, seconds=240, every=1.0, failure=AssertionError("it never happened"))
    assert time.monotonic() - begun < 300
