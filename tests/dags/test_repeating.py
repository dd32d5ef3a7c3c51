"""Every task may be run again: after a crash nobody can know how far it had got.

A task that is killed with its worker is tried again from its beginning, and a message that the
broker delivers twice may start it a second time. Its work must be the same after both.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException
from cityledger.airflow import operators
from cityledger.airflow.dataset_dag import RETRY_POLICY
from cityledger.airflow.inventory_dag import InventoryOperator, ProfileOperator
from cityledger.airflow.ledger_dag import CheckpointOperator, IndexOperator, VerifyOperator
from cityledger.airflow.operators import (
    ExtractLandOperator,
    ParseValidateOperator,
    PublishOperator,
    ReleaseOperator,
    StandardiseOperator,
)
from cityledger.airflow.orders_dag import RemindOperator
from cityledger.demo.generate.generator import generate
from cityledger.runner import Runner
from cityledger.settings import PROJECT_DIR, Settings
from cityledger.storage.objects import BUCKETS
from cityledger_stack import celery
from sqlalchemy import text

from tests.dags.conftest import Parse

DATASET, PARTITION = "transport.metro_trips", "2026-03-31"

#: Run twice below, in this order.
HERE: tuple[tuple[type[BaseOperator], dict[str, Any]], ...] = (
    (ExtractLandOperator, {"dataset": DATASET}),
    (ParseValidateOperator, {"dataset": DATASET}),
    (ReleaseOperator, {"dataset": DATASET}),
    (InventoryOperator, {}),
    (ProfileOperator, {}),
    (IndexOperator, {}),
    (CheckpointOperator, {}),
    (VerifyOperator, {}),
)
#: Run twice by tests that have a whole city, or a mail server.
ELSEWHERE = {
    StandardiseOperator: (
        "tests/integration/test_city_day.py",
        "test_a_second_day_changes_nothing",
    ),
    PublishOperator: ("tests/integration/test_city_day.py", "test_a_second_day_changes_nothing"),
    RemindOperator: (
        "tests/dags/test_rectification.py",
        "test_each_message_goes_out_once_a_channel",
    ),
}
#: What a repetition may add: that it took place.
TRAIL = {"outcome", "inventory", "lineage_event", "lineage_outbox"}


# --- every task of every DAG -------------------------------------------------------------------


def complaints(task: BaseOperator) -> Iterator[str]:
    """What is missing for a task that may lose its worker at any moment."""
    if task.retries < 1:
        yield "no retries"
    if not task.retry_delay or task.retry_delay < timedelta(seconds=5):
        yield "no retry delay: it would be tried again before anything can have healed"
    if task.max_retry_delay is None or task.max_retry_delay > timedelta(hours=1):
        yield "its last tries may be hours apart"
    if task.retry_policy is not RETRY_POLICY:
        yield "bad input would be tried again"
    if not task.execution_timeout or task.execution_timeout > timedelta(hours=12):
        yield "no execution timeout"
    if type(task) not in {*dict(HERE), *ELSEWHERE}:
        yield "nobody has shown that it may be run twice"


def test_every_task_may_lose_its_worker(parse: Parse, no_parsing_context: None) -> None:
    """One task without retries ends the day of a whole department when its worker dies."""
    tasks = [task for dag in parse().dags.values() for task in dag.tasks]
    assert len(tasks) > 20
    assert {task.label or task.task_id: [*complaints(task)] for task in tasks} == {
        task.label or task.task_id: [] for task in tasks
    }


class _Careless(BaseOperator):
    def execute(self, context: Any) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("spoilt", "complaint"),
    [
        ({"retries": 0}, "no retries"),
        ({"retry_delay": timedelta(0)}, "no retry delay"),
        ({"max_retry_delay": timedelta(days=1)}, "hours apart"),
        ({"retry_policy": None}, "bad input"),
        ({"execution_timeout": None}, "no execution timeout"),
        ({"execution_timeout": timedelta(days=2)}, "no execution timeout"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else None,
)
def test_the_convention_bites(spoilt: dict[str, Any], complaint: str) -> None:
    """A convention that a careless task passes protects nobody."""
    good = {
        "retries": 3,
        "retry_delay": timedelta(seconds=10),
        "max_retry_delay": timedelta(minutes=10),
        "retry_policy": RETRY_POLICY,
        "execution_timeout": timedelta(hours=1),
    }
    assert [*complaints(VerifyOperator(task_id="t", **good))] == []
    (found,) = complaints(VerifyOperator(task_id="t", **{**good, **spoilt}))
    assert complaint in found
    (found,) = complaints(_Careless(task_id="t", **good))
    assert "run twice" in found


@pytest.mark.parametrize(("file", "name"), sorted(set(ELSEWHERE.values())))
def test_the_tests_elsewhere_are_there(file: str, name: str) -> None:
    """A name that nobody looks up is a promise that nobody keeps."""
    tree = ast.parse((PROJECT_DIR / file).read_text("utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_broker_waits_longer_than_any_task(parse: Parse, no_parsing_context: None) -> None:
    """A message that is given out again while its task runs starts the task a second time."""
    queue = celery.options(broker_url="redis://x", workers=2, slots=4, log_port=1)
    waits = int(queue["CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"])
    longest = max(task.execution_timeout for dag in parse().dags.values() for task in dag.tasks)
    assert timedelta(seconds=waits) > longest
    assert json.loads(queue["CELERY__EXTRA_CELERY_CONFIG"])["result_backend_always_retry"]


# --- twice -------------------------------------------------------------------------------------


@pytest.fixture
def runner(ready_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """A runner whose drop folder has the demo city's deliveries, which the operators use, too."""
    generate(ready_settings.drop_dir, scale=0.005, seed=1)
    made = Runner(ready_settings)
    monkeypatch.setattr(operators, "_runner", lambda _context: made)
    return made


