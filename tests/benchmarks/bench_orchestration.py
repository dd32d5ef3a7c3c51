"""What Airflow adds to the lifecycle: a whole day of the demo city, by Airflow and by the CLI.

Each day is another seed: every department delivers other bytes for the same periods, so all stages
work. Airflow runs its days first (the first of them is cold and does not count), then, on the same
database and object store, the command line runs its days: one ``cityledger run`` after the other up
to ``release``, then ``standardise`` and ``publish`` once. Beside it stands the same in one process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cityledger.settings import get_settings

from tests.benchmarks.bench_contracts import elsewhere
from tests.benchmarks.results import circumstances, keep

LIMIT = 1.6
Place = tuple[str, str]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table and write ``orchestration.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--days", type=int, default=2, help="warm days by each")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child is not None:
        print(json.dumps(_in_one_process()))
        return {}
    with tempfile.TemporaryDirectory(prefix="cityledger-bench-") as name, elsewhere(Path(name)):
        found = _measure(options.scale, options.days)
    result = {
        **circumstances(),
        "scale": options.scale,
        **found,
    }
    keep("orchestration", result)
    print(table(result))
    return result


def ratios(result: dict[str, Any]) -> dict[str, float]:
    """Median of Airflow's warm days, divided by those of the others."""
    airflow = statistics.median(day["seconds"] for day in result["airflow"][1:])
    return {
        "cli": airflow / statistics.median(day["seconds"] for day in result["cli"]),
        "one process": airflow / statistics.median(day["seconds"] for day in result["process"]),
    }


def table(result: dict[str, Any]) -> str:
    """The result as text."""
    lines = [f"{'day':<28}{'seconds':>9}"]
    for name, key in (("Airflow", "airflow"), ("CLI", "cli"), ("one process", "process")):
        for number, day in enumerate(result[key]):
            cold = ", cold" if key == "airflow" and number == 0 else ""
            lines.append(f"{name + cold:<28}{day['seconds']:>9.1f}")
    lines.append(f"{'task, warm day':<20}{'tasks':>7}{'waited s':>10}{'process s':>11}{'own s':>8}")
    for task, one in _tasks(result["airflow"][-1]["tasks"]).items():
        lines.append(
            f"{task:<20}{one['count']:>7}{one['waited']:>10.2f}{one['process']:>11.2f}"
            f"{one['own']:>8.2f}"
        )
    found = ratios(result)
    lines.append(f"Airflow to the CLI: {found['cli']:.2f} ×, limit {LIMIT} ×")
    lines.append(f"Airflow to one process: {found['one process']:.2f} ×")
    return "\n".join(lines)


def _tasks(tasks: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Means by task: waiting for scheduler and slot, the process without our work, our work."""
    found = {}
    for name in dict.fromkeys(task["task_id"] for task in tasks):
        mine = [task for task in tasks if task["task_id"] == name]
        found[name] = {
            "count": float(len(mine)),
            "waited": statistics.mean(task["waited"] for task in mine),
            "process": statistics.mean(task["ran"] - task["own"] for task in mine),
            "own": statistics.mean(task["own"] for task in mine),
        }
    return found


def _measure(scale: float, days: int) -> dict[str, Any]:
    import cityledger_stack

    seeds = iter(range(1, 100))
    try:
        cityledger_stack.up()
        get_settings.cache_clear()
        airflow = [_airflow_day(scale, next(seeds)) for _ in range(days + 1)]
        cityledger_stack.down()
        cityledger_stack.up(airflow=False)
        cli, process = [], []
        for _ in range(days):
            cli.append(_cli_day(_deliver(scale, next(seeds))))
            process.append(_process_day(_deliver(scale, next(seeds))))
    finally:
        cityledger_stack.down()
    return {"airflow": airflow, "cli": cli, "process": process}


def _deliver(scale: float, seed: int) -> list[Place]:
    """Every department hands in a day; the largest delivery comes first."""
    from cityledger.demo.generate.generator import generate

    key = generate(get_settings().drop_dir, scale=scale, seed=seed)
    ordered = sorted(key.deliveries, key=lambda one: -sum(file.size for file in one.files))
    return [(one.dataset, one.partition) for one in ordered]


def _airflow_day(scale: float, seed: int) -> dict[str, Any]:
    from cityledger.demo.day import Day

    summary = Day(get_settings(), _deliver(scale, seed)).run()
    if summary.builds != 1:
        print(f"  {summary.builds} builds in one day", file=sys.stderr)
    return {
        "seconds": summary.seconds,
        "builds": summary.builds,
        "overhead": summary.overhead.model_dump(),
        "tasks": [task.model_dump() for task in summary.tasks],
    }


def _cli_day(places: Sequence[Place]) -> dict[str, Any]:
    commands = [
        ["run", dataset, "--partition", partition, "--to-stage", "release"]
        for dataset, partition in places
    ]
    dataset, partition = places[0]
    commands.append(["run", dataset, "--partition", partition, "--from-stage", "standardise"])
    spent, command = [], Path(sys.executable).with_name("cityledger")
    for words in commands:
        begun = time.perf_counter()
        subprocess.run(
            [str(command), *words],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        spent.append(time.perf_counter() - begun)
    return {"seconds": sum(spent), "commands": spent}


def _process_day(places: Sequence[Place]) -> dict[str, Any]:
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bench_orchestration", "--child", "1"],
        check=True,
        stdout=subprocess.PIPE,
        input=json.dumps(places),
        text=True,
    )
    spent: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {"seconds": time.perf_counter() - begun, "stages": spent}


def _in_one_process() -> dict[str, float]:
    from cityledger.runner import Runner

    places: list[Place] = [(dataset, partition) for dataset, partition in json.load(sys.stdin)]
    runner, spent = Runner.from_settings(), {}
    begun = time.perf_counter()
    for place in places:
        runner.extract_land(*place)
        runner.parse_validate(*place)
        runner.release(*place)
    spent["to release"] = time.perf_counter() - begun
    for name, work in (("standardise", runner.standardise), ("publish", runner.publish)):
        begun = time.perf_counter()
        work()
        spent[name] = time.perf_counter() - begun
    return spent


if __name__ == "__main__":
    main()
