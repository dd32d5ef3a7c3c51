"""Questions to the lineage graph: what is it made of, what depends on it, as of when.

Answers are found level by level over integer ids, each level one index scan, bounded by a budget
of nodes: a dataset with a million consumers costs no more than one with a thousand, and the answer
says that it was cut (`truncated`). Cycles end because a node is entered once. All levels are one
statement, which keeps the frontier and the nodes met as arrays.

An answer also says whether it can be trusted to be whole (`partial`): it cannot when a run of one
of its jobs lacks something it declared, or while events have not been indexed yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from cityledger.ledger.facts import ColumnName, Name, NodeKind
from cityledger.ledger.indexer import Indexer, Progress
from cityledger.storage.arrays import array_text
from cityledger.storage.database import Database

#: Nodes that an answer has at most, unless the question says otherwise.
BUDGET = 2000

# Edges that one node contributes to a level at most; a hub is cut here rather than at the budget.
_FAN = 1000
_GAPPED_RUNS = 50

# Each row is a level. PostgreSQL's recursion sees one level at a time, so what has been met goes
# along as an array. Edges are told to nodes of the answer only; the last level of an answer that is
# cut has far more.
_WALK = """
    WITH RECURSIVE walk (step, frontier, seen, source, target, cut) AS (
        SELECT 0, ARRAY[CAST(:root AS bigint)], CAST(:seen AS bigint[]),
               CAST('{{}}' AS bigint[]), CAST('{{}}' AS bigint[]), false
        UNION ALL
        SELECT walk.step + 1, fresh.ids, walk.seen || fresh.ids, level.source, level.target,
               fresh.cut
               OR level.edges >= least(:most, CAST(:fan AS bigint) * cardinality(walk.frontier))
        FROM walk
        CROSS JOIN LATERAL (
            SELECT array_agg(e.source) AS source, array_agg(e.target) AS target, count(*) AS edges
            FROM (
                SELECT e.source, e.target FROM unnest(walk.frontier) AS f (id)
                CROSS JOIN LATERAL (
                    SELECT source, target FROM cityledger.graph_edge WHERE {here} = f.id {as_of}
                    ORDER BY {beyond} LIMIT :fan
                ) e LIMIT :most
            ) e
        ) level
        CROSS JOIN LATERAL (
            SELECT coalesce(
                       array_agg(met.id ORDER BY met.place) FILTER (WHERE met.number <= met.room),
                       '{{}}'
                   ) AS ids,
                   coalesce(bool_or(met.number > met.room), false) AS cut
            FROM (
                SELECT t.id, min(t.place) AS place, row_number() OVER (ORDER BY min(t.place))
                       AS number, :budget - cardinality(walk.seen) AS room
                FROM unnest(level.{beyond}) WITH ORDINALITY AS t (id, place)
                WHERE NOT EXISTS (SELECT FROM unnest(walk.seen) AS s (id) WHERE s.id = t.id)
                GROUP BY t.id
            ) met
        ) fresh
        WHERE walk.step < :depth AND cardinality(walk.frontier) > 0
    ), met AS (
        SELECT seen FROM walk ORDER BY step DESC LIMIT 1
    )
    SELECT met.seen, kept.source, kept.target, (SELECT bool_or(cut) FROM walk) AS cut
    FROM met CROSS JOIN LATERAL (
        SELECT array_agg(e.source) AS source, array_agg(e.target) AS target
        FROM walk CROSS JOIN LATERAL unnest(walk.source, walk.target) AS e (source, target)
        WHERE e.{beyond} IN (SELECT unnest(met.seen))
    ) kept
