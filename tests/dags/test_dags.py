"""The DAGs that follow from the contracts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, RetryAction
from airflow.serialization.serialized_objects import DagSerialization
from cityledger.airflow import specs
from cityledger.airflow.collect import CollectReleases
from cityledger.airflow.dataset_dag import RETRY_POLICY, dataset_dags
from cityledger.airflow.operators import ParseValidateOperator, ReleaseOperator
from cityledger.airflow.timetable import DeliveryTimetable
from cityledger.contracts.registry import load_contracts
from cityledger.errors import BadInputError, CityLedgerError, UnavailableError
from cityledger.settings import PROJECT_DIR

from tests.dags.conftest import Parse

pytestmark = pytest.mark.usefixtures("no_parsing_context")

TASKS = ["extract_land", "parse_validate", "release"]
#: DAGs that serve the whole city, not one contract.
CITY_DAGS = {"inventory", "ledger", "ledger_verify", "rectification", "standardise"}
HEAVY = ("polars", "pandera", "dbt", "duckdb", "pandas", "pyarrow", "numpy", "minio", "openpyxl")


def expected_ids(contracts: Path) -> dict[str, str]:
    """DAG id → dataset id, from the names of the contract files alone."""
    files = contracts.glob("*/*.odcs.yaml")
    names = [(file.parent.name, file.name.removesuffix(".odcs.yaml")) for file in files]
    return {f"dataset__{department}__{name}": f"{department}.{name}" for department, name in names}


def test_every_contract_has_its_dag_and_nothing_else_has(contracts: Path, parse: Parse) -> None:
    """A dataset without a DAG is never fetched, and nobody would notice."""
    bag = parse()
    wanted = expected_ids(contracts)
    assert len(wanted) >= 9
    assert bag.import_errors == {}
    assert set(bag.dags) == {*wanted, *CITY_DAGS}


def test_tasks_of_a_dataset_follow_its_contract(contracts: Path, parse: Parse) -> None:
    """A validate task for another dataset would judge rows by the wrong suite."""
    dags, known = parse().dags, load_contracts(contracts)
    for dag_id, dataset in expected_ids(contracts).items():
        dag, contract = dags[dag_id], known[dataset]
        assert [task.task_id for task in dag.topological_sort()] == TASKS
        assert {task.dataset for task in dag.tasks} == {dataset}
        validate, release = dag.get_task("parse_validate"), dag.get_task("release")
        assert isinstance(validate, ParseValidateOperator)
        assert isinstance(release, ReleaseOperator)
        assert [asset.name for asset in release.outlets] == [dataset]
        assert dag.get_task("extract_land").pool == contract.source.pool
        assert contract.id.department in dag.tags
        assert contract.title in dag.doc_md
        assert dag.get_task("extract_land").owner == contract.owner
        assert not dag.catchup


def test_the_validate_task_runs_the_suite_of_its_dataset(
    contracts: Path, parse: Parse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task must judge the partition of its run and the delivery that the run landed."""
    asked: list[tuple[str, ...]] = []

    class Recorder:
        def parse_validate(self, *place: str, **_: object) -> Any:
            asked.append(place)
            raise BadInputError("stop here", code="stop")

    monkeypatch.setattr("cityledger.airflow.operators._runner", lambda _context: Recorder())
    dags = parse().dags
    for dag_id, dataset in expected_ids(contracts).items():
        task = dags[dag_id].get_task("parse_validate")
        assert "xcom_pull('extract_land')['delivery']" in task.delivery
        task.delivery = "0123456789abcdef"  # what Airflow renders
        with pytest.raises(BadInputError):
            task.execute({"partition_key": "2026-03-31", "run_id": "r"})
        assert asked.pop() == (dataset, "2026-03-31", "0123456789abcdef")


