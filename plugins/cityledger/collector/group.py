"""Puts events that arrive at the same time into one transaction.

A commit waits for the disk; waiting once for all that came in meanwhile is what makes single
events cheap. An answer is given when its event is on disk, no sooner.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from cityledger.errors import CityLedgerError, UnavailableError
from cityledger.ledger.event_store import EventStore, Stored

_EVENTS = 500
_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Waiting:
    raw: bytes
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Stored]


class GroupWriter:
    """Appends events from many requests; its thread starts with the first one."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._waiting: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    async def append(self, raw: bytes) -> Stored:
        """Keep an event.

        Raises:
            UnavailableError: the database does not take it; it is not kept.
        """
        self._start()
        loop = asyncio.get_running_loop()
        waiting = _Waiting(raw, loop, loop.create_future())
        self._waiting.put(waiting)
        return await waiting.answer

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():  # dead after a fork
                self._thread = threading.Thread(
                    target=self._run, name="collector-write", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._write(self._take())

    def _take(self) -> list[_Waiting]:
        taken = [self._waiting.get()]
        size = len(taken[0].raw)
        while len(taken) < _EVENTS and size < _BYTES:
            try:
                taken.append(self._waiting.get_nowait())
            except queue.Empty:
                break
            size += len(taken[-1].raw)
        return taken

    def _write(self, taken: list[_Waiting]) -> None:
        try:
            stored = self._store.append([one.raw for one in taken])
        except CityLedgerError as error:
            self._fail(taken, error)
        except SQLAlchemyError as error:
            # The class only: the text of a database error repeats the values.
            words = f"the database does not take events ({type(error).__name__})"
            self._fail(taken, UnavailableError(words, code="lineage_not_stored"))
        else:
            for one, kept in zip(taken, stored, strict=True):
                one.loop.call_soon_threadsafe(_succeed, one.answer, kept)

    def _fail(self, taken: list[_Waiting], error: CityLedgerError) -> None:
        for one in taken:
            one.loop.call_soon_threadsafe(_raise, one.answer, error)


def _succeed(answer: asyncio.Future[Stored], stored: Stored) -> None:
    if not answer.done():  # its client may have gone
        answer.set_result(stored)


def _raise(answer: asyncio.Future[Stored], error: CityLedgerError) -> None:
    if not answer.done():
        answer.set_exception(error)
