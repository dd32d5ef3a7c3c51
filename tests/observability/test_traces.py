"""Traces reach a real receiver, whole and in one piece, and nobody else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cityledger.errors import BadInputError
from cityledger.observability import traces
from cityledger.settings import Settings
from cityledger_stack.ports import pick
from pydantic import SecretStr

from tests.observability.conftest import Command
from tests.observability.receiver import Receiver

METRO = ("transport.metro_trips", "-p", "2026-03-31")
ROOT = "0190aaaa-0000-7000-8000-000000000001"
PARENTS = {
    "OPENLINEAGE_PARENT_ID": f"airflow/dag.task/{ROOT[:-1]}2",
    "OPENLINEAGE_ROOT_PARENT_ID": f"airflow/dag/{ROOT}",
}


def test_a_run_is_one_trace_from_the_command_to_the_stages(
    command: Command, receiver: Receiver
) -> None:
    """Stages that are each a trace of their own say nothing about where a run's time went."""
    done = command("run", *METRO, "--to-stage", "release", CITYLEDGER_OTLP_URL=receiver.url)
    assert done.returncode == 0, done.stderr
    run = receiver.named("run")
    stages = {name: receiver.named(name) for name in ("extract", "land", "parse", "release")}
    assert {span.trace for span in receiver.spans} == {run.trace}
    assert {span.parent for span in stages.values()} == {run.span}
    assert receiver.named("validate").parent == stages["parse"].span  # one pass over the data
    facts = receiver.named("validate").facts
    assert facts["cityledger.dataset"] == METRO[0]
    assert facts["cityledger.status"] == "success"
    assert facts["cityledger.parsed"] == (
        facts["cityledger.validated"] + facts["cityledger.quarantined"]
    )
    assert receiver.paths == ["/v1/traces"] * len(receiver.paths)


def test_processes_of_one_root_run_join_one_trace(command: Command, receiver: Receiver) -> None:
    """Each Airflow task is a process: without a derived id, each would begin a trace."""
    environment = {"CITYLEDGER_OTLP_URL": receiver.url, **PARENTS}
    script = (
        "from cityledger.runner import Runner; r = Runner.from_settings();"
        " r.{}('transport.metro_trips', '2026-03-31')"
    )
    for task in ("extract_land", "parse_validate"):
        subprocess.run(
            [sys.executable, "-c", script.format(task)],
            env={**os.environ, **environment},
            check=True,
        )
    assert {span.name for span in receiver.spans} == {"extract", "land", "parse", "validate"}
    wanted = f"{traces.derived_trace(ROOT):032x}"
    assert {span.trace for span in receiver.spans} == {wanted}


def test_the_context_of_a_parent_process_is_continued(command: Command, receiver: Receiver) -> None:
    """A scheduler or script that traces by itself would lose us at the process border."""
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    done = command(
        *("run", *METRO, "--to-stage", "land"),
        CITYLEDGER_OTLP_URL=receiver.url,
        TRACEPARENT=f"00-{trace}-{span}-01",
    )
    assert done.returncode == 0, done.stderr
    run = receiver.named("run")
    assert (run.trace, run.parent) == (trace, span)
    assert {one.trace for one in receiver.spans} == {trace}


_BUILD = """
import json, pathlib, sys
from cityledger.observability import stages, traces
from cityledger.settings import get_settings
traces.configure(get_settings())
target = pathlib.Path(sys.argv[1])
link = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
with traces.span("standardise", links=[link]), stages.told_nodes(target):
    at = "2026-04-01T00:00:0{}.5Z".format
    nodes = [("model.city.dim_area", "success", 1, 3), ("test.city.unique.1a", "fail", 3, 4)]
    results = [
        {"unique_id": name, "status": status, "execution_time": 1.0,
         "timing": [{"name": "execute", "started_at": at(a), "completed_at": at(b)}]}
        for name, status, a, b in nodes
    ]
    results.append({"unique_id": "model.city.x", "status": "skipped", "timing": []})
    (target / "run_results.json").write_text(json.dumps({"results": results}))
"""


def test_nodes_of_dbt_are_spans_of_the_build(receiver: Receiver, tmp_path: Path) -> None:
    """One build is one task: without its nodes nobody sees which model is slow."""
    environment = {**os.environ, "CITYLEDGER_OTLP_URL": receiver.url}
    subprocess.run([sys.executable, "-c", _BUILD, str(tmp_path)], env=environment, check=True)
    build, model, test = (receiver.named(name) for name in ("standardise", "dbt model", "dbt test"))
    assert build.links == ("4bf92f3577b34da6a3ce929d0e0e4736",)
    assert {model.parent, test.parent} == {build.span}
    assert (model.seconds, model.facts["cityledger.node"]) == (2.0, "dim_area")
    assert (model.failed, test.failed) == (False, True)
    assert len(receiver.spans) == 3


