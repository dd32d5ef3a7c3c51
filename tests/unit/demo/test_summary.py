"""Where the time of a day went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cityledger.demo.summary import Overhead, overhead, stage_times, task_times
from cityledger.records import Outcome, Stage

START = datetime(2026, 4, 1, 6, tzinfo=UTC)
DATASET, PARTITION = "hotline.tickets", "2026-03-31"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def outcome(stage: Stage, begin: float, end: float, **fields: Any) -> Outcome:
    values = {
        "run_id": f"{stage}{begin}",
        "stage": stage,
        "dataset": DATASET,
        "partition": PARTITION,
        "status": "success",
        "started_at": at(begin),
        "ended_at": at(end),
        **fields,
    }
    return Outcome.model_validate(values)


def task(task_id: str, begin: float, end: float, **fields: Any) -> dict[str, Any]:
    return {
        "dag_id": "dataset__hotline__tickets",
        "dag_run_id": "r",
        "task_id": task_id,
        "scheduled_when": at(begin - 3).isoformat(),
        "queued_when": at(begin - 2).isoformat(),
        "start_date": at(begin).isoformat(),
        "end_date": at(end).isoformat(),
        **fields,
    }


def test_stages_that_overlap_count_once_in_their_task() -> None:
    """Parse and validate share one pass; added up they would exceed the task."""
    work = [outcome(Stage.PARSE, 1, 8), outcome(Stage.VALIDATE, 2, 7)]
    (time,) = task_times([task("parse_validate", 0, 10)], {"r": PARTITION}, work)
    assert (time.waited, time.ran, time.own) == (3.0, 10.0, 7.0)
    assert overhead([time]) == Overhead(tasks=1, process=3.0, waiting=3.0, total_process=3.0)


def test_work_of_other_partitions_stages_and_attempts_is_not_counted() -> None:
    """Ten partitions run at once; each task may only claim its own work."""
    work = [
        outcome(Stage.RELEASE, 1, 2),
        outcome(Stage.PARSE, 1, 9, partition="2026-03-30"),
        outcome(Stage.PARSE, 1, 9, dataset="hotline.satisfaction"),
        outcome(Stage.PARSE, -9, -2),
        outcome(Stage.PARSE, 8, 12),
    ]
    (time,) = task_times([task("parse_validate", 0, 10)], {"r": PARTITION}, work)
    assert time.own == 2.0


def test_the_citys_stages_belong_to_the_standardise_dag() -> None:
    """They serve no single dataset."""
    work = [outcome(Stage.STANDARDISE, 1, 4, dataset="city", partition="all")]
    times = task_times([task("standardise", 0, 5, dag_id="standardise")], {}, work)
    assert [(one.own, one.ran) for one in times] == [(3.0, 5.0)]


@pytest.mark.parametrize("missing", ["start_date", "end_date", "queued_when"])
def test_tasks_that_never_ran_are_left_out(missing: str) -> None:
    """Skipped and failed-upstream tasks have no process."""
    assert task_times([task("release", 0, 1, **{missing: None})], {}, []) == []
    assert overhead([]).process == 0.0


def test_stages_are_added_up_and_skipped_ones_counted() -> None:
    """A second run must show that nothing was done again."""
    outcomes = [
        outcome(Stage.LAND, 0, 2),
        outcome(Stage.LAND, 5, 6.5, status="failure"),
        outcome(Stage.LAND, 7, 8, status="skipped"),
    ]
    times = {one.stage: one for one in stage_times(outcomes)}
    assert list(times) == list(Stage)
    assert (times[Stage.LAND].attempts, times[Stage.LAND].skipped) == (2, 1)
    assert times[Stage.LAND].seconds == 3.5
    assert times[Stage.PUBLISH].attempts == 0
