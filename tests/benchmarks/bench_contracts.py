"""What a thousand contracts cost Airflow: parsing, a task's start, the scheduler's loop.

* ``dags/`` is parsed as the DAG processor does it, each file in a process that has Airflow in
  memory: for the first time, again, and after one contract has changed;
* a task's start: its DAG file's own time with all contracts, in a process that has the modules in
  memory, as the scheduler's children do;
* a real stack with all DAGs switched on and none due, watched for a minute: the scheduler's loop
  and heartbeat, processor time and memory; how soon a triggered task starts, how soon a new
  contract is a DAG;
* the same stack when all deliveries are due at once, as they are in the morning.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
from cityledger.settings import PROJECT_DIR, get_settings

from tests.benchmarks.results import circumstances, keep

CONTRACTS = 1_000
DEPARTMENTS = 40
PARSE_LIMIT, TASK_LIMIT_MS = 10.0, 100.0
#: Airflow calls a scheduler unhealthy whose heartbeat is older than 30 s.
LOOP_LIMIT_MS, HEARTBEAT_LIMIT = 1_000.0, 15.0
#: The scheduler's heartbeats are 5 s apart; a longer loop delays them.
BUSY_LOOP_LIMIT_MS = 5_000.0
_TIMEZONE = ZoneInfo("Asia/Shanghai")
_DAGS = PROJECT_DIR / "dags"
#: All DAGs are switched on, and the scheduler says how long each of its loops took.
_AIRFLOW = {
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "AIRFLOW__LOGGING__NAMESPACE_LEVELS": (
        "airflow.jobs.scheduler_job_runner.SchedulerJobRunner=DEBUG"
    ),
}
_LOOP = re.compile(r"Ran scheduling loop in ([\d.]+) ms")
_PATIENCE = 600.0
_QUIET_LOAD = 0.1


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table and write ``contracts.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contracts", type=int, default=CONTRACTS)
    parser.add_argument("--seconds", type=float, default=60.0, help="to watch the stack for")
    parser.add_argument("--no-stack", action="store_true", help="leave the stack out")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(_parse(Path(options.child))))
        return {}
    with (
        tempfile.TemporaryDirectory(prefix="cityledger-bench-") as name,
        elsewhere(Path(name), CITYLEDGER_CONTRACTS_DIR=str(Path(name) / "contracts"), **_AIRFLOW),
    ):
        result = {
            **circumstances(),
            "contracts": options.contracts,
            **_files(Path(name), options.contracts),
        }
        if not options.no_stack:
            result["stack"] = _stack(Path(name), options.seconds)
    keep("contracts", result)
    print(table(result))
    return result


def table(result: dict[str, Any]) -> str:
    """The result as text."""
    lines = [f"{result['contracts']:,} contracts"]
    for name, one in result["parse"].items():
        lines.append(f"dags/ parsed, {name:<22}{one['seconds']:>8.2f} s, limit {PARSE_LIMIT:.0f} s")
    lines.append(
        f"a task's start pays {result['task_ms']:>23.1f} ms, limit {TASK_LIMIT_MS:.0f} ms"
        f" (one contract: {result['task_ms_of_one']:.1f} ms)"
    )
    stack = result.get("stack")
    if stack:
        lines += [
            f"all DAGs stored in         {stack['stored']:>15.1f} s",
            f"a triggered task starts in {stack['task_starts']:>15.1f} s",
            f"a new contract is a DAG in {stack['new_dag']:>15.1f} s",
            "none is due:",
            *_watched_lines(stack["idle"], LOOP_LIMIT_MS),
            f"all are due, {stack['busy']['runs']:,} runs begun or waiting:",
            *_watched_lines(stack["busy"], BUSY_LOOP_LIMIT_MS),
        ]
    return "\n".join(lines)


def _watched_lines(watched: dict[str, Any], limit: float) -> Iterator[str]:
    loop = watched["loop_ms"]
    yield f"  scheduler's loop, median {loop['median']:>16.0f} ms"
    yield f"  scheduler's loop, p95    {loop['p95']:>16.0f} ms, limit {limit:,.0f} ms"
    yield f"  oldest heartbeat         {watched['heartbeat']:>16.1f} s, limit {HEARTBEAT_LIMIT} s"
    for part, one in watched["parts"].items():
        yield f"  {part:<14} {one['cpu_percent']:>5.1f} % of a core, {one['mb']:>6.0f} MB"


@contextmanager
def elsewhere(folder: Path, **more: str) -> Iterator[None]:
    """An installation below a folder, announced by environment variables."""
    before = dict(os.environ)
    for name in [name for name in before if name.startswith(("CITYLEDGER_", "AIRFLOW_"))]:
        del os.environ[name]
    os.environ |= {
        "CITYLEDGER_HOME": str(folder / "home"),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        **more,
    }
    folder.chmod(0o711)  # the database's user must reach its folder
    get_settings.cache_clear()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        get_settings.cache_clear()


# --- the contracts -------------------------------------------------------------------------------


def write_contracts(folder: Path, count: int) -> list[str]:
    """Contracts of a generated city, all like the demo's hotline tickets; their datasets."""
    source = PROJECT_DIR / "contracts"
    shutil.copytree(source / "codes", folder / "codes")
    departments = [f"department_{number}" for number in range(DEPARTMENTS)]
    lines = ["name: 测试市", 'code: "990100"', "areas: []", "departments:"]
    lines += [f"  - {{id: {one}, name: {one} (generated)}}" for one in departments]
    (folder / "city.yaml").write_text("\n".join(lines), encoding="utf-8")
    # Airflow runs a new DAG at once whose last run was due within a tenth of a day.
    return [_write_contract(folder, number, _hour(12)) for number in range(count)]


