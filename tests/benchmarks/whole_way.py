"""The generated city of ``tests/benchmarks/city``: an installation of its own, and its stages."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cityledger.settings import PROJECT_DIR

from tests.benchmarks import ingest_data

DATASET, DAY = "gov.cases", "2026-03-31"
_CITY = PROJECT_DIR / "tests" / "benchmarks" / "city"


def announce(home: Path) -> None:
    """Make this process and its children work on an installation below ``home``."""
    os.environ |= {
        "CITYLEDGER_HOME": str(home),
        "CITYLEDGER_DROP_DIR": str(home / "drop"),
        "CITYLEDGER_SPOOL_DIR": str(home / "spool"),
        "CITYLEDGER_CONTRACTS_DIR": str(_CITY / "contracts"),
        "CITYLEDGER_DBT_PROJECT_DIR": str(_CITY / "dbt_project"),
        "CITYLEDGER_PSEUDONYM_KEY": secrets.token_hex(32),
    }


def deliver(home: Path, rows: int) -> Path:
    """Put the department's file into the drop folder."""
    path = home / "drop" / "gov" / f"cases_{DAY.replace('-', '')}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    ingest_data.write(path, rows, "utf-8")
    return path


def prepare() -> None:
    """Buckets and tables, as ``cityledger up`` makes them."""
    from cityledger.settings import get_settings
    from cityledger.storage.database import Database
    from cityledger.storage.objects import ObjectStore

    settings = get_settings()
    ObjectStore.from_settings(settings).ensure_buckets()
    Database.from_settings(settings).migrate()


def stages(delivered: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Name and work of every task, in order; the delivered file goes when it has landed."""
    from cityledger.runner import Runner

    runner = Runner.from_settings()

    def landed() -> None:
        runner.extract_land(DATASET, DAY)
        delivered.unlink()

    yield "extract, land", landed
    yield "parse, validate", lambda: runner.parse_validate(DATASET, DAY)
    yield "release", lambda: _released(runner.release(DATASET, DAY))
    yield "standardise", runner.standardise
    yield "publish", runner.publish


def _released(release: Any) -> None:
    if not release.released:
        raise AssertionError(release.reasons)


def measured(work: Callable[[], Any]) -> dict[str, Any]:
    """Wall clock and CPU seconds of some work, and this process's peak memory in MB meanwhile.

    Of a dbt build also the seconds of each node.
    """
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak begins anew: proc(5)
    wall, cpu = time.perf_counter(), time.process_time()
    made = work()
    figures: dict[str, Any] = {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": peak_mb("self"),
    }
    models = getattr(made, "models", ())
    return figures | ({"nodes": {one.name: one.seconds for one in models}} if models else {})


def peak_mb(process: int | str) -> float:
    """The most memory that a process has had resident, in MB (10**6 bytes); 0 if it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text("ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0][1]) * 1024 / 1e6 if lines else 0.0  # a process that just ended has none
