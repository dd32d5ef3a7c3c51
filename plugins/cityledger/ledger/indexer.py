"""Follows the journal of events and keeps the graph up to date.

The position is saved in the transaction that writes a batch, so a crash repeats or loses nothing.
Whoever reads the graph calls :meth:`Indexer.catch_up` first and so sees what it has just written;
the collector also does it in the background.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, text

from cityledger.ledger.completeness import close_runs
from cityledger.ledger.events import Verdict, judge
from cityledger.ledger.facts import read_facts
from cityledger.ledger.graph_writer import GraphWriter, write_remarks
from cityledger.storage.database import Database

_READER = "graph"
_EVENTS = 1000
_BYTES = 32 * 1024 * 1024
_POLL = 0.02

_POSITION = text(f"SELECT event FROM cityledger.graph_position WHERE reader = '{_READER}'")
_NEWEST = text("SELECT coalesce(max(id), 0) FROM cityledger.lineage_event")
_PROGRESS = text(f"SELECT coalesce(({_POSITION}), 0), ({_NEWEST})")
_SETTLED = text("SELECT pg_advisory_xact_lock(hashtextextended('cityledger:lineage_event', 0))")
_ALONE = text("SELECT pg_try_advisory_xact_lock(hashtextextended('cityledger:lineage_index', 0))")
_WAIT_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended('cityledger:lineage_index', 0))")
_MOVE = text(
    f"""
    INSERT INTO cityledger.graph_position AS old (reader, event, moved_at)
    VALUES ('{_READER}', :event, clock_timestamp())
    ON CONFLICT (reader) DO UPDATE SET event = excluded.event, moved_at = excluded.moved_at
    """
)
_SIZES = text(
    "SELECT id, octet_length(raw) AS size FROM cityledger.lineage_event"
    " WHERE id > :after AND id <= :upto ORDER BY id LIMIT :most"
)
_EVENTS_BETWEEN = text(
    "SELECT id, raw, received_at, run_id FROM cityledger.lineage_event"
    " WHERE id > :after AND id <= :upto ORDER BY id"
)
_TABLES = (
    "namespace",
    "node",
    "edge",
    "run",
    "run_dataset",
    "version",
    "facet",
    "column",
    "column_edge",
    "declared",
    "remark",
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the graph has come.

    Attributes:
        position: The newest event that the graph knows.
        newest: The newest event of the journal.
    """

    position: int
    newest: int

    @property
    def current(self) -> bool:
        """Whether the graph knows all events."""
        return self.position >= self.newest


def settled_horizon(connection: Connection) -> int:
    """The id up to which no event can still appear; waits for writers in the act.

    Call it in a transaction of its own: until that ends, nobody can write events.
    """
    connection.execute(_SETTLED)
    return int(connection.scalar(_NEWEST) or 0)


class Indexer:
    """Writes the graph; any number of them may run, one at a time works."""

    def __init__(self, database: Database, *, batch: int = _EVENTS) -> None:
        self._database, self._batch = database, batch

    def progress(self) -> Progress:
        """How far the graph has come.

        Raises:
            UnavailableError: the database does not answer.
        """
        with self._database.begin() as connection:
            row: Any = connection.execute(_PROGRESS).one()
            return Progress(row[0], row[1])

    def catch_up(self, seconds: float | None = None) -> Progress:
        """Index what has come in until now, for at most some seconds.

        Args:
            seconds: None for as long as it takes.

        Raises:
            UnavailableError: the database does not answer.
        """
        progress = self.progress()
        goal, deadline = progress.newest, None if seconds is None else time.monotonic() + seconds
        horizon = 0
        while progress.position < goal:
            if deadline is not None and time.monotonic() >= deadline:
                break
            if horizon < goal:
                with self._database.begin() as connection:
                    horizon = settled_horizon(connection)
            if not self._step(horizon):
                time.sleep(_POLL)  # another process is at it
            progress = Progress(self.progress().position, progress.newest)
        return progress

    def reindex(self) -> None:
        """Empty the graph; what follows rebuilds it from the events.

        Until it has caught up, answers say that they are partial.
        """
        names = ", ".join(f"cityledger.graph_{name}" for name in _TABLES)
        with self._database.begin() as connection:
            connection.execute(_WAIT_ALONE)
            connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))
            connection.execute(_MOVE, {"event": 0})

    def _step(self, horizon: int) -> bool:
        """Index one batch; False when another process is indexing."""
        with self._database.begin() as connection:
            if not connection.scalar(_ALONE):
                return False
            after = int(connection.scalar(_POSITION) or 0)
            upto = self._upto(connection, after, horizon)
            if upto > after:
                _index(connection, after, upto)
            connection.execute(_MOVE, {"event": max(after, upto)})
        return True

    def _upto(self, connection: Connection, after: int, horizon: int) -> int:
        """The last event of a batch that is bounded in number and bytes."""
        bounds = {"after": after, "upto": horizon, "most": self._batch}
        sizes = connection.execute(_SIZES, bounds).all()
        if not sizes:
            return horizon
        total = accumulate(row.size for row in sizes)
        fitting = [row.id for row, sum_ in zip(sizes, total, strict=True) if sum_ <= _BYTES]
        return int(fitting[-1] if fitting else sizes[0].id)


def _index(connection: Connection, after: int, upto: int) -> None:
    writer = GraphWriter()
    remarks: list[tuple[int, Verdict, tuple[str, ...]]] = []
    broken: set[str] = set()
    bounds = {"after": after, "upto": upto}
    for row in connection.execute(_EVENTS_BETWEEN, bounds):
        judged = judge(row.raw)
        if judged.verdict is not Verdict.VALID:
            remarks.append((row.id, judged.verdict, judged.reasons))
        if judged.verdict is Verdict.INVALID:
            broken |= {row.run_id} if row.run_id else set()
            continue
        writer.add(read_facts(row.id, judged, row.received_at))
    write_remarks(connection, remarks)
    writer.write(connection)
    close_runs(connection, writer.run_ids | broken, upto)