def test_files_too_large_for_one_machine_have_tasks_for_their_parts(
    contracts: Path, parse: Parse
) -> None:
    """Parts that nothing waits for, or that stop a small delivery, would be worse than none."""
    path = contracts / "transport" / "metro_trips.odcs.yaml"
    text = path.read_text(encoding="utf-8")
    wanted = "      - {property: maxBytes, value: 8589934592}\n"
    assert wanted in text
    path.write_text(
        text.replace(wanted, wanted + "      - {property: partBytes, value: 2147483648}\n"),
        encoding="utf-8",
    )
    bag = parse()
    assert bag.import_errors == {}
    dag = bag.dags["dataset__transport__metro_trips"]
    order = [task.task_id for task in dag.topological_sort()]
    assert order == ["extract_land", "split", "parse_part", "parse_validate", "release"]
    part, judge = dag.get_task("parse_part"), dag.get_task("parse_validate")
    assert part.is_mapped
    assert part.retries >= 1
    assert part.execution_timeout is not None
    assert dag.get_task("split").upstream_task_ids == {"extract_land"}
    assert part.upstream_task_ids == {"split"}
    assert judge.in_parts
    assert judge.upstream_task_ids == {"extract_land", "parse_part"}
    # A delivery without parts skips `parse_part`, and must be judged all the same.
    assert judge.trigger_rule == "none_failed"
    assert _stored(dag).get_task("parse_part").is_mapped
    other = bag.dags["dataset__environment__air_quality"].get_task("parse_validate")
    assert not other.in_parts
    assert other.trigger_rule == "all_success"


def test_every_task_has_a_time_limit_and_is_tried_again(parse: Parse) -> None:
    """A worker that dies must not end the day, and a hanging service must not block it."""
    tasks = [task for dag in parse().dags.values() for task in dag.tasks]
    assert len(tasks) > 20
    for task in tasks:
        assert task.retries >= 1
        assert task.execution_timeout is not None
        assert timedelta(0) < task.execution_timeout <= timedelta(hours=12)
        assert task.retry_exponential_backoff
        assert task.retry_policy is RETRY_POLICY


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (BadInputError("empty file", code="empty"), RetryAction.FAIL),
        (CityLedgerError("dbt failed"), RetryAction.FAIL),
        (UnavailableError("no S3", code="s3"), RetryAction.RETRY),
        (OSError("disk"), RetryAction.DEFAULT),
    ],
    ids=["bad input", "a person must act", "service away", "unexpected"],
)
def test_only_what_may_heal_is_tried_again(error: Exception, action: RetryAction) -> None:
    """Retrying an empty file wastes an hour before the department hears of it."""
    assert RETRY_POLICY.evaluate(error, try_number=1, max_tries=3).action is action


def test_the_city_is_standardised_by_one_run_at_a_time(contracts: Path, parse: Parse) -> None:
    """Two dbt builds at once would write the same tables."""
    dag = parse().dags["standardise"]
    assert dag.max_active_runs == 1
    assert [task.task_id for task in dag.topological_sort()] == ["standardise", "publish"]
    listened = {asset.name for asset in dag.timetable.asset_condition.objects}
    assert listened == set(expected_ids(contracts).values())


