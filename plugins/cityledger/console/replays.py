"""Replays that people ask for on a page: short ones are waited for, long ones go on by themselves.

What became of a replay is read from the journal, never from this process's memory: the page that
tells it may be answered by another process of the same server, or after a restart. The database's
lock on the partition says whether somebody is at work.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import select

from cityledger.errors import CityLedgerError, UnavailableError
from cityledger.ledger.journal import Journal
from cityledger.people import Person
from cityledger.quarantine.corrections import PATIENCE_SECONDS
from cityledger.quarantine.replay import Replayed, replay_batch
from cityledger.records import Outcome, Stage
from cityledger.runner import Runner
from cityledger.storage import tables
from cityledger.storage.database import Database

_log = logging.getLogger(__name__)
#: Judging takes memory: more at a time would make all of them slower.
_AT_ONCE: Final = 2
#: How long a page waits before it answers that the work goes on.
ANSWER_WITHIN: Final = 5.0
#: A probe of a lock: long enough to ask, too short to be in anybody's way.
_PROBE_SECONDS: Final = 0.001
#: Between two attempts at the lock there may be a moment in which nobody seems to be at work.
_GRACE: Final = timedelta(seconds=PATIENCE_SECONDS + 10)

Place = tuple[str, str, str]


class State(StrEnum):
    """How a replay stands."""

    DONE = "done"
    UNCHANGED = "unchanged"
    RUNNING = "running"
    FAILED = "failed"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Progress:
    """What is known of a replay.

    Attributes:
        after: Run of the new verdict, when there is one.
        failure: The attempt that failed.
    """

    state: State
    after: int | None = None
    failure: Outcome | None = None


class Replays:
    """The replays that this process does."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="replay")
        self._lock = threading.RLock()  # a future that is done calls back at once
        self._running: dict[Place, Future[Replayed]] = {}

    def start(self, place: Place, work: Callable[[], Replayed]) -> Replayed | None:
        """Begin a replay, unless this process is at it already, and wait a little.

        Returns:
            The result, or None while the work goes on.

        Raises:
            CityLedgerError: it failed while we waited.
        """
        with self._lock:
            future = self._running.get(place)
            if future is None or future.done():
                future = self._running[place] = self._pool.submit(work)
                future.add_done_callback(lambda done: self._ended(place, done))
        wait([future], timeout=ANSWER_WITHIN)
        return future.result() if future.done() else None

    def _ended(self, place: Place, future: Future[Replayed]) -> None:
        error = future.exception()
        if error is not None:  # a foreign exception's text may hold values of rows
            why = error.code if isinstance(error, CityLedgerError) else type(error).__name__
            _log.warning("replay of %s failed: %s", "/".join(place), why)
        with self._lock:
            if self._running.get(place) is future:
                del self._running[place]


def replay_and_judge(runner: Runner, place: Place, by: Person) -> Replayed:
    """Replay a delivery and let the gate judge the new verdict.

    The gate judges the period's newest delivery only: an older one has been replaced.
    """
    dataset, partition, delivery = place
    done = replay_batch(runner, dataset, partition, delivery, by=by)
    newest = runner.journal.current_receipt(dataset, partition)
    if done.fresh and newest is not None and newest.delivery == delivery:
        runner.release(dataset, partition, delivery)
    return done


def newest_run(database: Database, place: Place) -> int | None:
    """The run (id of the validation) that a delivery's newest verdict has."""
    table = tables.validation
    dataset, partition, delivery = place
    query = (
        select(table.c.id)
        .where(
            table.c.dataset == dataset,
            table.c.partition == partition,
            table.c.delivery == delivery,
        )
        .order_by(table.c.id.desc())
        .limit(1)
    )
    with database.begin() as connection:
        found: int | None = connection.scalar(query)
    return found


def progress(database: Database, place: Place, before: int, asked_at: datetime) -> Progress:
    """How a replay stands that was asked for when ``before`` was the newest run.

    Args:
        database: Of the installation.
        place: Dataset, partition, delivery.
        before: Run that was the newest then.
        asked_at: When somebody pressed the button.
    """
    newest = newest_run(database, place)
    if newest is not None and newest > before:
        return Progress(State.DONE, after=newest)
    attempt = _attempt(database, place, asked_at)
    if attempt is not None:
        failed = attempt.status == "failure"
        return Progress(State.FAILED, failure=attempt) if failed else Progress(State.UNCHANGED)
    if _at_work(database, place) or datetime.now(UTC) - asked_at < _GRACE:
        return Progress(State.RUNNING)
    return Progress(State.LOST)


def _attempt(database: Database, place: Place, since: datetime) -> Outcome | None:
    """The newest attempt that left no new verdict: it failed, or there was nothing to do."""
    dataset, partition, delivery = place
    outcomes = Journal(database).outcomes(dataset, partition, Stage.VALIDATE, limit=20)
    idle = (one for one in outcomes if one.status in {"failure", "skipped"})
    mine = (one for one in idle if one.delivery in (None, delivery))
    return next((one for one in mine if one.started_at >= since), None)


def _at_work(database: Database, place: Place) -> bool:
    try:
        with database.lock(f"{place[0]}/{place[1]}", timeout=_PROBE_SECONDS):
            return False
    except UnavailableError as error:
        if error.code != "locked":
            raise
        return True
