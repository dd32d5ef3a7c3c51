"""What the graph knows, one thing or a page of things at a time.

Facets are not copied into the graph; it knows which event said them last, and they are read from
there, so what is shown is what was received.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import Connection, text

from cityledger.ledger.events import Verdict, judge
from cityledger.ledger.facts import Direction, NodeKind, digest
from cityledger.ledger.graph import LineageGraph, Node, Run, Version, node_of, run_of
from cityledger.ledger.graph_writer import clean
from cityledger.storage.database import Database

# An event of megabytes is read when somebody asks for the thing itself, not for a page of things.
_LISTED_BYTES = 256 * 1024

_NODE = """
    SELECT node.id, node.kind, space.name AS namespace, node.name, node.first_at, node.last_at,
           node.lifecycle, count(*) OVER () AS total
    FROM cityledger.graph_node node
    JOIN cityledger.graph_namespace space ON space.id = node.namespace
"""
_PAGE = text(
    f"""{_NODE}
    WHERE node.kind = :kind AND (CAST(:space AS bytea) IS NULL OR space.digest = :space)
    ORDER BY node.name, node.id LIMIT :limit OFFSET :offset
    """
)
_SEARCH = """{select}
    WHERE node.name ILIKE :pattern
      AND (CAST(:kind AS smallint) IS NULL OR node.kind = :kind)
      AND (CAST(:space AS bytea) IS NULL OR space.digest = :space)
      AND node.last_at >= coalesce(CAST(:after AS timestamptz), '-infinity')
      AND node.last_at < coalesce(CAST(:before AS timestamptz), 'infinity')
    ORDER BY {order} LIMIT :limit
"""
_NAMESPACES = text(
    "SELECT name, first_at, last_at FROM cityledger.graph_namespace"
    " ORDER BY name, id LIMIT :limit OFFSET :offset"
)
_NAMESPACE = text(
    "SELECT name, first_at, last_at FROM cityledger.graph_namespace WHERE digest = :digest"
)
_RUN_COLUMNS = """
    SELECT run.id, run.run_id, run.job, run.state, run.first_at, run.started_at, run.ended_at,
           run.nominal_start, run.nominal_end, run.parent_run, run.gaps
