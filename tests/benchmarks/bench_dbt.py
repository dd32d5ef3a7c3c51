"""What dbt adds to its SQL: our builds against the same statements run by hand in DuckDB.

One delivery of ten million generated cases is landed, validated and released; then the whole
project is built anew by ``standardise`` and by hand in turns, in one process, on the same lake.
By hand means: what dbt compiled for its models and tests, from its manifest, one statement after
the other in a session with the same options. Limited is dbt's part (start, models, tests,
artefacts); the digests, verdicts and the lineage around it are listed beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cityledger.settings import get_settings

from tests.benchmarks import whole_way
from tests.benchmarks.bench_ingest import servers
from tests.benchmarks.results import circumstances, keep

ROWS = 10_000_000
LIMIT = 1.25
Timed = tuple[float, float]


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table and write ``dbt.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(_run(options.child, options.turns)))
        return {}
    before = dict(os.environ)
    try:
        found = _measure(options.rows, options.turns)
    finally:
        os.environ.clear()
        os.environ.update(before)
    result = {
        **circumstances(),
        "rows": options.rows,
        **found,
    }
    keep("dbt", result)
    print(table(result))
    return result


def ratios(result: dict[str, Any]) -> dict[str, float]:
    """Medians of our parts, divided by the median of the same statements by hand."""
    hand = statistics.median(turn["hand"]["seconds"] for turn in result["turns"])
    models = statistics.median(turn["hand"]["models"] for turn in result["turns"])
    dbt = statistics.median(turn["ours"]["dbt"]["seconds"] for turn in result["turns"])
    stage = statistics.median(turn["ours"]["stage"]["seconds"] for turn in result["turns"])
    cpu = statistics.median(
        turn["ours"]["dbt"]["cpu"] / turn["hand"]["cpu"] for turn in result["turns"]
    )
    return {
        "dbt": dbt / hand,
        "dbt, CPU time": cpu,
        "dbt, tests counted as ours": dbt / models,
        "standardise": stage / hand,
    }


def table(result: dict[str, Any]) -> str:
    """The result as text."""
    lines = [f"{'turn':<6}{'by hand s':>11}{'models':>9}{'dbt s':>9}{'nodes':>9}{'stage s':>9}"]
    for number, turn in enumerate(result["turns"], 1):
        ours, hand = turn["ours"], turn["hand"]
        lines.append(
            f"{number:<6}{hand['seconds']:>11.2f}{hand['models']:>9.2f}"
            f"{ours['dbt']['seconds']:>9.2f}{sum(ours['nodes'].values()):>9.2f}"
            f"{ours['stage']['seconds']:>9.2f}"
        )
    found = ratios(result)
    lines.append(f"dbt's part to the same SQL by hand: {found['dbt']:.2f} ×, limit {LIMIT} ×")
    lines += [f"{name}: {found[name]:.2f} ×" for name in list(found)[1:]]
    return "\n".join(lines)


def _measure(rows: int, turns: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="cityledger-bench-") as name, servers(Path(name)):
        home = Path(name) / "home"
        whole_way.announce(home)
        file = whole_way.deliver(home, rows)
        module = "tests.benchmarks.bench_dbt"
        done = subprocess.run(
            [sys.executable, "-m", module, "--child", str(file), "--turns", str(turns)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _run(file: Path, turns: int) -> dict[str, Any]:
    from cityledger.runner import Runner

    whole_way.prepare()
    for name, work in whole_way.stages(file):
        if name == "standardise":
            break
        work()
    runner = Runner.from_settings()
    first = _ours(runner.standardise)  # parses the project, creates the lake
    statements = _statements(get_settings().home / "dbt")
    measured = []
    for _ in range(turns):
        hand = _by_hand(statements)
        ours = _ours(lambda: runner.standardise(full_refresh=True))
        measured.append({"hand": hand, "ours": ours})
    return {"first": first, "turns": measured}


def _ours(build: Callable[[], Any]) -> dict[str, Any]:
    """One build: the stage, and dbt's part of it."""
    from cityledger.lifecycle import standardise as stage

    spent: list[Timed] = []
    invoke = stage.invoke

    def timed(*arguments: Any, **more: Any) -> Any:
        begun = _now()
        try:
            return invoke(*arguments, **more)
        finally:
            spent.append(_since(begun))

    begun = _now()
    with patch.object(stage, "invoke", timed):
        built = build()
    (dbt,) = spent
    return {
        "stage": _figures(_since(begun)),
        "dbt": _figures(dbt),
        "nodes": {one.name: one.seconds for one in built.models},
    }


def _statements(target: Path) -> list[tuple[str, str, str]]:
    """Kind, name and SQL of what the last build ran, in its order."""
    nodes = json.loads((target / "manifest.json").read_text("utf-8"))["nodes"]
    ran = json.loads((target / "run_results.json").read_text("utf-8"))["results"]
    found = []
    for result in ran:
        node, sql = nodes[result["unique_id"]], result["compiled_code"]
        if node["resource_type"] == "test":
            found.append(("test", node["name"], f"SELECT count(*) FROM ({sql})"))
        else:
            place = f"lake.{node['schema']}.{node['alias']}"
            found.append(("model", node["name"], f"CREATE OR REPLACE TABLE {place} AS ({sql})"))
    return found


def _by_hand(statements: list[tuple[str, str, str]]) -> dict[str, float]:
    from cityledger.storage import duck

    begun, models = _now(), 0.0
    with duck.connect(get_settings(), lake=True) as connection:
        for kind, _, sql in statements:
            started = time.perf_counter()
            found = connection.execute(sql).fetchone()
            if kind == "model":
                models += time.perf_counter() - started
            elif found != (0,):
                raise AssertionError((sql, found))
    return _figures(_since(begun)) | {"models": models}


def _now() -> Timed:
    return time.perf_counter(), time.process_time()


def _since(begun: Timed) -> Timed:
    return time.perf_counter() - begun[0], time.process_time() - begun[1]


def _figures(spent: Timed) -> dict[str, float]:
    return {"seconds": spent[0], "cpu": spent[1]}


if __name__ == "__main__":
    main()