def _hour(later: int) -> int:
    """The hour of the city's day in so many hours."""
    return (datetime.now(_TIMEZONE).hour + later) % 24


def _write_contract(folder: Path, number: int, hour: int) -> str:
    department, name = f"department_{number % DEPARTMENTS}", f"dataset_{number}"
    template = PROJECT_DIR / "contracts" / "hotline" / "tickets.odcs.yaml"
    text = template.read_text(encoding="utf-8")
    text, found = re.subn(r'"0 \d+ \* \* \*"', f'"0 {hour} * * *"', text)
    if found != 1:
        raise AssertionError(f"{found} schedules in {template}")
    text = text.replace("hotline.tickets", f"{department}.{name}")
    text = text.replace("domain: hotline", f"domain: {department}")
    text = text.replace("- name: tickets", f"- name: {name}")
    path = folder / department / f"{name}.odcs.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return f"{department}.{name}"


# --- parsing -------------------------------------------------------------------------------------


def _files(folder: Path, count: int) -> dict[str, Any]:
    contracts = folder / "contracts"
    datasets = write_contracts(contracts, count)
    parse = {"first time": _parsed(count), "again": _parsed(count)}
    _touch(contracts, datasets[-1])
    parse["one contract changed"] = _parsed(count)
    last = datasets[-1].replace(".", "__")
    many = _task_ms(f"dataset__{last}")
    one = folder / "one"
    dataset = write_contracts(one, 1)[0].replace(".", "__")
    before = os.environ["CITYLEDGER_CONTRACTS_DIR"]
    os.environ["CITYLEDGER_CONTRACTS_DIR"] = str(one)
    few = _task_ms(f"dataset__{dataset}")
    os.environ["CITYLEDGER_CONTRACTS_DIR"] = before
    return {"parse": parse, "task_ms": many, "task_ms_of_one": few}


def _touch(contracts: Path, dataset: str) -> None:
    path = contracts / f"{dataset.replace('.', '/')}.odcs.yaml"
    path.write_text(path.read_text("utf-8").replace("version: 1.0.0", "version: 1.0.1"), "utf-8")


def _parsed(count: int) -> dict[str, Any]:
    files = {path.name: _child(path) for path in sorted(_DAGS.glob("*.py"))}
    found = sum(one["dags"] for one in files.values())
    errors = [error for one in files.values() for error in one["errors"]]
    if errors or found < count:
        raise AssertionError((found, errors))
    return {
        "seconds": sum(one["first"] for one in files.values()),
        "cpu_seconds": sum(one["cpu"] for one in files.values()),
        "files": files,
    }


def _task_ms(dag_id: str) -> float:
    """Median time of a task's DAG file in a process that has run it before."""
    found = [_child(_DAGS / "datasets.py", _AIRFLOW_PARSING_CONTEXT_DAG_ID=dag_id) for _ in "abcde"]
    if any(one["dags"] != 1 for one in found):
        raise AssertionError(found)
    return 1000 * statistics.median(one["again"] for one in found)