def test_a_task_process_builds_its_own_dag_only(
    contracts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 1,000 contracts each task would otherwise read 1,000 files before it starts."""
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "dataset__transport__metro_trips")
    monkeypatch.setattr(specs, "read_specs", None)
    for broken in contracts.glob("*/*.odcs.yaml"):
        if broken.name != "metro_trips.odcs.yaml":
            broken.write_text("not: a contract\n", encoding="utf-8")
    assert [dag.dag_id for dag in dataset_dags()] == ["dataset__transport__metro_trips"]


@pytest.mark.parametrize("dag_id", ["standardise", "dataset__nobody__nothing"])
def test_a_task_of_another_dag_builds_no_dataset_dag(
    dag_id: str, contracts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """See above, for tasks of other DAGs."""
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", dag_id)
    assert list(dataset_dags()) == []


def test_a_broken_contract_breaks_only_its_dag(contracts: Path, parse: Parse) -> None:
    """One department's typing error must not stop the city, and must be seen."""
    broken = contracts / "hotline" / "tickets.odcs.yaml"
    broken.write_text(broken.read_text("utf-8") + "\nqualtiy: []\n", encoding="utf-8")
    bag = parse()
    others = CITY_DAGS
    assert set(bag.dags) == {*expected_ids(contracts), *others} - {"dataset__hotline__tickets"}
    assert list(bag.import_errors) == [str(PROJECT_DIR / "dags" / "broken_contracts.py")]
    (message,) = bag.import_errors.values()
    assert "tickets.odcs.yaml" in message
    assert "qualtiy" in message


def test_a_mended_contract_has_its_dag_again(contracts: Path, parse: Parse) -> None:
    """What was read last time is kept in a file; it must not outlive the contract it came from."""
    broken = contracts / "hotline" / "tickets.odcs.yaml"
    good = broken.read_text("utf-8")
    broken.write_text(good + "\nqualtiy: []\n", encoding="utf-8")
    assert "dataset__hotline__tickets" not in parse().dags
    broken.write_text(good, encoding="utf-8")
    bag = parse()
    assert "dataset__hotline__tickets" in bag.dags
    assert bag.import_errors == {}


def test_a_spoiled_cache_is_read_again(contracts: Path, parse: Parse, tmp_path: Path) -> None:
    """A half-written cache (power cut) must not leave the city without DAGs."""
    assert parse().dags
    (cache,) = (tmp_path / "home" / "cache").iterdir()
    for rubbish in ("", "{", '{"state": 1}', "[]"):
        cache.write_text(rubbish, encoding="utf-8")
        assert len(parse().dags) > 1


def test_parsing_imports_nothing_heavy() -> None:
    """Every part of Airflow parses the DAG files every few seconds, in new processes."""
    code = f"""
import sys, runpy
for name in ("datasets", "standardise", "rectification", "broken_contracts"):
    runpy.run_path({str(PROJECT_DIR / "dags")!r} + f"/{{name}}.py")
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == ""


def test_two_hundred_contracts_stay_cheap(contracts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A city grows: parsing must not take the DAG processor's whole time.

    Bounds are CPU seconds, three times what an idle 2-core machine needs.
    """
    sample = contracts / "transport" / "metro_trips.odcs.yaml"
    text = sample.read_text("utf-8")
    for number in range(200):
        name = f"metro_trips_n{number}"
        (sample.parent / f"{name}.odcs.yaml").write_text(
            text.replace("transport.metro_trips", f"transport.{name}").replace(
                "- name: metro_trips", f"- name: {name}"
            ),
            encoding="utf-8",
        )
    first, count = _cpu_seconds_and_dags()
    again, _ = _cpu_seconds_and_dags()
    assert count == len(expected_ids(contracts)) > 200
    assert first < 15
    assert again < min(6, first)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "dataset__transport__metro_trips_n199")
    task, count = _cpu_seconds_and_dags()
    assert count == 1
    assert task < 0.5


def _cpu_seconds_and_dags() -> tuple[float, int]:
    begun = time.process_time()
    count = len(list(dataset_dags()))
    return time.process_time() - begun, count


def test_airflow_can_store_and_load_every_dag(contracts: Path, parse: Parse) -> None:
    """The scheduler works on a stored copy: our schedules and the mapper must survive it."""
    dags, known = parse().dags, load_contracts(contracts)
    stored = {dag_id: _stored(dag) for dag_id, dag in dags.items()}
    for dag_id, dataset in expected_ids(contracts).items():
        level = known[dataset].service_level
        timetable = stored[dag_id].timetable
        assert isinstance(timetable, DeliveryTimetable)
        assert timetable.serialize() == {
            "cron": level.schedule,
            "grain": level.grain,
            "timezone": "Asia/Shanghai",
        }
    mapper = stored["standardise"].timetable.get_partition_mapper(name="hotline.tickets")
    assert isinstance(mapper, CollectReleases)
    assert (mapper.wait_policy.consumer, mapper.wait_policy.producers) == (
        "standardise",
        "dataset__",
    )
    assert {mapper.to_downstream(key) for key in ("2026", "2026-03", "2026-03-31")} == {"released"}


def _stored(dag: DAG) -> Any:
    return DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))


def test_a_run_without_a_partition_key_says_what_to_do(parse: Parse) -> None:
    """Without a period nobody knows which files to fetch; guessing today would be worse."""
    task = parse().dags["dataset__hotline__tickets"].get_task("extract_land")
    context = {"run_id": "manual__x", "partition_key": None, "ti": SimpleNamespace()}
    with pytest.raises(BadInputError, match="no partition key") as caught:
        _execute_without_services(task, context)
    assert caught.value.code == "no_partition_key"


def _execute_without_services(task: Any, context: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "cityledger.airflow.operators._runner",
            lambda _: SimpleNamespace(extract_land=lambda *_place: None),
        )
        task.execute(context)