"""
_NODES = text(
    """
    SELECT node.id, node.kind, space.name AS namespace, node.name, node.first_at, node.last_at,
           node.lifecycle
    FROM cityledger.graph_node node
    JOIN cityledger.graph_namespace space ON space.id = node.namespace
    WHERE node.id = ANY(CAST(:ids AS bigint[]))
    """
)
_FIND = text(
    """
    SELECT node.id, node.kind, space.name AS namespace, node.name, node.first_at, node.last_at,
           node.lifecycle
    FROM cityledger.graph_node node
    JOIN cityledger.graph_namespace space ON space.id = node.namespace
    WHERE node.digest = ANY(CAST(:digests AS bytea[]))
    """
)
# A gap is closed when the same job has later completed the same period without one.
_GAPS = text(
    """
    SELECT run.run_id, space.name AS namespace, node.name AS job, run.state, run.first_at, run.gaps
    FROM cityledger.graph_run run
    JOIN cityledger.graph_node node ON node.id = run.job
    JOIN cityledger.graph_namespace space ON space.id = node.namespace
    WHERE run.job = ANY(CAST(:jobs AS bigint[])) AND run.gaps <> '[]'::jsonb
      AND run.first_at <= coalesce(CAST(:as_of AS timestamptz), 'infinity')
      AND NOT EXISTS (
          SELECT FROM cityledger.graph_run later
          WHERE later.job = run.job AND later.first_at > run.first_at
            AND later.first_at <= coalesce(CAST(:as_of AS timestamptz), 'infinity')
            AND later.state = 'COMPLETED' AND later.gaps = '[]'::jsonb
            AND later.nominal_start IS NOT DISTINCT FROM run.nominal_start)
    ORDER BY run.first_at DESC LIMIT :most
    """
)
_RUN = text(
    """
    SELECT run.id, run.run_id, run.job, run.state, run.first_at, run.started_at, run.ended_at,
           run.nominal_start, run.nominal_end, run.parent_run, run.gaps
    FROM cityledger.graph_run run WHERE run.run_id = ANY(CAST(:runs AS text[]))
    """
)
_RUNS_BY_ID = text(
    """
    SELECT run.id, run.run_id, run.job, run.state, run.first_at, run.started_at, run.ended_at,
           run.nominal_start, run.nominal_end, run.parent_run, run.gaps
    FROM cityledger.graph_run run WHERE run.id = ANY(CAST(:ids AS bigint[]))
    """
)
# What runs touched; a row without a version says less than one with it, so it gives way.
_TOUCHED = """
    SELECT t.run, t.node, t.direction, t.version, t.last_at
    FROM cityledger.graph_run_dataset t
    WHERE t.run = ANY(CAST(:runs AS bigint[]))
      AND (t.version <> 0 OR NOT EXISTS (
          SELECT FROM cityledger.graph_run_dataset better
          WHERE better.run = t.run AND better.node = t.node
            AND better.direction = t.direction AND better.version <> 0))
"""
# The run that made a version; where none was named, the last one that wrote before the reader did.
_MAKERS = text(
    f"""
    SELECT DISTINCT maker.run
    FROM ({_TOUCHED}) t
    CROSS JOIN LATERAL (
        (SELECT w.run FROM cityledger.graph_run_dataset w
         WHERE t.version <> 0 AND w.node = t.node AND w.version = t.version AND w.direction = 1
         ORDER BY w.first_at LIMIT 1)
        UNION ALL
        (SELECT w.run FROM cityledger.graph_run_dataset w
         WHERE t.version = 0 AND w.node = t.node AND w.direction = 1 AND w.last_at <= t.last_at
         ORDER BY w.last_at DESC LIMIT 1)
    ) maker
    WHERE t.direction = 0 LIMIT :most
    """
)
_USERS = text(
    f"""
    SELECT DISTINCT r.run
    FROM ({_TOUCHED}) t
    JOIN cityledger.graph_run_dataset r
      ON r.node = t.node AND r.version = t.version AND r.direction = 0
    WHERE t.direction = 1 AND t.version <> 0 LIMIT :most
    """
)
_VERSIONS = text(
    "SELECT id, uuid, version, first_at FROM cityledger.graph_version"
    " WHERE id = ANY(CAST(:ids AS bigint[]))"
)
_COLUMN_EDGES = """
    SELECT e.source, e.target, e.job, e.first_at, e.last_at, e.transformations
    FROM cityledger.graph_column_edge e
    WHERE e.{end} = ANY(CAST(:frontier AS bigint[])) {as_of} LIMIT :most