def _child(file: Path, **environment: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bench_contracts", "--child", str(file)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _parse(file: Path) -> dict[str, Any]:
    """Run a DAG file twice: what a new process pays, and what one with the modules pays."""
    from airflow.dag_processing.dagbag import DagBag

    cpu, begun = time.process_time(), time.perf_counter()
    bag = DagBag(str(file), bundle_name="dags-folder")
    first, cpu = time.perf_counter() - begun, time.process_time() - cpu
    begun = time.perf_counter()
    DagBag(str(file), bundle_name="dags-folder")
    return {
        "dags": len(bag.dags),
        "errors": list(bag.import_errors.values()),
        "first": first,
        "cpu": cpu,
        "again": time.perf_counter() - begun,
    }


# --- a real stack --------------------------------------------------------------------------------


def _stack(folder: Path, seconds: float) -> dict[str, Any]:
    import cityledger_stack
    from cityledger.demo.airflow_client import AirflowClient

    datasets = sorted(path for path in (folder / "contracts").glob("*/*.odcs.yaml"))
    begun = time.monotonic()
    info = cityledger_stack.up()
    try:
        with AirflowClient.from_settings(get_settings()) as airflow:
            stored = _until(lambda: len(airflow.dag_ids()) >= len(datasets), begun)
            parts = {part.name: part.pid for part in info.parts if part.pid is not None}
            _await_rest(parts["dag-processor"])
            idle = _watch(folder, airflow.url, parts, seconds)
            starts = _first_start(airflow, "dataset__department_0__dataset_0")
            made = _write_contract(folder / "contracts", len(datasets), _hour(12))
            dag_id = f"dataset__{made.replace('.', '__')}"
            new = _until(lambda: dag_id in airflow.dag_ids(), time.monotonic())
            busy = _busy(folder, airflow, parts, seconds, len(datasets))
    finally:
        cityledger_stack.down()
    return {"stored": stored, "task_starts": starts, "new_dag": new, "idle": idle, "busy": busy}


def _busy(
    folder: Path, airflow: Any, parts: dict[str, int], seconds: float, count: int
) -> dict[str, Any]:
    """The scheduler when all deliveries are due (and none has been handed in)."""
    due = datetime.now(UTC) - timedelta(hours=2)
    for number in range(count):
        _write_contract(folder / "contracts", number, _hour(0))
    _until(lambda: len(airflow.runs(due.isoformat())) > count / 10, time.monotonic())
    watched = _watch(folder, airflow.url, parts, seconds)
    return {**watched, "runs": len(airflow.runs(due.isoformat()))}


def _until(condition: Any, begun: float) -> float:
    """Seconds since ``begun`` when a condition has come true."""
    while not condition():
        if time.monotonic() - begun > _PATIENCE:
            raise TimeoutError(f"nothing came of it in {_PATIENCE:.0f} s")
        time.sleep(0.5)
    return time.monotonic() - begun


def _await_rest(pid: int) -> None:
    """Until the DAG processor has stored everything and waits."""
    begun = time.monotonic()
    while _share(pid, 5.0) > _QUIET_LOAD and time.monotonic() - begun < _PATIENCE:
        pass


def _share(pid: int, seconds: float) -> float:
    before = _cpu(pid)
    time.sleep(seconds)
    return (_cpu(pid) - before) / seconds


def _cpu(pid: int) -> float:
    """CPU seconds of a process and its children, those that have ended, too."""
    process = psutil.Process(pid)
    total = sum(process.cpu_times()[:4])
    for child in process.children(recursive=True):
        try:
            total += sum(child.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return float(total)


def _watch(folder: Path, url: str, parts: dict[str, int], seconds: float) -> dict[str, Any]:
    log = folder / "home" / "logs" / "scheduler.log"
    skipped, before = log.stat().st_size, {name: _cpu(pid) for name, pid in parts.items()}
    begun, oldest = time.monotonic(), 0.0
    while time.monotonic() - begun < seconds:
        oldest = max(oldest, _heartbeat_age(url))
        time.sleep(1.0)
    spent = time.monotonic() - begun
    with log.open("rb") as reader:
        reader.seek(skipped)
        loops = [float(found) for found in _LOOP.findall(reader.read().decode("utf-8", "replace"))]
    cuts = statistics.quantiles(loops, n=20, method="inclusive")
    return {
        "seconds": spent,
        "loop_ms": {"count": len(loops), "median": statistics.median(loops), "p95": cuts[-1]},
        "heartbeat": oldest,
        "parts": {
            name: {
                "cpu_percent": 100 * (_cpu(pid) - before[name]) / spent,
                "mb": psutil.Process(pid).memory_info().rss / 1e6,
            }
            for name, pid in parts.items()
        },
    }


def _heartbeat_age(url: str) -> float:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}/api/v2/monitor/health", timeout=30) as answer:
        text = json.load(answer)["scheduler"]["latest_scheduler_heartbeat"]
    return (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()


def _first_start(airflow: Any, dag_id: str) -> float:
    """Seconds from a trigger to the start of the first task's process."""
    asked = datetime.now(UTC)
    run = airflow.trigger(dag_id, "2026-03-31")

    def started() -> list[datetime]:
        return [
            datetime.fromisoformat(task["start_date"])
            for task in airflow.tasks(asked.isoformat())
            if task["dag_run_id"] == run and task["start_date"]
        ]

    _until(started, time.monotonic())
    return (min(started()) - asked).total_seconds()


if __name__ == "__main__":
    main()
