"""Reads of the ledger that only pages need: small, indexed, bounded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from cityledger.ledger.completeness import Entry, covers
from cityledger.ledger.facts import Direction
from cityledger.ledger.graph import Edge, Node, Run, node_of, run_of
from cityledger.storage.database import Database

#: Runs of a job that are looked at for failures nobody has made good.
_RECENT_RUNS = 10
_MOMENTS_FROM = 10_000  # runs

_NODE = """
    SELECT node.id, node.kind, space.name AS namespace, node.name, node.first_at, node.last_at,
           node.lifecycle
    FROM cityledger.graph_node node
    JOIN cityledger.graph_namespace space ON space.id = node.namespace
"""
_BY_KEY = text(f"{_NODE} WHERE node.digest = :digest")
_ALL = text(
    f"""{_NODE} WHERE node.first_at <= coalesce(CAST(:as_of AS timestamptz), 'infinity')
    ORDER BY node.id LIMIT :most"""
)
_ALL_EDGES = text(
    """
    SELECT source, target FROM cityledger.graph_edge
    WHERE first_at <= coalesce(CAST(:as_of AS timestamptz), 'infinity') LIMIT :most
    """
)
_GONE = text(
    """
    SELECT id FROM cityledger.graph_node
    WHERE id = ANY(CAST(:ids AS bigint[])) AND lifecycle = 'DROP'
      AND lifecycle_at <= coalesce(CAST(:as_of AS timestamptz), 'infinity')
    """
)
# A failure is made good when the same job has later completed the same period.
_FAILURES = text(
    """
    SELECT job.id AS job, count(*) AS failures
    FROM unnest(CAST(:jobs AS bigint[])) AS job (id)
    CROSS JOIN LATERAL (
        SELECT state, first_at, nominal_start FROM cityledger.graph_run
        WHERE job = job.id AND first_at <= coalesce(CAST(:as_of AS timestamptz), 'infinity')
        ORDER BY first_at DESC LIMIT :recent
    ) run
    WHERE run.state IN ('FAILED', 'ABORTED') AND NOT EXISTS (
        SELECT FROM cityledger.graph_run later
        WHERE later.job = job.id AND later.first_at > run.first_at
          AND later.first_at <= coalesce(CAST(:as_of AS timestamptz), 'infinity')
          AND later.state = 'COMPLETED'
          AND later.nominal_start IS NOT DISTINCT FROM run.nominal_start)
    GROUP BY job.id
    """
)
_MOMENTS = text(
    """
    SELECT date_trunc('minute', newest.first_at) AS moment FROM (
        SELECT first_at FROM cityledger.graph_run ORDER BY id DESC LIMIT :most
    ) newest GROUP BY 1 ORDER BY 1
    """
)
_RUN_COLUMNS = """run.id, run.run_id, run.job, run.state, run.first_at, run.started_at,
    run.ended_at, run.nominal_start, run.nominal_end, run.parent_run, run.gaps"""
_CHILDREN = text(
    f"""
    SELECT {_RUN_COLUMNS}, node.name FROM cityledger.graph_run run
    JOIN cityledger.graph_node node ON node.id = run.job
    WHERE run.parent_run = :run ORDER BY run.first_at, run.id LIMIT :most
    """
)
_FIND_RUNS = text(
    f"""
    SELECT {_RUN_COLUMNS}, node.name FROM cityledger.graph_run run
    JOIN cityledger.graph_node node ON node.id = run.job
    WHERE run.run_id >= :start AND run.run_id < :end ORDER BY run.run_id LIMIT :most
    """
)
_DECLARED = text(
    """
    SELECT direction, namespace, name FROM cityledger.graph_declared
    WHERE run = :run ORDER BY direction, namespace, name
    """
)
_RECEIVED = text(
    """
    SELECT t.direction, space.name AS namespace, node.name
    FROM cityledger.graph_run_dataset t
    JOIN cityledger.graph_node node ON node.id = t.node
    JOIN cityledger.graph_namespace space ON space.id = node.namespace
    WHERE t.run = :run
    UNION
    SELECT 2, space.name, node.name FROM cityledger.graph_run child
    JOIN cityledger.graph_node node ON node.id = child.job
    JOIN cityledger.graph_namespace space ON space.id = node.namespace
    WHERE child.parent_run = :run_id AND child.state = 'COMPLETED'
    """
)
_USES = text(
    f"""
    SELECT {_RUN_COLUMNS}, node.name, t.direction
    FROM cityledger.graph_run_dataset t
    JOIN cityledger.graph_run run ON run.id = t.run
    JOIN cityledger.graph_node node ON node.id = run.job
    WHERE t.node = :node AND t.version = :version
    ORDER BY t.direction DESC, run.first_at LIMIT :most
    """
)
_EVENT_COLUMNS = """e.id, e.sha256, e.event_time, e.event_type, e.received_at, e.run_id,
    e.job_namespace, e.job_name, e.producer, octet_length(e.raw) AS size,
    r.severity, r.reasons,
    (SELECT max(last_event_id) FROM cityledger.log_checkpoint) >= e.id AS logged"""
_EVENTS_OF_RUNS = text(
    f"""
    SELECT {_EVENT_COLUMNS} FROM cityledger.lineage_event e
    LEFT JOIN cityledger.graph_remark r ON r.event = e.id
    WHERE e.run_id = ANY(CAST(:runs AS text[])) ORDER BY e.id LIMIT :most
    """
)
_EVENT = text(
    f"""
    SELECT {_EVENT_COLUMNS} FROM cityledger.lineage_event e
    LEFT JOIN cityledger.graph_remark r ON r.event = e.id WHERE e.id = :event
    """
)
_NEWEST_EVENTS = text(
    f"""
    SELECT {_EVENT_COLUMNS} FROM cityledger.lineage_event e
    LEFT JOIN cityledger.graph_remark r ON r.event = e.id
    WHERE e.id < coalesce(CAST(:before AS bigint), 9223372036854775807)
      AND (NOT :faulty OR r.event IS NOT NULL)
    ORDER BY e.id DESC LIMIT :most
    """
)
# Of a landed, validated or quarantined object: the newest verdict that read or wrote it.
_VALIDATION = text(
    """
    SELECT id FROM cityledger.validation
    WHERE dataset = :dataset AND partition = :partition
      AND (record -> 'validated' ->> 'key' = :key OR record -> 'quarantined' ->> 'key' = :key
           OR record -> 'rejected' ->> 'key' = :key
           OR record -> 'inputs'
              @> jsonb_build_array(jsonb_build_object('key', CAST(:key AS text))))
    ORDER BY id DESC LIMIT 1
    """
)
_EVENT_BY_HASH = text("SELECT id FROM cityledger.lineage_event WHERE sha256 = :sha256")


@dataclass(frozen=True, slots=True)
class Whole:
    """All of the graph, as far as a budget goes."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class NamedRun:
    """A run with its job's name.

    Attributes:
        wrote: For runs that touched a version: whether they wrote it.
    """

    run: Run
    job: str
    wrote: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """A lineage event as the journal holds it, without its bytes.

    Attributes:
        severity: ``flawed`` or ``invalid`` when something is wrong with it.
        logged: Whether a signed checkpoint covers it.
    """

    id: int
    sha256: str
    time: datetime | None
    type: str | None
    received_at: datetime
    run_id: str | None
    job_namespace: str | None
    job_name: str | None
    producer: str | None
    size: int
    severity: str | None
    reasons: tuple[str, ...]
    logged: bool


