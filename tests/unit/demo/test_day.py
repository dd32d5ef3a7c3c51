"""How a day ends that does not end well."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import pytest
from cityledger.demo import day
from cityledger.demo.day import Day, DayView
from cityledger.errors import CityLedgerError, Exit, UnavailableError
from cityledger.settings import Settings

DAG = "dataset__hotline__tickets"
DELIVERIES = [("hotline.tickets", "2026-03-31")]


class FakeAirflow:
    """An Airflow whose one run ends as a test says."""

    url = "http://127.0.0.1:1"
    dags: ClassVar[set[str]] = {DAG, "standardise"}
    run_state: ClassVar[str] = "running"
    task_state: ClassVar[str] = "running"
    paused: ClassVar[list[tuple[str, bool]]] = []

    @classmethod
    def from_settings(cls, _settings: Settings) -> Self:
        return cls()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def dag_ids(self) -> set[str]:
        return self.dags

    def paused_dag_ids(self) -> set[str]:
        return {DAG, "standardise"}

    def import_errors(self) -> list[str]:
        return ["broken_contracts.py: tickets.odcs.yaml:3:1: unknown key"]

    def pause(self, dag_id: str, paused: bool) -> None:
        self.paused.append((dag_id, paused))

    def trigger(self, dag_id: str, partition: str) -> str:
        assert (dag_id, partition) == (DAG, "2026-03-31")
        return "r"

    def runs(self, _since: str) -> list[dict[str, Any]]:
        return [{"dag_id": DAG, "dag_run_id": "r", "state": self.run_state}]

    def tasks(self, _since: str) -> list[dict[str, Any]]:
        task = {"task_id": "parse_validate", "state": self.task_state, "try_number": 2}
        return [{"dag_id": DAG, "dag_run_id": "r", **task}]

    def log(self, *_: object) -> list[str]:
        return ["Task failed: the workbook is encrypted"]


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> type[FakeAirflow]:
    class Airflow(FakeAirflow):
        paused: ClassVar[list[tuple[str, bool]]] = []

    monkeypatch.setattr(day, "AirflowClient", Airflow)
    monkeypatch.setattr(day, "Journal", lambda _: None)
    monkeypatch.setattr(day.Database, "from_settings", lambda _: None)
    monkeypatch.setattr(day, "_POLL_SECONDS", 0.001)
    monkeypatch.setattr(day, "_PARSE_SECONDS", 0.01)
    return Airflow


def test_a_failed_task_is_named_with_its_log_and_the_way_on(airflow: type[FakeAirflow]) -> None:
    """A bare "failed" sends a new user away; cause and next step keep people going."""
    airflow.run_state = airflow.task_state = "failed"
    with pytest.raises(CityLedgerError) as caught:
        Day(Settings(), DELIVERIES).run()
    assert f"{DAG} 2026-03-31: task parse_validate failed" in caught.value.what
    assert "the workbook is encrypted" in caught.value.what
    assert caught.value.where == f"http://127.0.0.1:1/dags/{DAG}/runs/r/tasks/parse_validate"
    assert "again" in caught.value.fix
    assert caught.value.exit_code == Exit.FAILED


def test_a_held_batch_ends_the_day_with_its_own_exit_code(airflow: type[FakeAirflow]) -> None:
    """Waiting for a person who does not know would look like a hanging program."""
    airflow.task_state = "awaiting_input"
    with pytest.raises(CityLedgerError, match=r"steward: hotline\.tickets/2026-03-31") as caught:
        Day(Settings(), DELIVERIES).run()
    assert caught.value.exit_code == Exit.HELD


def test_missing_dags_are_named_with_airflows_reasons(airflow: type[FakeAirflow]) -> None:
    """Usually a contract is broken, and Airflow knows which."""
    airflow.dags = {"standardise"}
    with pytest.raises(UnavailableError) as caught:
        Day(Settings(), DELIVERIES).run()
    assert DAG in str(caught.value)
    assert "unknown key" in str(caught.value)


def test_a_day_that_stands_still_ends(
    airflow: type[FakeAirflow], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead scheduler must not keep the command line waiting for ever."""
    monkeypatch.setattr(day, "_STALL_SECONDS", 0.05)
    with pytest.raises(CityLedgerError, match="nothing has moved") as caught:
        Day(Settings(), DELIVERIES).run()
    assert "parse_validate running" in caught.value.what


def test_the_schedules_are_paused_again_whatever_happens(airflow: type[FakeAirflow]) -> None:
    """Left on, they would report missing files of the fictional city every morning."""
    airflow.run_state = airflow.task_state = "failed"
    with pytest.raises(CityLedgerError):
        Day(Settings(), DELIVERIES).run()
    assert airflow.paused == [("standardise", False), (DAG, False), (DAG, True)]


def test_the_watcher_sees_what_each_run_is_at(airflow: type[FakeAirflow]) -> None:
    """Minutes without a word look like a hang."""
    airflow.task_state = "awaiting_input"
    seen: list[DayView] = []
    with pytest.raises(CityLedgerError):
        Day(Settings(), DELIVERIES, seen.append).run()
    (run,) = seen[-1].runs
    assert (run.label, run.partition, run.task) == (
        "hotline.tickets",
        "2026-03-31",
        "parse_validate awaiting_input",
    )
    assert seen[-1].ended == 0