"""
_COLUMNS = text(
    """
    SELECT c.id, c.node, c.name, c.whole, c.first_at, c.last_at
    FROM cityledger.graph_column c WHERE c.id = ANY(CAST(:ids AS bigint[]))
    """
)
# Towards the sources, what went into the whole dataset went into each column as well.
_WHOLES = text(
    """
    SELECT whole.id FROM cityledger.graph_column c
    JOIN cityledger.graph_column whole ON whole.node = c.node AND whole.whole
    WHERE c.id = ANY(CAST(:ids AS bigint[])) AND NOT c.whole
    """
)
_PARTS = text(
    """
    SELECT part.id FROM cityledger.graph_column c
    JOIN cityledger.graph_column part ON part.node = c.node AND NOT part.whole
    WHERE c.id = ANY(CAST(:ids AS bigint[])) AND c.whole
    """
)
_COLUMNS_OF = text(
    """
    SELECT id, node, name, whole, first_at, last_at FROM cityledger.graph_column
    WHERE node = ANY(CAST(:nodes AS bigint[])) ORDER BY node, id
    """
)
_COLUMN_BY_DIGEST = text("SELECT id FROM cityledger.graph_column WHERE digest = :digest")
_COLUMNS_MADE_BY = text("SELECT DISTINCT target FROM cityledger.graph_column_edge WHERE job = :job")
# Jobs that read a dataset and have not said which columns they took from it.
_SILENT = text(
    """
    SELECT DISTINCT node.id FROM cityledger.graph_edge e
    JOIN cityledger.graph_node node ON node.id = e.target AND node.kind = 0
    WHERE e.source = ANY(CAST(:nodes AS bigint[])) AND NOT EXISTS (
        SELECT FROM cityledger.graph_column_edge c
        JOIN cityledger.graph_column source ON source.id = c.source
        WHERE c.job = node.id AND source.node = e.source)
    """
)


class Towards(StrEnum):
    """Which way to look."""

    SOURCES = "upstream"
    USES = "downstream"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Node:
    """A job or a dataset.

    Attributes:
        lifecycle: The newest change that was told of a dataset; ``DROP`` means it is gone, and it
            stays in the graph all the same.
    """

    id: int
    kind: NodeKind
    namespace: str
    name: str
    first_at: datetime
    last_at: datetime
    lifecycle: str | None = None

    @property
    def node_id(self) -> str:
        """How Marquez's API names it: ``dataset:<namespace>:<name>``."""
        return f"{self.kind.name.lower()}:{self.namespace}:{self.name}"


class Edge(NamedTuple):
    """Data flows from one node to another."""

    source: int
    target: int


@dataclass(frozen=True, slots=True)
class GappedRun:
    """A run whose lineage is not all there.

    Attributes:
        gaps: Each with ``code`` and, where it is about something, ``namespace`` and ``name``;
            `completeness.describe` puts it in words.
    """

    run_id: str
    namespace: str
    job: str
    state: str
    at: datetime
    gaps: tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class Wholeness:
    """Whether an answer can be relied on to be whole.

    Attributes:
        behind: Events that have come in and are not in the graph yet (at most; ids may skip).
    """

    runs: tuple[GappedRun, ...] = ()
    behind: int = 0

    @property
    def partial(self) -> bool:
        """Whether something may be missing."""
        return bool(self.runs or self.behind)


@dataclass(frozen=True, slots=True)
class Subgraph:
    """A part of the graph around a node.

    Attributes:
        nodes: The root first, then by distance from it.
        truncated: There is more than the budget allowed.
    """

    root: Node
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    truncated: bool
    wholeness: Wholeness


@dataclass(frozen=True, slots=True)
class Run:
    """A run and what its events say of it."""

    id: int
    run_id: str
    job: int
    state: str
    first_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    nominal_start: datetime | None
    nominal_end: datetime | None
    parent_run: str | None
    gaps: tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a dataset: S3 version id, DuckLake snapshot id or what a producer called it."""

    id: int
    uuid: str
    version: str
    first_at: datetime


@dataclass(frozen=True, slots=True)
class Touch:
    """A run read (0) or wrote (1) a dataset; ``version`` is None where none was named."""

    run: int
    node: int
    direction: int
    version: Version | None


@dataclass(frozen=True, slots=True)
class RunGraph:
    """Runs linked by the versions that one wrote and another read."""

    root: Run
    runs: tuple[Run, ...]
    nodes: dict[int, Node]
    touches: tuple[Touch, ...]
    truncated: bool
    wholeness: Wholeness


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a dataset; ``whole`` stands for all of them (a filter, a join key)."""

    id: int
    node: int
    name: str
    whole: bool
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class ColumnEdge:
    """A column was made from another one, by a job (0: told without one)."""

    source: int
    target: int
    job: int
    transformations: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class ColumnGraph:
    """Columns linked by what they were made from.

    Attributes:
        silent_jobs: Jobs that read one of the datasets without saying which columns: what they
            made may depend on a column, too.
    """

    roots: tuple[int, ...]
    columns: tuple[Column, ...]
    edges: tuple[ColumnEdge, ...]
    nodes: dict[int, Node]
    silent_jobs: tuple[Node, ...]
    truncated: bool
    wholeness: Wholeness