@dataclass(frozen=True, slots=True)
class Declared:
    """Something that a run said it would touch, and whether it was received."""

    direction: Direction
    namespace: str
    name: str
    received: bool


class LedgerReads:
    """Questions of the pages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def node(self, key: str) -> Node | None:
        """A node by the key of its page."""
        rows = self._rows(_BY_KEY, digest=bytes.fromhex(key))
        return node_of(rows[0]) if rows else None

    def whole(self, as_of: datetime | None, most: int) -> Whole:
        """Everything there is, as of a time; the oldest first where it is too much."""
        nodes = [node_of(row) for row in self._rows(_ALL, as_of=as_of, most=most + 1)]
        edges = self._rows(_ALL_EDGES, as_of=as_of, most=4 * most + 1)
        truncated = len(nodes) > most or len(edges) > 4 * most
        known = {node.id for node in nodes[:most]}
        kept = tuple(
            Edge(row.source, row.target)
            for row in edges
            if row.source in known and row.target in known
        )
        return Whole(tuple(nodes[:most]), kept, truncated)

    def gone(self, nodes: Iterable[Node], as_of: datetime | None) -> frozenset[int]:
        """Ids of the datasets that had been deleted by then."""
        ids = [node.id for node in nodes if node.lifecycle == "DROP"]
        return frozenset(row.id for row in self._rows(_GONE, ids=ids, as_of=as_of))

    def failures(self, jobs: Iterable[int], as_of: datetime | None) -> dict[int, int]:
        """Failed runs that no later one has made good, by the job's id."""
        rows = self._rows(_FAILURES, jobs=[*jobs], as_of=as_of, recent=_RECENT_RUNS)
        return {row.job: row.failures for row in rows}

    def moments(self, most: int = 120) -> list[datetime]:
        """Minutes in which runs began, oldest first, evenly thinned out."""
        found = [row.moment for row in self._rows(_MOMENTS, most=_MOMENTS_FROM)]
        step = max(1, -(-len(found) // most))
        return found[::-step][::-1]

    def children(self, run_id: str, most: int = 500) -> list[NamedRun]:
        """Runs that a run started."""
        rows = self._rows(_CHILDREN, run=run_id, most=most)
        return [NamedRun(run_of(row), row.name) for row in rows]

    def runs_like(self, beginning: str, most: int = 10) -> list[NamedRun]:
        """Runs whose id begins with these characters."""
        start = beginning.lower()
        rows = self._rows(_FIND_RUNS, start=start, end=f"{start}g", most=most)
        return [NamedRun(run_of(row), row.name) for row in rows]

    def declared(self, run: Run) -> list[Declared]:
        """What a run said it would touch, each with whether it was received."""
        received = [Entry(*row) for row in self._rows(_RECEIVED, run=run.id, run_id=run.run_id)]
        return [
            Declared(
                Direction(row.direction),
                row.namespace,
                row.name,
                any(covers(Entry(*row), one) for one in received),
            )
            for row in self._rows(_DECLARED, run=run.id)
        ]

    def uses(self, node: Node, version: int, most: int = 200) -> list[NamedRun]:
        """Runs that wrote or read a version, writers first."""
        rows = self._rows(_USES, node=node.id, version=version, most=most)
        return [NamedRun(run_of(row), row.name, row.direction == 1) for row in rows]

    def events_of(self, runs: Sequence[str], most: int = 200) -> list[Event]:
        """Events of runs, in order of reception."""
        return [_event(row) for row in self._rows(_EVENTS_OF_RUNS, runs=[*runs], most=most)]

    def event(self, number: int) -> Event | None:
        """An event by its number."""
        return next((_event(row) for row in self._rows(_EVENT, event=number)), None)

    def newest_events(
        self, *, before: int | None = None, faulty: bool = False, most: int = 100
    ) -> list[Event]:
        """Events, the newest first."""
        rows = self._rows(_NEWEST_EVENTS, before=before, faulty=faulty, most=most)
        return [_event(row) for row in rows]

    def event_by_hash(self, sha256: str) -> int | None:
        """The number of the event whose bytes have this SHA-256."""
        rows = self._rows(_EVENT_BY_HASH, sha256=sha256)
        return rows[0].id if rows else None

    def validation_of(self, dataset: str, partition: str, key: str) -> int | None:
        """The run page's number of the newest verdict that an object belongs to."""
        rows = self._rows(_VALIDATION, dataset=dataset, partition=partition, key=key)
        return rows[0].id if rows else None

    def _rows(self, question: Any, **bounds: Any) -> Sequence[Any]:
        with self._database.begin() as connection:
            return connection.execute(question, bounds).all()


def _event(row: Any) -> Event:
    return Event(
        row.id,
        row.sha256,
        row.event_time,
        row.event_type,
        row.received_at,
        row.run_id,
        row.job_namespace,
        row.job_name,
        row.producer,
        row.size,
        row.severity,
        tuple(row.reasons or ()),
        bool(row.logged),
    )
