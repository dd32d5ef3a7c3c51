"""A partition's whole way through a real Airflow, as a receiver, Prometheus and the doctor see it.

A stack of its own, because traces are turned on when Airflow starts: run by
``make test-observability``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import cityledger_stack
import httpx
import pytest
from cityledger.demo.airflow_client import AirflowClient
from cityledger.demo.day import Day
from cityledger.demo.generate.generator import generate
from cityledger.settings import Settings, get_settings
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import stack_environment
from tests.observability.receiver import Receiver, receiving

pytestmark = [pytest.mark.observed, pytest.mark.timeout(900)]

METRO, PARTITION = "transport.metro_trips", "2026-03-31"
TOKEN = "generated-for-this-test"
TASKS = ("extract_land", "parse_validate", "release")


@dataclass(frozen=True)
class Observed:
    """What was seen of one partition's day."""

    settings: Settings
    receiver: Receiver
    began: str


@pytest.fixture(scope="module")
def day(server_dir: Path) -> Iterator[Observed]:
    """One partition through its DAG and through ``standardise``, with everything turned on."""
    home, began = server_dir / "observed", datetime.now(UTC).isoformat()
    with (
        receiving() as receiver,
        stack_environment(
            home,
            CITYLEDGER_OTLP_URL=receiver.url,
            CITYLEDGER_METRICS_TOKEN=TOKEN,
            OTEL_METRIC_EXPORT_INTERVAL="5000",
        ),
    ):
        try:
            cityledger_stack.up()
            settings = get_settings()
            generate(settings.drop_dir, scale=0.01, seed=1)
            Day(settings, [(METRO, PARTITION)]).run()
            yield Observed(settings, receiver, began)
        finally:
            cityledger_stack.down()


def test_all_tasks_of_the_partitions_run_are_one_trace(day: Observed) -> None:
    """Each task is a process; without one trace nobody sees where the morning went."""
    spans = [span for span in day.receiver.spans if span.facts.get("cityledger.dataset") == METRO]
    stages = {span.name: span for span in spans}
    assert {"extract", "land", "parse", "validate", "release"} <= set(stages)
    (trace,) = {span.trace for span in spans}
    workers = {span.name: span for span in day.receiver.spans if span.trace == trace}
    assert {f"worker.{task}" for task in TASKS} <= set(workers)
    assert f"dag_run.dataset__{METRO.replace('.', '__')}" in workers
    by_id = {span.span: span for span in day.receiver.spans}

    def ancestors(span: str) -> Iterator[str]:
        while (parent := by_id.get(by_id[span].parent)) is not None:
            yield parent.name
            span = parent.span

    assert "worker.parse_validate" in ancestors(stages["validate"].span)
    assert "worker.release" in ancestors(stages["release"].span)


def test_the_build_is_linked_to_the_partitions_trace(day: Observed) -> None:
    """The way does not end at the gate."""
    released = next(
        span
        for span in day.receiver.spans
        if span.name == "release" and span.facts["cityledger.status"] == "success"
    )
    build = next(
        span
        for span in day.receiver.spans
        if span.name == "standardise" and span.facts.get("cityledger.status") == "success"
    )
    assert released.trace in build.links
    assert build.trace != released.trace
    models = [span for span in day.receiver.spans if span.name == "dbt model"]
    assert {span.parent for span in models} == {build.span}
    assert len(models) > 10


def test_airflows_own_metrics_arrive(day: Observed) -> None:
    """Queues and pools are Airflow's to count."""
    assert "/v1/metrics" in day.receiver.paths
    bodies = b"".join(day.receiver.bodies)
    assert b"airflow.scheduler_heartbeat" in bodies or b"airflow.executor" in bodies


def test_metrics_are_served_by_the_api_server_to_whoever_has_the_token(day: Observed) -> None:
    """Airflow's own pages answer every address with something, a login or a page."""
    assert day.settings.airflow_url is not None
    address = f"http://{day.settings.airflow_url.get_secret_value().rpartition('@')[2]}"
    refused = httpx.get(f"{address}/cityledger/metrics", timeout=30)
    assert refused.status_code == 401
    allowed = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx.get(f"{address}/cityledger/metrics", headers=allowed, timeout=60)
    assert answer.status_code == 200
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["cityledger_rows_total", ("dataset", METRO), ("outcome", "validated")] > 0
    assert ("cityledger_airflow_tasks", ("state", "queued")) in samples
    assert not [
        key for key, value in samples.items() if "failed" in key[0] and value and len(key) == 2
    ]


def test_task_logs_name_partition_and_trace(day: Observed) -> None:
    """Whoever reads a task's log finds its trace, and the other way round."""
    logs = "".join(
        path.read_text("utf-8")
        for path in (day.settings.home / "airflow/logs").rglob("attempt=*.log")
        if METRO.replace(".", "__") in str(path)
    )
    told = [json.loads(line) for line in logs.splitlines() if '"cityledger.stage"' in line]
    (validated,) = [one for one in told if one.get("stage") == "validate"]
    span = next(span for span in day.receiver.spans if span.name == "validate")
    assert validated["dataset"] == METRO
    assert validated["partition"] == PARTITION
    assert validated["trace_id"] == span.trace


def test_the_doctor_finds_nothing_wrong(day: Observed) -> None:
    """Prevents false alarms about a stack that works."""
    findings = cityledger_stack.doctor()
    assert [one for one in findings if one.level == "problem"] == []
    seen = {one.check: one.level for one in findings}
    assert seen["airflow DAGs"] == seen["airflow scheduler"] == seen["traces"] == "ok"
    with AirflowClient.from_settings(day.settings) as airflow:
        assert airflow.import_errors() == []