@dataclass
class _Walk:
    """Nodes met so far, in order, and the edges between them."""

    budget: int
    seen: dict[int, None]
    edges: dict[tuple[int, ...], Any] = field(default_factory=dict)
    truncated: bool = False

    def enter(self, ids: Iterable[int]) -> list[int]:
        """Those that are new, as far as the budget goes."""
        fresh = []
        for one in ids:
            if one in self.seen:
                continue
            if len(self.seen) >= self.budget:
                self.truncated = True
                break
            self.seen[one] = None
            fresh.append(one)
        return fresh

    @property
    def room(self) -> int:
        """How many rows a level may bring; one too many tells that there are more."""
        return 3 * self.budget + 1


class LineageGraph:
    """Answers questions; each call first lets the graph catch up with the events.

    Args:
        wait: Seconds that a question waits for that; then the answer says how far behind it is.
    """

    def __init__(self, database: Database, *, wait: float = 5.0) -> None:
        self._database, self._wait = database, wait
        self._indexer = Indexer(database)

    def find(self, kind: NodeKind, namespace: str, name: str) -> Node | None:
        """A job or dataset by its name."""
        self.behind()
        return self._find([Name(kind, namespace, name)])

    def resolve(self, node_id: str) -> Node | None:
        """A node by Marquez's id: ``job:<namespace>:<name>`` or ``dataset:…``.

        Namespaces and names hold colons themselves (``s3://bucket``, ``ducklake://host:5432/db``),
        so every way to cut the id is tried; the one that exists is meant, the longest namespace
        first.
        """
        self.behind()
        kind, _, rest = node_id.partition(":")
        if kind not in {"job", "dataset"}:
            return None
        return self._find(_cuts(NodeKind[kind.upper()], rest))

    def resolve_column(self, rest: str) -> tuple[Node, int] | None:
        """Dataset and column id by ``<namespace>:<dataset>:<column>``, cut wherever it fits."""
        self.behind()
        parts = rest.split(":")
        with self._database.begin() as connection:
            for place in range(len(parts) - 1, 1, -1):
                field_name = ":".join(parts[place:])
                names = _cuts(NodeKind.DATASET, ":".join(parts[:place]))
                dataset = _find(connection, names)
                if dataset is None:
                    continue
                name = Name(NodeKind.DATASET, dataset.namespace, dataset.name)
                digest = ColumnName(name, field_name).digest
                if (number := connection.scalar(_COLUMN_BY_DIGEST, {"digest": digest})) is not None:
                    return dataset, int(number)
        return None

    def gapped(self, nodes: Iterable[Node], as_of: datetime | None = None) -> tuple[GappedRun, ...]:
        """Runs of the jobs among the nodes that lack something, and were not made good since."""
        with self._database.begin() as connection:
            return _gapped(connection, nodes, as_of)

    def nodes_by_id(self, ids: Iterable[int]) -> dict[int, Node]:
        """Nodes by the numbers that other answers name them with."""
        with self._database.begin() as connection:
            return _nodes(connection, ids)

    def progress(self) -> Progress:
        """How far the graph has come, without waiting for it."""
        return self._indexer.progress()

    def behind(self) -> int:
        """Let the graph catch up; how many events it lacks all the same."""
        progress = self._indexer.catch_up(self._wait)
        return max(0, progress.newest - progress.position)

    def around(
        self,
        node: Node,
        *,
        depth: int = 20,
        towards: Towards = Towards.BOTH,
        as_of: datetime | None = None,
        budget: int = BUDGET,
    ) -> Subgraph:
        """What a node comes from and what depends on it.

        Args:
            node: The root of the answer.
            towards: Which way to look.
            depth: Steps from node to node; a job and its dataset are one step apart.
            as_of: Only what was known to have happened until then.
            budget: Nodes at most.

        Raises:
            UnavailableError: the database does not answer.
        """
        behind = self.behind()
        walk = _Walk(budget, {node.id: None})
        with self._database.begin() as connection:
            for way, ends in _WAYS.items():
                if towards in {way, Towards.BOTH}:
                    _walk_nodes(connection, walk, node.id, depth, ends, as_of)
            nodes = _nodes(connection, walk.seen)
            gaps = _gapped(connection, nodes.values(), as_of)
        edges = tuple(Edge(*ends) for ends in walk.edges)
        ordered = tuple(nodes[one] for one in walk.seen if one in nodes)
        return Subgraph(node, ordered, edges, walk.truncated, Wholeness(gaps, behind))

    def run(self, run_id: str) -> Run | None:
        """A run by its id."""
        self.behind()
        with self._database.begin() as connection:
            rows = connection.execute(_RUN, {"runs": [run_id.lower()]})
            return next((run_of(row) for row in rows), None)

    def of_run(
        self,
        run: Run,
        *,
        depth: int = 20,
        towards: Towards = Towards.SOURCES,
        budget: int = BUDGET,
    ) -> RunGraph:
        """The runs that a run's inputs come from (or its outputs went to), by version.

        Exact where versions are named; where a run named none, its input is taken to be what was
        written last before it.
        """
        behind = self.behind()
        walk = _Walk(budget, {run.id: None})
        questions = {Towards.SOURCES: (_MAKERS,), Towards.USES: (_USERS,)}
        with self._database.begin() as connection:
            for question in questions.get(towards, (_MAKERS, _USERS)):
                frontier = [run.id]
                for _ in range(depth):
                    bounds = {"runs": frontier, "most": walk.room}
                    frontier = walk.enter(connection.scalars(question, bounds))
                    if not frontier:
                        break
            runs = {
                row.id: run_of(row)
                for row in connection.execute(_RUNS_BY_ID, {"ids": [*walk.seen]})
            }
            touches = _touches(connection, walk.seen)
            ids = {one.node for one in touches} | {one.job for one in runs.values()}
            nodes = _nodes(connection, ids)
        gaps = tuple(_gap_of(one, nodes[one.job]) for one in runs.values() if one.gaps)
        ordered = tuple(runs[one] for one in walk.seen if one in runs)
        return RunGraph(run, ordered, nodes, touches, walk.truncated, Wholeness(gaps, behind))

    def columns_of(self, node: Node) -> tuple[Column, ...]:
        """The columns that a dataset has or had."""
        self.behind()
        with self._database.begin() as connection:
            rows = connection.execute(_COLUMNS_OF, {"nodes": [node.id]})
            return tuple(_column(row) for row in rows if not row.whole)

    def columns(
        self,
        roots: Sequence[int],
        *,
        depth: int = 20,
        towards: Towards = Towards.SOURCES,
        as_of: datetime | None = None,
        budget: int = BUDGET,
    ) -> ColumnGraph:
        """What columns were made from, or what a change of them would reach."""
        behind = self.behind()
        walk = _Walk(budget, dict.fromkeys(roots))
        with self._database.begin() as connection:
            for way in (Towards.SOURCES, Towards.USES):
                if towards in {way, Towards.BOTH}:
                    _walk_columns(connection, walk, [*roots], depth, way, as_of)
            rows = connection.execute(_COLUMNS, {"ids": [*walk.seen]})
            columns = {row.id: _column(row) for row in rows}
            silent = _silent_jobs(connection, columns.values(), towards)
            jobs = {one.job for one in walk.edges.values()}
            nodes = _nodes(connection, {one.node for one in columns.values()} | jobs)
            gaps = _gapped(connection, nodes.values(), as_of)
        edges = [one for one in walk.edges.values() if {one.source, one.target} <= columns.keys()]
        return ColumnGraph(
            tuple(roots),
            tuple(columns[one] for one in walk.seen if one in columns),
            tuple(edges),
            nodes,
            silent,
            walk.truncated,
            Wholeness(gaps, behind),
        )

    def columns_made_by(self, job: Node) -> tuple[int, ...]:
        """Ids of the columns that a job said it makes."""
        self.behind()
        with self._database.begin() as connection:
            return tuple(connection.scalars(_COLUMNS_MADE_BY, {"job": job.id}))

    def _find(self, names: Sequence[Name]) -> Node | None:
        with self._database.begin() as connection:
            return _find(connection, names)


