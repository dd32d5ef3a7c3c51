"""Loaded by the workers of the stack under test: stops a task at a named point of its work.

A task of a small city is over within a second or two, so nobody could kill a worker in the middle
of a certain stage by looking at it from outside. The test arms a point (a file), the first task
that gets there takes it, says where it is, and waits until it is told to go on, or is killed.

The points:

* ``parse``: the first batch of rows is read and not judged
* ``validate``: all rows are judged and the files are stored; the commit mark is not written
* ``dbt``: ten nodes of the build are done, the rest is not
* ``part``: the files of a part of a large file are stored; its commit mark is not written
* ``built``: dbt is done and the tables are committed; the build's own commit mark is not written
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cityledger.ledger.journal import Journal
from cityledger.runner import Runner

FOLDER = "CITYLEDGER_TEST_PAUSES"
BLOCK = 4096
_NODES = 10
_LONGEST = 240.0  # a test that forgot its task must not hold the machine


def stop(point: str) -> None:
    """Wait here if the point is armed and nobody else has come by."""
    folder = Path(os.environ[FOLDER])
    mine = folder / f"{point}.{os.getpid()}"
    if not (folder / f"{point}.armed").exists():
        return
    mine.write_text(json.dumps({"address": os.environ.get("CITYLEDGER_WORKER_ADDRESS")}), "utf-8")
    try:
        (folder / f"{point}.armed").rename(folder / f"{point}.taken")
    except FileNotFoundError:  # another task was quicker
        mine.unlink()
        return
    mine.rename(folder / f"{point}.reached")
    deadline = time.monotonic() + _LONGEST
    while not (folder / f"{point}.go").exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def _before(target: type, name: str, act: Callable[[], None]) -> None:
    """Have something done before a method's own work."""
    real = getattr(target, name)

    @functools.wraps(real)
    def wrapped(*args: Any, **options: Any) -> Any:
        act()
        return real(*args, **options)

    setattr(target, name, wrapped)


def _watch_parse() -> None:
    # Imported in the task's own process: a worker that has loaded polars must not fork.
    from cityledger.lifecycle.parse import Parse

    real = Parse.__iter__

    def reading(self: Parse) -> Iterator[Any]:
        for batch in real(self):
            stop("parse")
            yield batch

    Parse.__iter__ = reading  # type: ignore[method-assign]


def _watch_part() -> None:
    from cityledger.lifecycle.parts.plan import PartShelf

    _before(PartShelf, "save_mark", functools.partial(stop, "part"))


def _read_small_blocks() -> None:
    """Files of the tests are small; blocks of the usual 16 MiB would have no seams in them."""
    from cityledger.lifecycle.readers import encoding

    encoding.BLOCK = BLOCK


def _watch_dbt() -> None:
    from dbt.cli.main import dbtRunner

    real, done = dbtRunner.__init__, []

    def tell(event: Any) -> None:
        if event.info.name == "NodeFinished":
            done.append(event)
        if len(done) == _NODES:
            stop("dbt")

    def with_ears(self: dbtRunner, *args: Any, **options: Any) -> None:
        real(self, *args, **{**options, "callbacks": [tell]})

    dbtRunner.__init__ = with_ears


if FOLDER in os.environ:
    _before(Runner, "parse_validate", _watch_parse)
    _before(Runner, "split", _read_small_blocks)
    _before(Runner, "parse_part", _read_small_blocks)
    _before(Runner, "parse_part", _watch_part)
    _before(Runner, "standardise", _watch_dbt)
    _before(Journal, "save_validation", functools.partial(stop, "validate"))
    _before(Journal, "save_standardisation", functools.partial(stop, "built"))
