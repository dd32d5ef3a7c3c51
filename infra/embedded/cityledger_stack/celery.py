"""Celery's part of Airflow: the queue's settings, the workers, and the server of their logs.

The workers of one machine are kept as far apart as those of several: each has an address and a
spool of its own, and their logs lie in a folder that the api-server reads over HTTP only.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cityledger_stack.layout import Layout
from cityledger_stack.plan import worker_name
from cityledger_stack.processes import Command
from cityledger_stack.servers import Server

# Longer than a worker that is alive is ever silent (it beats every two seconds).
_SILENT_SECONDS = 20.0

_STATIC = {
    "CORE__EXECUTOR": "CeleryExecutor",
    # A worker takes no task that it cannot begin at once, and hands a task back until it is done.
    "CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
    "CELERY__TASK_ACKS_LATE": "True",
    "CELERY__OPERATION_TIMEOUT": "10.0",
    # Airflow empties Celery's own options, and with them the look whether a connection still lives.
    "CELERY__RESULT_BACKEND_SQLALCHEMY_ENGINE_OPTIONS": json.dumps({"pool_pre_ping": True}),
    # Redis gives a message that nobody has acknowledged to another worker after this time. It must
    # be longer than any task may run (12 hours), or a long task is started a second time; a killed
    # worker is noticed by its missing heartbeat long before.
    "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "86400",
    # There are as many tasks as places on workers, so none waits long for a reason other than a
    # message that was lost with a worker or the broker.
    "SCHEDULER__TASK_QUEUED_TIMEOUT": "180",
    "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "30",
    "CELERY__EXTRA_CELERY_CONFIG": json.dumps(
        {
            # Forked tasks find our libraries in memory; the module also beats for `Worker.healthy`.
            "imports": ["cityledger.airflow.worker"],
            "worker_send_task_events": True,
            # A result that could not be stored would occupy a place in the scheduler for ever:
            # tried again for about three minutes, while a database restarts.
            "result_backend_always_retry": True,
            "result_backend_max_retries": 25,
        }
    ),
}


def loopback_of(number: int) -> str:
    """The address of a worker: one of its own, as on a machine of its own."""
    return f"127.0.0.{10 + number}"


def concurrency(slots: int, workers: int) -> int:
    """How many tasks each worker runs at once so that all of them have about ``slots`` places."""
    return max(1, math.ceil(slots / workers))


def options(*, broker_url: str, workers: int, slots: int, log_port: int) -> dict[str, str]:
    """Airflow's settings for the queue, as ``SECTION__KEY``.

    Args:
        broker_url: With the password.
        workers: How many there are.
        slots: How many tasks shall run at once.
        log_port: Where the workers' logs are served.
    """
    each = concurrency(slots, workers)
    return {
        **_STATIC,
        # More would be handed to the queue than the workers have places for, and the time in the
        # queue would count as lost.
        "CORE__PARALLELISM": str(each * workers),
        "CELERY__BROKER_URL": broker_url,
        "CELERY__WORKER_CONCURRENCY": str(each),
        "LOGGING__WORKER_LOG_SERVER_PORT": str(log_port),
    }


def log_folder(layout: Layout) -> Path:
    """Where workers write the logs of tasks."""
    return layout.airflow / "worker-logs"


@dataclass
class Worker(Server):
    """One Celery worker.

    Attributes:
        number: From 1.
        env: Of every Airflow process.
    """

    number: int
    layout: Layout
    env: Mapping[str, str]
    patience: float = 8.0

    def __post_init__(self) -> None:
        self.name = worker_name(self.number)

    @property
    def address(self) -> str:
        return loopback_of(self.number)

    @property
    def pulse(self) -> Path:
        """The file that the worker touches as long as it hears from the broker."""
        return pulse(self.layout, self.name)

    def prepare(self) -> None:
        self.pulse.parent.mkdir(mode=0o700, exist_ok=True)
        self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        log_folder(self.layout).mkdir(mode=0o700, exist_ok=True)
        self.after_death()

    def command(self) -> Command:
        # Its own log server would listen on all interfaces; `WorkerLogs` does not.
        words = ("--celery-hostname", self.name, "--skip-serve-logs")
        env = {
            **self.env,
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(log_folder(self.layout)),
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": "cityledger.airflow.worker.address",
            "CITYLEDGER_SPOOL_DIR": str(self._spool),
            "CITYLEDGER_WORKER_ADDRESS": self.address,
            "CITYLEDGER_WORKER_PULSE": str(self.pulse),
        }
        argv = (sys.executable, "-m", "airflow", "celery", "worker", *words)
        return Command(argv, env, self.layout.airflow)

    def healthy(self) -> bool:
        return beats(self.layout, self.name)

    def after_death(self) -> None:
        # Nobody else uses its spool, and whoever did the work again began with the landed bytes.
        self.pulse.unlink(missing_ok=True)
        for left in self._spool.glob("*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()

    @property
    def _spool(self) -> Path:
        common = Path(self.env.get("CITYLEDGER_SPOOL_DIR", self.layout.home / "spool"))
        return common / self.name


@dataclass
class WorkerLogs(Server):
    """Airflow's log server for all workers of this machine, on their addresses only.

    Attributes:
        addresses: Of the workers.
        env: Of every Airflow process: the key that signs its requests is in it.
    """

    addresses: tuple[str, ...]
    port: int
    layout: Layout
    env: Mapping[str, str]
    name: str = "worker-logs"
    patience: float = 2.0

    @property
    def address(self) -> str:
        return f"http://{self.addresses[0]}:{self.port}"

    def prepare(self) -> None:
        log_folder(self.layout).mkdir(mode=0o700, exist_ok=True)

    def command(self) -> Command:
        folder = {"AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(log_folder(self.layout))}
        words = ("-m", "cityledger_stack.logserver", str(self.port), *self.addresses)
        return Command((sys.executable, *words), {**self.env, **folder}, self.layout.airflow)

    def healthy(self) -> bool:
        # Without a signature it refuses; before the application is loaded it says nothing.
        try:
            urllib.request.urlopen(f"{self.address}/log/healthy", timeout=2)  # noqa: S310 - loopback
        except urllib.error.HTTPError as answer:
            return answer.code == 403
        except OSError:
            return False
        return False


def pulse(layout: Layout, name: str) -> Path:
    """The file that a worker touches."""
    return layout.airflow / "pulse" / name


def beats(layout: Layout, name: str) -> bool:
    """Whether a worker has been heard of lately."""
    try:
        return time.time() - pulse(layout, name).stat().st_mtime < _SILENT_SECONDS
    except FileNotFoundError:
        return False