_WAYS = {Towards.SOURCES: ("target", "source"), Towards.USES: ("source", "target")}


def _cuts(kind: NodeKind, rest: str) -> list[Name]:
    """Every way to read ``<namespace>:<name>``, the longest namespace first."""
    parts = rest.split(":")
    return [
        Name(kind, ":".join(parts[:place]), ":".join(parts[place:]))
        for place in range(len(parts) - 1, 0, -1)
    ]


def _find(connection: Connection, names: Sequence[Name]) -> Node | None:
    if not names:
        return None
    rows = connection.execute(_FIND, {"digests": [name.digest for name in names]})
    found = [node_of(row) for row in rows]
    return max(found, key=lambda node: len(node.namespace), default=None)


def node_of(row: Any) -> Node:
    """A node from a row of the graph, whose first seven columns are a node's."""
    number, kind, namespace, name, first_at, last_at, lifecycle = row[:7]
    return Node(number, _KINDS[kind], namespace, name, first_at, last_at, lifecycle)


_KINDS = tuple(NodeKind)


def _nodes(connection: Connection, ids: Iterable[int]) -> dict[int, Node]:
    rows = connection.execute(_NODES, {"ids": array_text(ids)}).all()
    return {row[0]: node_of(row) for row in rows}


def run_of(row: Any) -> Run:
    """A run from a row of the graph."""
    return Run(
        row.id,
        row.run_id,
        row.job,
        row.state,
        row.first_at,
        row.started_at,
        row.ended_at,
        row.nominal_start,
        row.nominal_end,
        row.parent_run,
        tuple(row.gaps),
    )


