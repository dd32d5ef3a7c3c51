"""Tasks start with our libraries in memory.

Airflow's LocalExecutor forks its workers, and they every task, from the scheduler: what the
scheduler has imported by then costs a task nothing. Otherwise each task spends more time on
imports than on a small delivery (1.2 s of CPU on a machine of two cores, 2026-11-22).

polars, pyarrow and DuckDB must not be among them. They start threads when they are imported; a
fork takes no thread along, but every lock that one of them holds.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from airflow.listeners import hookimpl

MODULES = (
    "cityledger.airflow.dataset_dag",
    "cityledger.runner",
    "cityledger.lifecycle.extract",
    "cityledger.lifecycle.land",
    "cityledger.lifecycle.release",
    "cn2an",
    # A build's own imports; the adapter is left out, it imports DuckDB.
    "dbt.cli.main",
)


@hookimpl
def on_starting(component: Any) -> None:  # noqa: ARG001  Airflow's signature
    """Import what tasks need, in the scheduler (called before it makes its workers)."""
    # The component does not know yet which part of Airflow it will be.
    if "scheduler" in sys.argv:
        for name in MODULES:
            importlib.import_module(name)
