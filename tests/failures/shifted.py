"""A command on a machine with a wrong clock: ``python -m tests.failures.shifted SECONDS WORDS``.

Every module of ours asks ``datetime.now``; the store's client signs its requests with a ``utcnow``
of its own. Both get a clock that is off, as does ``time.time`` and what reads it. Monotonic clocks
are right, as on a machine whose wall clock was set.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
import time
from datetime import UTC, datetime, timedelta, tzinfo
from types import ModuleType
from typing import Any

import cityledger
import minio.time
from cityledger.cli.main import main

# What imports Airflow or dbt, and pages; the rest may be imported by any stage.
_NOT_OURS = (
    *("cityledger.console", "cityledger.collector", "cityledger.reports"),
    *("cityledger.airflow", "cityledger.lifecycle.dbt_session", "cityledger.lifecycle.spark"),
    *("cityledger.audit.scratch_session", "cityledger.storage.migrations"),
)


class Shifted:
    """``datetime`` as a module knows it, with another idea of now."""

    def __init__(self, seconds: float) -> None:
        self._off = timedelta(seconds=seconds)

    def __getattr__(self, name: str) -> Any:
        return getattr(datetime, name)

    def __call__(self, *values: Any, **named: Any) -> datetime:
        return datetime(*values, **named)

    def now(self, tz: tzinfo | None = None) -> datetime:
        return datetime.now(tz) + self._off


def shift(seconds: float) -> None:
    """Put every clock that our code reads off by so much."""
    for module in pkgutil.walk_packages(cityledger.__path__, "cityledger."):
        if not module.name.startswith(_NOT_OURS):
            importlib.import_module(module.name)
    clock, right = Shifted(seconds), time.time
    for name, loaded in list(sys.modules.items()):
        if _asks_the_time(name, loaded):
            loaded.datetime = clock  # type: ignore[attr-defined]
    minio.time.utcnow = lambda: datetime.now(UTC) + timedelta(seconds=seconds)
    time.time = lambda: right() + seconds


def _asks_the_time(name: str, module: ModuleType) -> bool:
    # Commands have the type in their signatures, which Typer reads.
    ours = name.startswith("cityledger.") and not name.startswith("cityledger.cli")
    return (
        ours
        and getattr(module, "datetime", None) is datetime
        and "datetime.now(" in inspect.getsource(module)
    )


if __name__ == "__main__":
    shift(float(sys.argv.pop(1)))
    main()