@pytest.mark.observed
def test_a_build_continues_its_releases_down_to_the_models(
    command: Command, receiver: Receiver
) -> None:
    """A partition's way ends in tables: a trace that stops at the gate explains half of it."""
    released = command("run", *METRO, "--to-stage", "release", CITYLEDGER_OTLP_URL=receiver.url)
    assert released.returncode == 0, released.stderr
    delivery_trace = receiver.named("release").trace
    receiver.spans.clear()
    built = command(
        *("run", *METRO, "--from-stage", "standardise", "--to-stage", "standardise"),
        CITYLEDGER_OTLP_URL=receiver.url,
    )
    assert built.returncode == 0, built.stderr
    build = receiver.named("standardise")
    assert build.links == (delivery_trace,)
    assert build.trace != delivery_trace
    models = [span for span in receiver.spans if span.name == "dbt model"]
    assert {span.parent for span in models} == {build.span}
    names = {span.facts["cityledger.node"] for span in models}
    assert {"stg_transport__metro_trips", "fct_metro_trip", "fct_indicator_value"} <= names
    assert all(0 <= span.seconds <= build.seconds for span in models)


def test_a_failed_stage_tells_its_code_and_no_value(
    command: Command, receiver: Receiver, delivered: Settings
) -> None:
    """Exception texts quote rows; a trace store is no place for them."""
    for file in (delivered.drop_dir / "transport").glob("metro_trips_*"):
        file.unlink()
    failed = command("run", *METRO, CITYLEDGER_OTLP_URL=receiver.url)
    assert failed.returncode == 4
    span = receiver.named("extract")
    assert span.failed
    assert re.fullmatch(r"[a-z_]+", span.facts["error.type"])
    assert b"exception.message" not in b"".join(receiver.bodies)
    assert str(delivered.drop_dir).encode() not in b"".join(receiver.bodies)


def test_nothing_is_sent_unless_the_setting_says_so(command: Command, receiver: Receiver) -> None:
    """Nothing phones home: not even where OpenTelemetry's own variables point somewhere."""
    done = command(
        *("run", *METRO, "--to-stage", "land"),
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
        OTEL_TRACES_EXPORTER="otlp",
    )
    assert done.returncode == 0, done.stderr
    assert receiver.paths == []
    assert traces.airflow_environment(Settings()) == {}


def test_a_receiver_that_is_down_costs_seconds_not_the_run(command: Command) -> None:
    """Watching the work must never be able to stop it."""
    begun = time.monotonic()
    done = command(
        *("run", *METRO, "--to-stage", "release"),
        CITYLEDGER_OTLP_URL=f"http://127.0.0.1:{pick()}",
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize("address", ["collector:4318", "grpc://collector:4317", "http://"])
def test_an_address_that_cannot_work_is_refused(address: str) -> None:
    """A misspelt address would otherwise lose every trace in silence."""
    with pytest.raises(BadInputError, match="CITYLEDGER_OTLP_URL"):
        traces.configure(Settings(otlp_url=SecretStr(address)))
    assert not traces.is_on()


def test_steps_cost_next_to_nothing_while_tracing_is_off() -> None:
    """Spans stand in the way of every stage and of inner loops to come."""
    turns, facts = 20_000, {"dataset": "transport.metro_trips"}
    begun = time.perf_counter_ns()
    for _ in range(turns):
        with traces.span("parse", facts):
            pass
    spent = (time.perf_counter_ns() - begun) / turns
    assert not traces.is_on()
    assert spent < 5_000, f"{spent:.0f} ns a span"


_IN_A_TASK = """
import airflow.settings
from opentelemetry import trace
airflow.settings.initialize()
from cityledger.runner import Runner
with trace.get_tracer("airflow.sdk").start_as_current_span("worker.extract_land"):
    Runner.from_settings().extract_land("transport.metro_trips", "2026-03-31")
trace.get_tracer_provider().force_flush()
"""


def test_stages_are_part_of_airflows_own_trace(
    delivered: Settings, receiver: Receiver, tmp_path: Path
) -> None:
    """Two traces of one task, one of them Airflow's, would have to be put together by hand."""
    own = Settings(otlp_url=SecretStr(receiver.url))
    environment = traces.airflow_environment(own)
    done = subprocess.run(
        [sys.executable, "-c", _IN_A_TASK],
        env={
            **os.environ,
            **environment,
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    worker = receiver.named("worker.extract_land")
    assert {receiver.named(name).parent for name in ("extract", "land")} == {worker.span}
    assert {receiver.named(name).trace for name in ("extract", "land")} == {worker.trace}