def _column(row: Any) -> Column:
    return Column(row.id, row.node, row.name, row.whole, row.first_at, row.last_at)


def _gapped(
    connection: Connection, nodes: Iterable[Node], as_of: datetime | None
) -> tuple[GappedRun, ...]:
    jobs = [node.id for node in nodes if node.kind is NodeKind.JOB]
    bounds = {"jobs": array_text(jobs), "as_of": as_of, "most": _GAPPED_RUNS}
    return tuple(
        GappedRun(row.run_id, row.namespace, row.job, row.state, row.first_at, tuple(row.gaps))
        for row in connection.execute(_GAPS, bounds)
    )


def _gap_of(run: Run, job: Node) -> GappedRun:
    return GappedRun(run.run_id, job.namespace, job.name, run.state, run.first_at, run.gaps)


def _touches(connection: Connection, runs: Iterable[int]) -> tuple[Touch, ...]:
    rows = connection.execute(text(_TOUCHED), {"runs": [*runs]}).all()
    ids = {row.version for row in rows if row.version}
    versions = {
        row.id: Version(row.id, str(row.uuid), row.version, row.first_at)
        for row in connection.execute(_VERSIONS, {"ids": [*ids]})
    }
    return tuple(Touch(row.run, row.node, row.direction, versions.get(row.version)) for row in rows)


def _walk_nodes(
    connection: Connection,
    walk: _Walk,
    root: int,
    depth: int,
    ends: tuple[str, str],
    as_of: datetime | None,
) -> None:
    here, beyond = ends
    limit = "AND first_at <= :as_of" if as_of else ""
    question = text(_WALK.format(here=here, beyond=beyond, as_of=limit))
    bounds = {
        "root": root,
        "seen": array_text(walk.seen),
        "depth": depth,
        "fan": _FAN,
        "most": walk.room,
        "budget": walk.budget,
    }
    found = connection.execute(question, bounds | ({"as_of": as_of} if as_of else {})).one()
    walk.seen = dict.fromkeys(found.seen)
    walk.edges.update(dict.fromkeys(zip(found.source or (), found.target or (), strict=True)))
    walk.truncated |= found.cut


def _walk_columns(
    connection: Connection,
    walk: _Walk,
    frontier: list[int],
    depth: int,
    way: Towards,
    as_of: datetime | None,
) -> None:
    here, beyond = _WAYS[way]
    limit = "AND e.first_at <= :as_of" if as_of else ""
    question = text(_COLUMN_EDGES.format(end=here, as_of=limit))
    bounds: dict[str, Any] = {"most": walk.room} | ({"as_of": as_of} if as_of else {})
    for _ in range(depth):
        if way is Towards.SOURCES:
            frontier = frontier + walk.enter(connection.scalars(_WHOLES, {"ids": frontier}))
        rows = connection.execute(question, bounds | {"frontier": frontier}).all()
        walk.truncated |= len(rows) >= walk.room
        for row in rows:
            how = tuple(row.transformations)
            walk.edges[row.source, row.target, row.job] = ColumnEdge(
                row.source, row.target, row.job, how
            )
        frontier = walk.enter(getattr(row, beyond) for row in rows)
        if way is Towards.USES and frontier:
            frontier = frontier + walk.enter(connection.scalars(_PARTS, {"ids": frontier}))
        if not frontier:
            break


def _silent_jobs(
    connection: Connection, columns: Iterable[Column], towards: Towards
) -> tuple[Node, ...]:
    if towards is Towards.SOURCES:
        return ()
    ids = connection.scalars(_SILENT, {"nodes": [*{one.node for one in columns}]}).all()
    return tuple(_nodes(connection, ids).values())
