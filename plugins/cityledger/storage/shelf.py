"""Answers that are kept until a journal has a new row, whichever process added it.

Each question costs one cheap query: the newest ids of the journals, and the transactions that run.
A transaction takes ids before others that end earlier, so the newest id alone would not show its
rows; an answer therefore also ends with each transaction that ran when it was made.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, Text, cast, func, select

_TURNS = 16
_LIFETIME = 600.0  # seconds; a row has its number some microseconds before its transaction has one
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the journals are.

    Attributes:
        ids: The newest of each journal.
        running: Transactions that have begun to write and not ended.
    """

    ids: tuple[int | None, ...]
    running: frozenset[str]

    @classmethod
    def of(cls, connection: Connection, *journals: Table) -> Mark:
        """Of this moment; what is read afterwards is not older."""
        newest = (select(func.max(journal.c.id)).scalar_subquery() for journal in journals)
        row = connection.execute(select(cast(func.pg_current_snapshot(), Text), *newest)).one()
        running = row[0].split(":")[2].split(",")
        return cls(tuple(row[1:]), frozenset(one for one in running if one))

    def still(self, now: Mark) -> bool:
        """Whether nothing was added between this mark and another that was taken later."""
        return self.ids == now.ids and self.running <= now.running


@dataclass(frozen=True, slots=True)
class _Kept:
    mark: Mark
    until: float
    answer: Any

    def holds(self, now: Mark) -> bool:
        return self.mark.still(now) and time.monotonic() < self.until


class Shelf:
    """Keeps the answers asked for last; safe for several threads.

    Args:
        size: How many.
    """

    def __init__(self, size: int) -> None:
        self._size, self._lock = size, threading.Lock()
        self._answers: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._turns = [threading.Lock() for _ in range(_TURNS)]

    def get(self, key: Hashable, mark: Mark, make: Callable[[], _Answer]) -> _Answer:
        """The answer to a question; ``make`` finds it, once for all who ask at the same time.

        Args:
            key: The question with everything that decides the answer, but the journals.
            mark: How far the journals are; taken before the call.
            make: Must not ask the same shelf.
        """
        with self._turns[hash(key) % _TURNS]:
            known = self._answers.get(key)
            if known is None or not known.holds(mark):
                known = _Kept(mark, time.monotonic() + _LIFETIME, make())
            with self._lock:
                self._answers[key] = known
                self._answers.move_to_end(key)
                while len(self._answers) > self._size:
                    self._answers.popitem(last=False)
        answer: _Answer = known.answer
        return answer