"""
_RUNS = text(
    f"""{_RUN_COLUMNS}, count(*) OVER () AS total FROM cityledger.graph_run run
    WHERE run.job = :job ORDER BY run.first_at DESC, run.id DESC LIMIT :limit OFFSET :offset
    """
)
_LATEST_RUNS = text(
    f"""{_RUN_COLUMNS} FROM unnest(CAST(:jobs AS bigint[])) AS job (id)
    CROSS JOIN LATERAL (
        SELECT * FROM cityledger.graph_run r WHERE r.job = job.id
        ORDER BY r.first_at DESC, r.id DESC LIMIT :most
    ) run
    """
)
_ENDS = text(
    """
    SELECT job.id AS job, 0 AS direction, e.source AS node
    FROM unnest(CAST(:jobs AS bigint[])) AS job (id)
    CROSS JOIN LATERAL (SELECT source FROM cityledger.graph_edge
                        WHERE target = job.id ORDER BY source LIMIT :most) e
    UNION ALL
    SELECT job.id, 1, e.target FROM unnest(CAST(:jobs AS bigint[])) AS job (id)
    CROSS JOIN LATERAL (SELECT target FROM cityledger.graph_edge
                        WHERE source = job.id ORDER BY target LIMIT :most) e
    """
)
_VERSIONS = text(
    """
    SELECT v.id, v.uuid, v.version, v.first_at, v.event, maker.run, count(*) OVER () AS total
    FROM cityledger.graph_version v
    LEFT JOIN LATERAL (
        SELECT w.run FROM cityledger.graph_run_dataset w
        WHERE w.node = v.node AND w.version = v.id AND w.direction = 1
        ORDER BY w.first_at LIMIT 1
    ) maker ON true
    WHERE v.node = :node
      AND (CAST(:wanted AS text) IS NULL OR v.version = :wanted
           OR v.uuid = CAST(:uuid AS uuid))
    ORDER BY v.first_at DESC, v.id DESC LIMIT :limit OFFSET :offset
    """
)
_CURRENT = text(
    """
    SELECT node.id AS node, v.uuid, v.version FROM unnest(CAST(:nodes AS bigint[])) AS node (id)
    CROSS JOIN LATERAL (SELECT uuid, version FROM cityledger.graph_version
                        WHERE node = node.id ORDER BY first_at DESC, id DESC LIMIT 1) v
    """
)
_RUNS_BY_ID = text(
    f"{_RUN_COLUMNS} FROM cityledger.graph_run run WHERE run.id = ANY(CAST(:ids AS bigint[]))"
)
_FACETS = text(
    """
    SELECT f.node, f.name, f.event FROM cityledger.graph_facet f
    JOIN cityledger.lineage_event e ON e.id = f.event
    WHERE f.node = ANY(CAST(:nodes AS bigint[])) AND NOT f.deleted
      AND octet_length(e.raw) <= :most
    """
)
_RAW = text("SELECT id, raw FROM cityledger.lineage_event WHERE id = ANY(CAST(:ids AS bigint[]))")
_RUN_EVENTS = text(
    """
    SELECT e.run_id, e.raw FROM cityledger.lineage_event e
    LEFT JOIN cityledger.graph_remark r ON r.event = e.id AND r.severity = 'invalid'
    WHERE e.run_id = ANY(CAST(:runs AS text[])) AND r.event IS NULL
      AND octet_length(e.raw) <= :most
    ORDER BY e.event_time NULLS FIRST, e.id
    """
)
_TOUCHED = text(
    """
    SELECT t.run, t.node, t.direction, v.id, v.uuid, v.version, v.first_at, t.event
    FROM cityledger.graph_run_dataset t
    LEFT JOIN cityledger.graph_version v ON v.id = t.version
    WHERE t.run = ANY(CAST(:runs AS bigint[]))
      AND (t.version <> 0 OR NOT EXISTS (
          SELECT FROM cityledger.graph_run_dataset better
          WHERE better.run = t.run AND better.node = t.node
            AND better.direction = t.direction AND better.version <> 0))
    ORDER BY t.run, t.direction, t.node, v.first_at
    """
)
_NODES = text(f"{_NODE} WHERE node.id = ANY(CAST(:ids AS bigint[]))")
_EVENTS = """
    SELECT e.id, e.raw, e.received_at FROM cityledger.lineage_event e
    LEFT JOIN cityledger.graph_remark r ON r.event = e.id AND r.severity = 'invalid'
    WHERE r.event IS NULL AND e.event_time >= :after AND e.event_time < :before
      AND (CAST(:namespace AS text) IS NULL OR e.job_namespace = :namespace)
    ORDER BY e.id {direction} LIMIT :limit OFFSET :offset
