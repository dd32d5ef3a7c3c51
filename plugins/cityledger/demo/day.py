"""A day of the city, run by Airflow: every delivery through its DAG, then the indicators."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cityledger.contracts.identity import DatasetId
from cityledger.demo.airflow_client import AirflowClient, tail, wait_until
from cityledger.demo.summary import (
    DaySummary,
    dataset_results,
    overhead,
    stage_times,
    task_times,
)
from cityledger.errors import CityLedgerError, Exit, UnavailableError
from cityledger.ledger.journal import Journal
from cityledger.records import Stage
from cityledger.settings import Settings
from cityledger.storage.database import Database

STANDARDISE = Stage.STANDARDISE.value
_POLL_SECONDS = 1.0
_PARSE_SECONDS = 180.0
# No task may stand still for longer than this without the day giving up on it.
_STALL_SECONDS = 900.0
_ENDED = ("success", "failed")
_ASKING = "awaiting_input"


@dataclass(frozen=True)
class RunView:
    """One DAG run, as shown while the day goes on.

    Attributes:
        state: Airflow's state of the run: ``queued``, ``running``, ``success`` or ``failed``.
        task: The task that it is at, with its state; empty before the first and after the last.
    """

    dag_id: str
    label: str
    partition: str
    state: str
    task: str = ""


@dataclass(frozen=True)
class DayView:
    """Everything at one moment."""

    seconds: float
    runs: tuple[RunView, ...]

    @property
    def ended(self) -> int:
        """Runs that are over."""
        return sum(run.state in _ENDED for run in self.runs)


Watch = Callable[[DayView], None]


class Day:
    """Runs deliveries through Airflow and waits for the publication.

    Args:
        settings: Of the installation that Airflow works on.
        deliveries: (dataset, partition) pairs.
        watch: Told how things stand, about once a second.
    """

    def __init__(
        self,
        settings: Settings,
        deliveries: Sequence[tuple[str, str]],
        watch: Watch = lambda _: None,
    ) -> None:
        self._settings, self._deliveries, self._watch = settings, tuple(deliveries), watch
        self._journal = Journal(Database.from_settings(settings))
        self._began = datetime.now(UTC)
        self._clock = time.monotonic()
        self._triggered: dict[str, tuple[str, str]] = {}
        self._progress = _Progress()

    def run(self) -> DaySummary:
        """Run the day.

        Raises:
            UnavailableError: Airflow does not answer, or its DAGs do not appear.
            CityLedgerError: a task failed, a batch waits for its steward, or nothing moves.
        """
        with AirflowClient.from_settings(self._settings) as airflow:
            self._await_dags(airflow)
            woken = self._wake(airflow)
            try:
                self._began, self._clock = datetime.now(UTC), time.monotonic()
                for dataset, partition in self._deliveries:
                    run_id = airflow.trigger(DatasetId.parse(dataset).dag_id, partition)
                    self._triggered[run_id] = (dataset, partition)
                self._await_datasets(airflow)
                self._await_publication(airflow)
                seconds = time.monotonic() - self._clock
            finally:
                # After its one day nobody delivers to the fictional city any more; its schedules
                # would only report missing files every morning.
                for dag_id in woken:
                    airflow.pause(dag_id, True)
            return self._summary(airflow, seconds)

    # --- before ---

    def _await_dags(self, airflow: AirflowClient) -> None:
        wanted = {DatasetId.parse(dataset).dag_id for dataset, _ in self._deliveries}
        wanted.add(STANDARDISE)
        missing = UnavailableError(
            "Airflow does not show all DAGs",
            where=airflow.url,
            fix="look at its import errors and at `cityledger logs dag-processor`",
            code="dags_missing",
        )
        try:
            wait_until(
                lambda: wanted <= airflow.dag_ids(),
                seconds=_PARSE_SECONDS,
                every=_POLL_SECONDS,
                failure=missing,
            )
        except UnavailableError as error:
            if error is not missing:
                raise
            absent = ", ".join(sorted(wanted - airflow.dag_ids()))
            problems = "\n".join(airflow.import_errors())
            error.what = f"{error.what}; missing: {absent}\n{problems}".rstrip()
            raise

    def _wake(self, airflow: AirflowClient) -> list[str]:
        """Unpause what is needed and return the datasets' DAGs that were paused."""
        needed = sorted({DatasetId.parse(dataset).dag_id for dataset, _ in self._deliveries})
        asleep = airflow.paused_dag_ids()
        for dag_id in (STANDARDISE, *needed):
            if dag_id in asleep:
                airflow.pause(dag_id, False)
        return [dag_id for dag_id in needed if dag_id in asleep]

    # --- while it runs ---

    def _await_datasets(self, airflow: AirflowClient) -> None:
        while True:
            runs, tasks = self._look(airflow)
            mine = {run["dag_run_id"]: run for run in runs if run["dag_run_id"] in self._triggered}
            open_runs = {run_id for run_id, run in mine.items() if run["state"] not in _ENDED}
            asking = {task["dag_run_id"] for task in tasks if task["state"] == _ASKING}
            if len(mine) == len(self._triggered) and open_runs <= asking:
                break
            time.sleep(_POLL_SECONDS)
        self._raise_failures(airflow, mine.values(), tasks)
        if asking & set(mine):
            self._raise_held(airflow, sorted(asking & set(mine)))

    def _await_publication(self, airflow: AirflowClient) -> None:
        while True:
            runs, tasks = self._look(airflow)
            builds = [run for run in runs if run["dag_id"] == STANDARDISE]
            self._raise_failures(airflow, builds, tasks)
            if all(run["state"] in _ENDED for run in builds) and self._all_published():
                return
            time.sleep(_POLL_SECONDS)

    def _all_published(self) -> bool:
        newest = self._journal.latest_standardisation()
        return (
            newest is not None
            and not self._journal.pending()
            and self._journal.find_publication(newest.snapshot_id) is not None
        )

    def _look(self, airflow: AirflowClient) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        since = self._began.isoformat()
        runs, tasks = airflow.runs(since), airflow.tasks(since)
        shown = [run for run in runs if self._concerns(run)]
        view = DayView(
            seconds=time.monotonic() - self._clock,
            runs=tuple(self._view(run, tasks) for run in shown),
        )
        self._progress.check(view, airflow.url)
        self._watch(view)
        return shown, tasks

    def _concerns(self, run: dict[str, Any]) -> bool:
        return run["dag_run_id"] in self._triggered or run["dag_id"] == STANDARDISE

    def _view(self, run: dict[str, Any], tasks: list[dict[str, Any]]) -> RunView:
        dataset, partition = self._triggered.get(run["dag_run_id"], (STANDARDISE, ""))
        at = [
            f"{task['task_id']} {task['state']}"
            for task in tasks
            if (task["dag_id"], task["dag_run_id"]) == (run["dag_id"], run["dag_run_id"])
            and task["state"] not in (None, "success", "skipped", "upstream_failed")
        ]
        return RunView(run["dag_id"], dataset, partition, run["state"], ", ".join(at))

    # --- what can go wrong ---

    def _raise_failures(
        self, airflow: AirflowClient, runs: Any, tasks: list[dict[str, Any]]
    ) -> None:
        failed = {(run["dag_id"], run["dag_run_id"]) for run in runs if run["state"] == "failed"}
        culprits = [
            task
            for task in tasks
            if (task["dag_id"], task["dag_run_id"]) in failed and task["state"] == "failed"
        ]
        if not culprits:
            return
        task = culprits[0]
        place = (task["dag_id"], task["dag_run_id"], task["task_id"])
        _, partition = self._triggered.get(task["dag_run_id"], ("", ""))
        excerpt = tail(airflow.log(*place, task["try_number"]), 8)
        others = f" (and {len(culprits) - 1} more)" if len(culprits) > 1 else ""
        raise CityLedgerError(
            f"{task['dag_id']} {partition}: task {task['task_id']} failed{others}\n{excerpt}",
            where=f"{airflow.url}/dags/{place[0]}/runs/{place[1]}/tasks/{place[2]}",
            fix="put right what the log names, then run the same command again; finished stages "
            "are not done twice",
            code="task_failed",
        )

    def _raise_held(self, airflow: AirflowClient, run_ids: list[str]) -> None:
        held = ["/".join(self._triggered[run_id]) for run_id in run_ids]
        raise CityLedgerError(
            f"held for a steward: {', '.join(held)}",
            where=f"{airflow.url}/required_actions",
            fix="decide there, then run the same command again",
            code="held",
            exit_code=Exit.HELD,
        )

    # --- after ---

    def _summary(self, airflow: AirflowClient, seconds: float) -> DaySummary:
        since = self._began.isoformat()
        outcomes = [
            one for one in self._journal.outcomes(limit=10_000) if one.started_at >= self._began
        ]
        partitions = {run_id: partition for run_id, (_, partition) in self._triggered.items()}
        tasks = [task for task in airflow.tasks(since) if self._concerns(task)]
        times = task_times(tasks, partitions, outcomes)
        newest = self._journal.latest_standardisation()
        published = self._journal.find_publication(newest.snapshot_id) if newest else None
        stages = stage_times(outcomes)
        return DaySummary(
            seconds=round(seconds, 1),
            datasets=tuple(dataset_results(self._journal, self._deliveries)),
            indicators=published.values if published else (),
            stages=tuple(stages),
            tasks=tuple(times),
            overhead=overhead(times),
            builds=sum(one.attempts for one in stages if one.stage is Stage.STANDARDISE),
            snapshot_id=published.snapshot_id if published else None,
            content_sha256=published.content_sha256 if published else None,
            airflow_url=airflow.url,
        )


@dataclass
class _Progress:
    """Notices when nothing moves any more."""

    last: tuple[RunView, ...] = ()
    since: float = field(default_factory=time.monotonic)

    def check(self, view: DayView, url: str) -> None:
        if view.runs != self.last:
            self.last, self.since = view.runs, time.monotonic()
        elif time.monotonic() - self.since > _STALL_SECONDS:
            at = "; ".join(
                f"{run.label} {run.partition} {run.task}" for run in view.runs if run.task
            )
            raise CityLedgerError(
                f"nothing has moved for {_STALL_SECONDS / 60:.0f} minutes: {at or 'no task runs'}",
                where=url,
                fix="look at `cityledger status` and `cityledger logs scheduler`",
                code="stalled",
            )