def test_a_second_execution_changes_nothing(runner: Runner) -> None:
    """A receipt, verdict, release, profile or checkpoint too many is a second truth."""
    context: Any = {"partition_key": PARTITION, "run_id": "r", "outlet_events": {}}
    for kind, options in HERE:
        first = _executed(kind, options, context)
        before = _state(runner)
        assert _executed(kind, options, context) == first, kind.__name__
        assert _state(runner) == before, kind.__name__
    assert before["delivery"] == before["release"] == before["validation"] == 1


def test_a_task_that_was_cut_off_leaves_nothing_that_counts(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files without a commit mark must be invisible, and the next try must end as the first."""
    context: Any = {"partition_key": PARTITION, "run_id": "r", "outlet_events": {}}
    saved = runner.journal.save_validation
    ExtractLandOperator(task_id="t", dataset=DATASET).execute(context)
    before = _state(runner)

    def die(_validation: Any) -> None:
        raise KeyboardInterrupt  # as a task's process is ended from outside

    monkeypatch.setattr(runner.journal, "save_validation", die)
    task = ParseValidateOperator(task_id="t", dataset=DATASET)
    with pytest.raises(KeyboardInterrupt):
        task.execute(context)
    assert {name: rows for name, rows in _state(runner).items() if name != "objects"} == {
        name: rows for name, rows in before.items() if name != "objects"
    }
    orphaned = _state(runner)["objects"]
    monkeypatch.setattr(runner.journal, "save_validation", saved)
    done = task.execute(context)
    assert done["validated"] > 0
    assert _state(runner)["objects"] == orphaned, "the second try writes to the same keys"
    assert _state(runner)["validation"] == 1


def _executed(kind: type[BaseOperator], options: dict[str, Any], context: Any) -> Any:
    try:
        return kind(task_id="t", **options).execute(context)
    except AirflowSkipException as skipped:
        return str(skipped)


def _state(runner: Runner) -> dict[str, Any]:
    """The rows of each table, and the keys of all objects."""
    with runner.database.begin() as connection:
        names = connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'cityledger'")
        ).scalars()
        counted = {
            name: connection.execute(text(f'SELECT count(*) FROM cityledger."{name}"')).scalar_one()
            for name in sorted(set(names) - TRAIL)
        }
    return {**counted, "objects": [ref for one in BUCKETS for ref in _keys(runner, one)]}


def _keys(runner: Runner, bucket: str) -> list[str]:
    return [f"{bucket}/{found}" for found in runner.store.list(bucket, "")]
