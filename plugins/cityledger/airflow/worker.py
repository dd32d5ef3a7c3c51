"""Imported by every Celery worker when it starts (Celery's setting ``imports``).

Brings our libraries into memory before the worker forks (see `cityledger.airflow.preload`), and
shows that the worker is alive: it touches a file as long as it gets through to the broker. A probe
that looks at the file's age costs nothing; `celery inspect ping` starts a whole Python.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from cityledger.airflow.preload import MODULES

ADDRESS, PULSE = "CITYLEDGER_WORKER_ADDRESS", "CITYLEDGER_WORKER_PULSE"

for _name in MODULES:
    importlib.import_module(_name)


def address() -> str:
    """The address by which others reach this worker (Airflow's ``hostname_callable``)."""
    return os.environ[ADDRESS]


def beat(**_: Any) -> None:
    """Touch the file that the environment names, if it names one."""
    path = os.environ.get(PULSE)
    if path:
        Path(path).touch()


# By name: Celery has no types, and only a stack with workers has Celery.
importlib.import_module("celery.signals").heartbeat_sent.connect(beat)
