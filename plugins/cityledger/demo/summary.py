"""What a day came to: rows, indicators, and where the time went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from cityledger.contracts.identity import DatasetId
from cityledger.ledger.journal import Journal
from cityledger.records import IndicatorValue, Outcome, Stage

#: What the outcomes of the stages are filed under that serve all datasets at once.
_CITY = ("city", "all")
_STAGES_OF = {
    "extract_land": (Stage.EXTRACT, Stage.LAND),
    "parse_validate": (Stage.PARSE, Stage.VALIDATE),
    "release": (Stage.RELEASE,),
    "standardise": (Stage.STANDARDISE,),
    "publish": (Stage.PUBLISH,),
}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatasetResult(_Part):
    """Where the records of one partition went.

    Attributes:
        rejected: Not a record of the contract's shape, total rows and notes included.
        expected_rejects: Those that the layout foresees.
    """

    dataset: str
    partition: str
    declared: int | None
    extracted: int
    rejected: int
    expected_rejects: int
    quarantined: int
    validated: int


class StageTime(_Part):
    """Time that one stage took in all its attempts, in seconds.

    Attributes:
        skipped: Attempts that found their work done.
    """

    stage: Stage
    attempts: int
    skipped: int
    seconds: float


class TaskTime(_Part):
    """Where the time of one Airflow task went, in seconds.

    Attributes:
        waited: From being ready to run until its process started.
        ran: From the start of its process to its end.
        own: The part of ``ran`` that was our stages' work.
    """

    dag_id: str
    task_id: str
    partition: str
    waited: float
    ran: float
    own: float


class Overhead(_Part):
    """Time spent outside our own work, in seconds, over all tasks.

    Attributes:
        process: Mean time of a task's process before and after its work.
        waiting: Mean time that a task waited for the scheduler and a free slot.
        total_process: Sum of the former.
    """

    tasks: int
    process: float
    waiting: float
    total_process: float


class DaySummary(_Part):
    """The result of a day.

    Attributes:
        seconds: From the first trigger to the last publication.
        builds: dbt builds that were needed.
        content_sha256: Of the published indicators, whatever their order.
    """

    seconds: float
    datasets: tuple[DatasetResult, ...]
    indicators: tuple[IndicatorValue, ...]
    stages: tuple[StageTime, ...]
    tasks: tuple[TaskTime, ...]
    overhead: Overhead
    builds: int
    snapshot_id: int | None
    content_sha256: str | None
    airflow_url: str


def dataset_results(journal: Journal, wanted: Iterable[tuple[str, str]]) -> list[DatasetResult]:
    """The accounting of the released delivery of every wanted (dataset, partition)."""
    found = []
    released = {(one.dataset, one.partition): one for one in journal.released()}
    for place in wanted:
        release = released.get(place)
        validation = release and journal.find_validation(
            *place, release.delivery, release.contract_sha256
        )
        if validation:
            counts = validation.accounting.model_dump(exclude={"parsed"})
            found.append(DatasetResult(dataset=place[0], partition=place[1], **counts))
    return found


def stage_times(outcomes: Sequence[Outcome]) -> list[StageTime]:
    """Outcomes added up by stage."""
    times = []
    for stage in Stage:
        of_stage = [one for one in outcomes if one.stage is stage]
        done = [one for one in of_stage if one.status != "skipped"]
        seconds = sum(_seconds(one.ended_at - one.started_at) for one in done)
        times.append(
            StageTime(
                stage=stage,
                attempts=len(done),
                skipped=len(of_stage) - len(done),
                seconds=round(seconds, 3),
            )
        )
    return times


def task_times(
    tasks: Iterable[Mapping[str, Any]],
    partitions: Mapping[str, str],
    outcomes: Sequence[Outcome],
) -> list[TaskTime]:
    """Where the time of tasks that ended went.

    Args:
        tasks: Airflow's task instances.
        partitions: Run id → partition key.
        outcomes: What our stages recorded meanwhile.
    """
    datasets = {
        DatasetId.parse(one.dataset).dag_id: one.dataset
        for one in outcomes
        if one.dataset != _CITY[0]
    }
    times = []
    for task in tasks:
        if not task["start_date"] or not task["end_date"] or not task["queued_when"]:
            continue
        partition = partitions.get(task["dag_run_id"], "")
        dataset = datasets.get(task["dag_id"])
        place = (dataset, partition) if dataset else _CITY
        start, end = _time(task["start_date"]), _time(task["end_date"])
        stages = _STAGES_OF.get(task["task_id"], ())
        work = [
            (max(one.started_at, start), min(one.ended_at, end))
            for one in outcomes
            if (one.dataset, one.partition) == place and one.stage in stages
        ]
        ready = _time(task["scheduled_when"] or task["queued_when"])
        times.append(
            TaskTime(
                dag_id=task["dag_id"],
                task_id=task["task_id"],
                partition=partition,
                waited=round(_seconds(start - ready), 3),
                ran=round(_seconds(end - start), 3),
                own=round(_covered(work), 3),
            )
        )
    return times


def overhead(times: Sequence[TaskTime]) -> Overhead:
    """What Airflow's part of the time was."""
    count = len(times)
    process = sum(one.ran - one.own for one in times)
    return Overhead(
        tasks=count,
        process=round(process / count, 3) if count else 0.0,
        waiting=round(sum(one.waited for one in times) / count, 3) if count else 0.0,
        total_process=round(process, 3),
    )


def _covered(intervals: Iterable[tuple[datetime, datetime]]) -> float:
    """Length of the union: parse and validate work at the same time."""
    total, reached = 0.0, None
    for start, end in sorted(intervals):
        begin = start if reached is None else max(start, reached)
        if end > begin:
            total += _seconds(end - begin)
            reached = end
    return total


def _seconds(length: timedelta) -> float:
    return length / timedelta(seconds=1)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
