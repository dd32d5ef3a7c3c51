"""What happens to the stack while its day goes on: workers die, scheduler and database restart."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cityledger_stack
import psycopg
from cityledger.demo.day import DayView
from cityledger.settings import get_settings
from cityledger_stack.celery import loopback_of

log = logging.getLogger(__name__)

_PATIENCE = 120.0


@dataclass(frozen=True)
class Step:
    """One disturbance.

    Attributes:
        point: Where a task waits meanwhile (see `tests.cluster.pausing`).
        act: Told the address of the worker on which it waits.
        goes_on: Whether the task shall go on afterwards; a killed one cannot.
    """

    name: str
    point: str
    act: Callable[[str], None]
    goes_on: bool = False


@dataclass
class Disturbances:
    """Does one step after the other, each when a task has got to its point.

    Attributes:
        done: The names of the steps that took place, in order.
    """

    folder: Path
    steps: Sequence[Step]
    done: list[str] = field(default_factory=list)

    def __call__(self, view: DayView) -> None:
        """Go on (called about once a second while the day runs)."""
        if not self.left:
            return
        step = self.left[0]
        reached = self.folder / f"{step.point}.reached"
        if not reached.exists():
            self._arm(step.point)
            return
        step.act(json.loads(reached.read_text("utf-8"))["address"])
        if step.goes_on:
            (self.folder / f"{step.point}.go").touch()
        self.done.append(step.name)
        reached.rename(self.folder / f"{len(self.done)}.over")
        (self.folder / f"{step.point}.taken").unlink()
        log.info("%.1f s: %s", view.seconds, step.name)

    @property
    def left(self) -> Sequence[Step]:
        """Those that have not taken place yet."""
        return self.steps[len(self.done) :]

    def _arm(self, point: str) -> None:
        if not (self.folder / f"{point}.taken").exists():
            (self.folder / f"{point}.go").unlink(missing_ok=True)
            (self.folder / f"{point}.armed").touch()


def kill_worker(address: str) -> None:
    """``kill -9`` the worker at that address."""
    (name,) = (part.name for part in cityledger_stack.status() if part.address == address)
    _end(name, signal.SIGKILL)


def kill_scheduler(_address: str) -> None:
    """``kill -9`` the scheduler and wait until another one runs."""
    _end("scheduler", signal.SIGKILL)


def kill_broker(_address: str) -> None:
    """``kill -9`` the queue and wait until it runs again."""
    _end("redis", signal.SIGKILL)


def restart_database(_address: str) -> None:
    """What ``pg_ctl stop -m immediate`` does: no checkpoint, every session cut; then a start."""
    _end("postgres", signal.SIGQUIT)
    url = get_settings().database_url
    assert url is not None
    await_true(lambda: _answers(url.get_secret_value()), "the database came back")


def await_true(condition: Callable[[], bool], what: str, seconds: float = _PATIENCE) -> None:
    """Wait for something that must happen soon."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)


def _end(name: str, number: signal.Signals) -> None:
    before = _pid(name)
    assert before is not None
    os.kill(before, number)
    await_true(lambda: _pid(name) not in (None, before), f"{name} runs again")


def _pid(name: str) -> int | None:
    (part,) = (part for part in cityledger_stack.status() if part.name == name)
    return part.pid if part.state in ("running", "unhealthy") else None


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


#: The addresses that the two workers of the test have.
ADDRESSES = {loopback_of(1), loopback_of(2)}
