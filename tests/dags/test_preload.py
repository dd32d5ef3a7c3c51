"""What the scheduler imports for its tasks."""

from __future__ import annotations

import subprocess
import sys

from cityledger.airflow.plugin import CityLedgerPlugin
from cityledger.airflow.preload import MODULES

_SCRIPT = """
import sys
from pathlib import Path
from cityledger.airflow import preload
before = set(sys.modules)
sys.argv = ["airflow", *{words}]
preload.on_starting(None)
threads = len(list(Path("/proc/self/task").iterdir())) if Path("/proc").exists() else 1
print(threads, *sorted(set(sys.modules) - before))
"""


def _imported_by(*words: str) -> tuple[int, set[str]]:
    command = [sys.executable, "-c", _SCRIPT.format(words=list(words))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    threads, *modules = done.stdout.split()
    return int(threads), set(modules)


def test_the_scheduler_imports_what_tasks_need_and_starts_no_thread() -> None:
    """A task forked from a process with threads may wait for ever for a lock of one of them."""
    threads, modules = _imported_by("scheduler", "--skip-serve-logs")
    assert modules >= set(MODULES)
    assert threads == 1
    assert not modules & {"polars", "pyarrow", "duckdb", "pandas", "numpy"}


def test_other_parts_import_nothing() -> None:
    """The api-server and the triggerer run no tasks; their memory is not for our libraries."""
    assert not _imported_by("triggerer")[1] & set(MODULES)


def test_airflow_calls_the_listener() -> None:
    """A listener that is not registered never runs, and nothing tells."""
    assert any(one.__name__ == "cityledger.airflow.preload" for one in CityLedgerPlugin.listeners)