"""
_EVENT_COUNT = text(
    """
    SELECT count(*) FROM cityledger.lineage_event e
    LEFT JOIN cityledger.graph_remark r ON r.event = e.id AND r.severity = 'invalid'
    WHERE r.event IS NULL AND e.event_time >= :after AND e.event_time < :before
      AND (CAST(:namespace AS text) IS NULL OR e.job_namespace = :namespace)
    """
)
_REMARKED = text(
    """
    SELECT r.event, e.sha256, e.received_at, e.producer, e.run_id, r.severity, r.reasons,
           octet_length(e.raw) AS size, count(*) OVER () AS total
    FROM cityledger.graph_remark r JOIN cityledger.lineage_event e ON e.id = r.event
    WHERE CAST(:severity AS text) IS NULL OR r.severity = :severity
    ORDER BY r.event DESC LIMIT :limit OFFSET :offset
    """
)
_GAPPED = text(
    f"""{_RUN_COLUMNS}, count(*) OVER () AS total FROM cityledger.graph_run run
    WHERE run.gaps <> '[]'::jsonb ORDER BY run.first_at DESC LIMIT :limit OFFSET :offset
    """
)
_DECLARE = text(
    "INSERT INTO cityledger.lineage_declaration (kind, digest, name, record)"
    " VALUES (:kind, :digest, :name, CAST(:record AS jsonb))"
)
_DECLARED = text(
    """
    SELECT DISTINCT ON (kind, digest) name, record, saved_at,
           min(saved_at) OVER (PARTITION BY kind, digest) AS first_at
    FROM cityledger.lineage_declaration
    WHERE kind = :kind AND (CAST(:digest AS bytea) IS NULL OR digest = :digest)
    ORDER BY kind, digest, id DESC
    """
)


T = TypeVar("T")

Facets = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a list.

    Attributes:
        total: How many there are in all (0 on a page beyond the end).
    """

    items: tuple[T, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace of jobs and datasets."""

    name: str
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class MadeVersion:
    """A version of a dataset, the run that wrote it, and what was said of the dataset then."""

    version: Version
    run: Run | None
    facets: Facets


@dataclass(frozen=True, slots=True)
class RunDataset:
    """A dataset as a run read (0) or wrote (1) it, with the facets of that occasion."""

    run: int
    node: Node
    direction: Direction
    version: Version | None
    facets: Facets


@dataclass(frozen=True, slots=True)
class Remarked:
    """An event with faults; its bytes are in the journal as they came.

    Attributes:
        severity: ``invalid`` (nothing could be read from it) or ``flawed`` (facets left out).
    """

    event: int
    sha256: str
    received_at: datetime
    producer: str | None
    run_id: str | None
    severity: Verdict
    reasons: tuple[str, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Declaration:
    """What somebody declared beside events: a namespace's owner, a tag's meaning, a source."""

    name: str
    record: Facets
    first_at: datetime
    saved_at: datetime


class Catalog:
    """Reads the graph; call ``graph.behind()`` (or any question) first to see what is newest."""

    def __init__(self, database: Database, graph: LineageGraph) -> None:
        self._database, self.graph = database, graph

    def namespaces(self, limit: int, offset: int) -> tuple[Namespace, ...]:
        """Namespaces by name."""
        with self._database.begin() as connection:
            rows = connection.execute(_NAMESPACES, {"limit": limit, "offset": offset})
            return tuple(Namespace(row.name, row.first_at, row.last_at) for row in rows)

    def namespace(self, name: str) -> Namespace | None:
        """A namespace that some event named."""
        with self._database.begin() as connection:
            row = connection.execute(_NAMESPACE, {"digest": digest(name)}).one_or_none()
            return Namespace(row.name, row.first_at, row.last_at) if row else None

    def nodes(self, kind: NodeKind, namespace: str | None, limit: int, offset: int) -> Page[Node]:
        """Jobs or datasets by name, of one namespace or of all."""
        bounds = {
            "kind": int(kind),
            "space": None if namespace is None else digest(namespace),
            "limit": limit,
            "offset": offset,
        }
        with self._database.begin() as connection:
            return _page(connection.execute(_PAGE, bounds).all())

    def search(
        self,
        words: str,
        *,
        kind: NodeKind | None = None,
        namespace: str | None = None,
        by_time: bool = False,
        after: datetime | None = None,
        before: datetime | None = None,
        limit: int = 10,
    ) -> Page[Node]:
        """Jobs and datasets whose name holds the words, in any case; ``%`` and ``_`` are wild.

        Args:
            words: What to look for.
            kind: Only jobs, or only datasets.
            namespace: Only of this one.
            by_time: The newest first instead of by name.
            after: Only what was last heard of then or later.
            before: Only what was last heard of earlier.
            limit: How many at most; the page's total counts all.
        """
        order = "node.last_at DESC, node.id" if by_time else "node.name, node.id"
        bounds = {
            "pattern": f"%{words}%",
            "kind": None if kind is None else int(kind),
            "space": None if namespace is None else digest(namespace),
            "after": after,
            "before": before,
            "limit": limit,
        }
        with self._database.begin() as connection:
            question = text(_SEARCH.format(select=_NODE, order=order))
            return _page(connection.execute(question, bounds).all())

    def runs(self, job: Node, limit: int, offset: int) -> Page[Run]:
        """A job's runs, the newest first."""
        bounds = {"job": job.id, "limit": limit, "offset": offset}
        with self._database.begin() as connection:
            rows = connection.execute(_RUNS, bounds).all()
        return Page(tuple(run_of(row) for row in rows), rows[0].total if rows else 0)

    def gapped_runs(self, limit: int, offset: int) -> Page[tuple[Run, Node]]:
        """Runs whose lineage is not all there, with their jobs, the newest first."""
        bounds = {"limit": limit, "offset": offset}
        with self._database.begin() as connection:
            rows = connection.execute(_GAPPED, bounds).all()
            jobs = _nodes(connection, {row.job for row in rows})
        found = tuple((run_of(row), jobs[row.job]) for row in rows)
        return Page(found, rows[0].total if rows else 0)

    def latest_runs(self, jobs: Iterable[Node], most: int = 10) -> dict[int, list[Run]]:
        """The newest runs of each job, by the job's id."""
        bounds = {"jobs": [job.id for job in jobs], "most": most}
        found: dict[int, list[Run]] = defaultdict(list)
        with self._database.begin() as connection:
            for row in connection.execute(_LATEST_RUNS, bounds):
                found[row.job].append(run_of(row))
        return found

    def ends(self, jobs: Iterable[Node], most: int = 1000) -> dict[int, tuple[list[Node], ...]]:
        """What each job reads and writes, by the job's id."""
        bounds = {"jobs": [job.id for job in jobs], "most": most}
        with self._database.begin() as connection:
            rows = connection.execute(_ENDS, bounds).all()
            nodes = _nodes(connection, {row.node for row in rows})
        found: dict[int, tuple[list[Node], ...]] = defaultdict(lambda: ([], []))
        for row in rows:
            if nodes[row.node].kind is NodeKind.DATASET:
                found[row.job][row.direction].append(nodes[row.node])
        return found

    def versions(self, dataset: Node, limit: int, offset: int) -> Page[MadeVersion]:
        """A dataset's versions, the newest first."""
        return self._versions(dataset, None, limit, offset)

    def version(self, dataset: Node, wanted: str) -> MadeVersion | None:
        """A version by its own name or by the UUID that stands for it."""
        return next(iter(self._versions(dataset, wanted, 1, 0).items), None)

    def current_versions(self, datasets: Iterable[Node]) -> dict[int, str]:
        """The UUID of each dataset's newest version, by the dataset's id."""
        with self._database.begin() as connection:
            rows = connection.execute(_CURRENT, {"nodes": [one.id for one in datasets]})
            return {row.node: str(row.uuid) for row in rows}

    def facets(self, nodes: Sequence[Node], *, most: int = _LISTED_BYTES) -> dict[int, Facets]:
        """The newest facets of jobs and datasets, by the node's id.

        Args:
            nodes: What to read the facets of.
            most: Events with more bytes are left out.
        """
        bounds = {"nodes": [node.id for node in nodes], "most": most}
        with self._database.begin() as connection:
            rows = connection.execute(_FACETS, bounds).all()
            events = _bodies(connection, {row.event for row in rows})
        names = {node.id: node for node in nodes}
        found: dict[int, Facets] = {node.id: {} for node in nodes}
        for row in rows:
            told = _facets_of(events[row.event], names[row.node])
            if row.name in told:
                found[row.node][row.name] = told[row.name]
        return found

    def run_facets(self, runs: Iterable[Run], *, most: int = _LISTED_BYTES) -> dict[str, Facets]:
        """The facets that runs gathered over their events, by run id; the later event counts."""
        bounds = {"runs": [run.run_id for run in runs], "most": most}
        found: dict[str, Facets] = defaultdict(dict)
        with self._database.begin() as connection:
            for row in connection.execute(_RUN_EVENTS, bounds):
                body = judge(bytes(row.raw)).body
                found[row.run_id] |= body["run"].get("facets") or {}
        return found

    def touched(self, runs: Iterable[Run]) -> dict[int, list[RunDataset]]:
        """What each run read and wrote, by the run's id in the graph."""
        found: dict[int, list[RunDataset]] = defaultdict(list)
        with self._database.begin() as connection:
            rows = connection.execute(_TOUCHED, {"runs": [run.id for run in runs]}).all()
            nodes = _nodes(connection, {row.node for row in rows})
            events = _bodies(connection, {row.event for row in rows})
        for row in rows:
            node, direction = nodes[row.node], Direction(row.direction)
            version = _version(row) if row.version is not None else None
            told = _occasion(events[row.event], node, direction)
            found[row.run].append(RunDataset(row.run, node, direction, version, told))
        return found

    def events(
        self,
        *,
        after: datetime,
        before: datetime,
        namespace: str | None = None,
        newest_first: bool = True,
        limit: int = 100,
        offset: int = 0,
    ) -> Page[bytes]:
        """Events as they came, in order of reception; those that could not be read are not here."""
        bounds = {"after": after, "before": before, "namespace": namespace}
        question = text(_EVENTS.format(direction="DESC" if newest_first else "ASC"))
        with self._database.begin() as connection:
            rows = connection.execute(question, bounds | {"limit": limit, "offset": offset}).all()
            total = int(connection.scalar(_EVENT_COUNT, bounds) or 0)
        return Page(tuple(bytes(row.raw) for row in rows), total)

    def remarked(
        self, severity: Verdict | None = None, limit: int = 100, offset: int = 0
    ) -> Page[Remarked]:
        """Events with faults, the newest first."""
        bounds = {
            "severity": severity.value if severity else None,
            "limit": limit,
            "offset": offset,
        }
        with self._database.begin() as connection:
            rows = connection.execute(_REMARKED, bounds).all()
        found = tuple(
            Remarked(
                row.event,
                row.sha256,
                row.received_at,
                row.producer,
                row.run_id,
                Verdict(row.severity),
                tuple(row.reasons),
                row.size,
            )
            for row in rows
        )
        return Page(found, rows[0].total if rows else 0)

    def raw(self, event: int) -> bytes | None:
        """An event's bytes as received."""
        with self._database.begin() as connection:
            row = connection.execute(_RAW, {"ids": [event]}).one_or_none()
            return bytes(row.raw) if row else None

    def declare(self, kind: str, name: str, record: Mapping[str, Any]) -> Declaration:
        """Keep what somebody declared; the newest of a name counts, all are kept."""
        values = {
            "kind": kind,
            "digest": digest(name),
            "name": name,
            "record": to_json(record).decode(),
        }
        with self._database.begin() as connection:
            connection.execute(_DECLARE, values)
        found = self.declared(kind, name)
        if not found:
            raise LookupError(name)  # just written: only a broken database gets here
        return found[0]

    def declared(self, kind: str, name: str | None = None) -> tuple[Declaration, ...]:
        """The newest declarations of a kind, or of one name."""
        bounds = {"kind": kind, "digest": None if name is None else digest(name)}
        with self._database.begin() as connection:
            rows = connection.execute(_DECLARED, bounds)
            found = [Declaration(row.name, row.record, row.first_at, row.saved_at) for row in rows]
        return tuple(sorted(found, key=lambda one: one.name))

    def _versions(
        self, dataset: Node, wanted: str | None, limit: int, offset: int
    ) -> Page[MadeVersion]:
        bounds = {
            "node": dataset.id,
            "wanted": wanted,
            "uuid": _uuid(wanted),
            "limit": limit,
            "offset": offset,
        }
        with self._database.begin() as connection:
            rows = connection.execute(_VERSIONS, bounds).all()
            makers = connection.execute(_RUNS_BY_ID, {"ids": [row.run for row in rows if row.run]})
            runs = {row.id: run_of(row) for row in makers}
            events = _bodies(connection, {row.event for row in rows})
        found = tuple(
            MadeVersion(_version(row), runs.get(row.run), _facets_of(events[row.event], dataset))
            for row in rows
        )
        return Page(found, rows[0].total if rows else 0)


def _page(rows: Sequence[Any]) -> Page[Node]:
    return Page(tuple(node_of(row) for row in rows), rows[0].total if rows else 0)


def _nodes(connection: Connection, ids: Iterable[int]) -> dict[int, Node]:
    return {row.id: node_of(row) for row in connection.execute(_NODES, {"ids": [*ids]})}


def _bodies(connection: Connection, ids: Iterable[int]) -> dict[int, Any]:
    rows = connection.execute(_RAW, {"ids": [*ids]})
    return {row.id: judge(bytes(row.raw)).body for row in rows}


def _version(row: Any) -> Version:
    return Version(row.id, str(row.uuid), row.version, row.first_at)


def _uuid(text_: str | None) -> UUID | None:
    try:
        return UUID(text_) if text_ else None
    except ValueError:
        return None


def _facets_of(body: Mapping[str, Any], node: Node) -> Facets:
    """The facets that an event gives a node, wherever in the event it is named."""
    if node.kind is NodeKind.JOB:
        return _live(body.get("job", {}).get("facets"))
    found: Facets = {}
    for place in _datasets(body):
        if _is(place, node):
            found |= _live(place.get("facets"))
    return found


def _occasion(body: Mapping[str, Any], node: Node, direction: Direction) -> Facets:
    key, group = (
        ("inputs", "inputFacets") if direction is Direction.READ else ("outputs", "outputFacets")
    )
    found: Facets = {}
    for place in body.get(key) or ():
        if _is(place, node):
            found |= place.get(group) or {}
    return found


def _datasets(body: Mapping[str, Any]) -> Iterable[Any]:
    yield from body.get("inputs") or ()
    yield from body.get("outputs") or ()
    if "dataset" in body:
        yield body["dataset"]


def _is(place: Mapping[str, Any], node: Node) -> bool:
    return (clean(place["namespace"]), clean(place["name"])) == (node.namespace, node.name)


def _live(facets: Any) -> Facets:
    told = facets if isinstance(facets, dict) else {}
    return {
        name: one
        for name, one in told.items()
        if isinstance(one, dict) and one.get("_deleted") is not True
    }
