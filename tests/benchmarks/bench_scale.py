"""How time and memory grow with the rows of one delivery, through the whole way.

Extract and land, parse and validate, release, standardise (dbt and its tests, digests, lineage),
publish: each size in an installation and with servers of its own, all stages in one process, as
``cityledger run`` does. Time per row of the largest size is compared with that of five million
rows; the peak memory is that of the hungriest single process: ours (DuckDB is in it), the object
store, the database.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks import whole_way
from tests.benchmarks.bench_ingest import servers
from tests.benchmarks.results import circumstances, keep

SIZES = (1_000_000, 5_000_000, 10_000_000, 50_000_000)
BASE = 5_000_000
GROWTH_LIMIT = 1.3
MEMORY_LIMIT_MB = 3 * 1024 * 1.048576
_SAMPLE_SECONDS = 0.5
_NAMES = {"weed": "object store", "postgres": "database"}
# What a row leaves on the disk at most while its size is measured: the file, its copies in the
# spool and in the bucket, validated and staged Parquet, and what DuckDB sorts.
_BYTES_PER_ROW = 700


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run every size, print a table and write ``scale.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(_run(options.child)))
        return {}
    before = dict(os.environ)
    sizes = []
    try:
        for rows in sorted(options.rows):
            sizes.append(_size(rows))
            print(f"  {rows:,} rows: {sizes[-1]['seconds']:.1f} s", file=sys.stderr, flush=True)
    finally:
        os.environ.clear()
        os.environ.update(before)
    result = {
        **circumstances(),
        "sizes": sizes,
    }
    keep("scale", result)
    print(table(result))
    return result


def growth(result: dict[str, Any]) -> float | None:
    """Time per row of the largest size, divided by that of five million rows."""
    per_row: dict[int, float] = {
        one["rows"]: one["seconds"] / one["rows"] for one in result["sizes"]
    }
    return per_row[max(per_row)] / per_row[BASE] if BASE in per_row else None


def peak(result: dict[str, Any]) -> float:
    """Of the hungriest process at any size, in MB."""
    return float(max(max(one["peak_mb"].values()) for one in result["sizes"]))


def table(result: dict[str, Any]) -> str:
    """The result as text."""
    names = list(result["sizes"][0]["stages"])
    lines = [f"{'rows':>12}" + "".join(f"{name:>17}" for name in [*names, "µs a row"])]
    for one in result["sizes"]:
        figures = [f"{stage['seconds']:>15.1f} s" for stage in one["stages"].values()]
        lines.append(
            f"{one['rows']:>12,}{''.join(figures)}{1e6 * one['seconds'] / one['rows']:>17.2f}"
        )
    for one in result["sizes"]:
        peaks = ", ".join(f"{name} {size:,.0f} MB" for name, size in one["peak_mb"].items())
        lines.append(f"peak memory, {one['rows']:,} rows: {peaks}")
    grown = growth(result)
    if grown is not None:
        lines.append(f"time per row, largest to 5 million: {grown:.2f} ×, limit {GROWTH_LIMIT} ×")
    lines.append(f"hungriest process: {peak(result):,.0f} MB, limit {MEMORY_LIMIT_MB:,.0f} MB")
    return "\n".join(lines)


def _size(rows: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="cityledger-bench-") as name:
        folder = Path(name)
        _check_disk(folder, rows)
        with servers(folder), _watched() as peaks:
            home = folder / "home"
            whole_way.announce(home)
            file = whole_way.deliver(home, rows)
            size = file.stat().st_size
            done = subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.bench_scale", "--child", str(file)],
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
        stages: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return {
        "rows": rows,
        "bytes": size,
        "seconds": sum(stage["seconds"] for stage in stages.values()),
        "cpu_seconds": sum(stage["cpu_seconds"] for stage in stages.values()),
        "stages": stages,
        "peak_mb": {"ours": max(stage["peak_mb"] for stage in stages.values()), **peaks},
    }


def _check_disk(folder: Path, rows: int) -> None:
    free, needed = shutil.disk_usage(folder).free, rows * _BYTES_PER_ROW
    if free < needed:
        raise SystemExit(
            f"{rows:,} rows need {needed / 1e9:.0f} GB below {folder.parent}, {free / 1e9:.0f} GB"
            " are free → set TMPDIR to a larger disk, or measure less: --rows 1000000 5000000"
        )


def _run(file: Path) -> dict[str, dict[str, Any]]:
    whole_way.prepare()
    return {name: whole_way.measured(work) for name, work in whole_way.stages(file)}


@contextmanager
def _watched() -> Iterator[dict[str, float]]:
    """Peak memory of each kind of server, in MB; complete when the context ends."""
    peaks: dict[str, float] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLE_SECONDS):
            for process in psutil.Process().children(recursive=True):
                try:
                    kind = _NAMES.get(process.name())
                except psutil.NoSuchProcess:
                    continue
                if kind is not None:
                    peaks[kind] = max(peaks.get(kind, 0.0), whole_way.peak_mb(process.pid))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


if __name__ == "__main__":
    main()
