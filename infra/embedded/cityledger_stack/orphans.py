"""Processes that a killed supervisor left: found by mark and by data folder, never by name."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import psutil

from cityledger_stack.layout import Layout
from cityledger_stack.processes import MARKER, end_all
from cityledger_stack.state import StackState


def find(layout: Layout) -> list[psutil.Process]:
    """Every process of this home's stack apart from this one and a live supervisor's."""
    database = _database(layout)
    return [*marked(layout), *([database] if database else [])]


def marked(layout: Layout) -> list[psutil.Process]:
    """The processes whose environment carries this home's mark."""
    home = str(layout.home)
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        if process.pid in own:
            continue
        try:
            if process.environ().get(MARKER) == home:
                found.append(process)
        except (psutil.Error, OSError):  # gone meanwhile, or another user's
            continue
    return found


def end_marked(layout: Layout) -> None:
    """End the marked processes (Airflow's children, the object store)."""
    end_all(marked(layout))


def end(layout: Layout) -> None:
    """End everything that an earlier run left; the database in order, so that it is not hurt."""
    end_marked(layout)
    database = _database(layout)
    if database is not None:
        try:
            database.send_signal(signal.SIGINT)
            database.wait(20)
        except psutil.TimeoutExpired:
            database.kill()
        except psutil.NoSuchProcess:
            return


def _database(layout: Layout) -> psutil.Process | None:
    """The PostgreSQL that serves this home's data folder; it sets its working folder to it."""
    places = [str(folder.resolve()) for folder in layout.postgres_dirs]
    for pid in _possible_pids(layout):
        try:
            process = psutil.Process(pid)
            if process.cwd() in places:
                return process
        except (psutil.Error, OSError):
            continue
    return None


def _possible_pids(layout: Layout) -> Iterator[int]:
    recorded = StackState.load(layout.state).parts.get("postgres")
    if recorded is not None and recorded.pid:
        yield recorded.pid
    for folder in layout.postgres_dirs:
        with contextlib.suppress(OSError, ValueError):
            yield int((folder / "postmaster.pid").read_text().split("\n", 1)[0])
