"""Writes what events say into the graph's tables, a batch at a time.

Every merge takes the earliest or the latest of two times, so events may come in any order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, TextClause, text

from cityledger.ledger.events import Verdict
from cityledger.ledger.facts import (
    ColumnName,
    DatasetFacts,
    Direction,
    EventFacts,
    Name,
    RunFacts,
    digest,
    version_uuid,
)
from cityledger.storage.arrays import array_text

#: First and last time that something was said.
_Span = tuple[datetime, datetime]


def _upsert(
    table: str,
    columns: Mapping[str, str],
    key: str,
    merge: Sequence[str],
    returning: str = "",
) -> TextClause:
    names = ", ".join(columns)
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in columns.items())
    action = f"DO UPDATE SET {', '.join(merge)}" if merge else "DO NOTHING"
    tail = f" RETURNING {returning}" if returning else ""
    return text(
        f"INSERT INTO cityledger.{table} AS old ({names}) SELECT * FROM unnest({arrays})"
        f" ON CONFLICT ({key}) {action}{tail}"
    )


def _newest(column: str, order: str) -> str:
    """Keep a column of whichever row is newer."""
    names = order.split(", ")
    new, old = (", ".join(f"{row}.{name}" for name in names) for row in ("excluded", "old"))
    return f"{column} = CASE WHEN ({new}) > ({old}) THEN excluded.{column} ELSE old.{column} END"


_FIRST = "first_at = LEAST(old.first_at, excluded.first_at)"
_LAST = "last_at = GREATEST(old.last_at, excluded.last_at)"
_SPAN = {"first_at": "timestamptz", "last_at": "timestamptz"}

_NAMESPACES = _upsert(
    "graph_namespace",
    {"digest": "bytea", "name": "text"} | _SPAN,
    "digest",
    (_FIRST, _LAST),
    "digest, id",
)
_NODES = _upsert(
    "graph_node",
    {"digest": "bytea", "kind": "smallint", "namespace": "bigint", "name": "text"}
    | _SPAN
    | {"lifecycle": "text", "lifecycle_at": "timestamptz"},
    "digest",
    (
        _FIRST,
        _LAST,
        (
            "lifecycle = CASE WHEN old.lifecycle_at IS NULL OR excluded.lifecycle_at"
            " >= old.lifecycle_at THEN excluded.lifecycle ELSE old.lifecycle END"
        ),
        "lifecycle_at = GREATEST(old.lifecycle_at, excluded.lifecycle_at)",
    ),
    "digest, id",
)
_EDGES = _upsert(
    "graph_edge",
    {"source": "bigint", "target": "bigint"} | _SPAN,
    "source, target",
    (_FIRST, _LAST),
)
_RUNS = _upsert(
    "graph_run",
    {
        "run_id": "text",
        "job": "bigint",
        "first_at": "timestamptz",
        "nominal_start": "timestamptz",
        "nominal_end": "timestamptz",
        "parent_run": "text",
        "parent_job": "bigint",
    },
    "run_id",
    (
        _FIRST,
        "nominal_start = COALESCE(old.nominal_start, excluded.nominal_start)",
        "nominal_end = COALESCE(old.nominal_end, excluded.nominal_end)",
        "parent_run = COALESCE(old.parent_run, excluded.parent_run)",
        "parent_job = COALESCE(old.parent_job, excluded.parent_job)",
    ),
    "run_id, id",
)
_VERSIONS = _upsert(
    "graph_version",
    {
        "uuid": "uuid",
        "node": "bigint",
        "version": "text",
        "first_at": "timestamptz",
        "event": "bigint",
        "event_at": "timestamptz",
    },
    "uuid",
    (
        _FIRST,
        _newest("event", "event_at, event"),
        "event_at = GREATEST(old.event_at, excluded.event_at)",
    ),
    "uuid, id",
)
_RUN_DATASETS = _upsert(
    "graph_run_dataset",
    {"run": "bigint", "node": "bigint", "direction": "smallint", "version": "bigint"}
    | _SPAN
    | {"event": "bigint"},
    "run, node, direction, version",
    (
        _FIRST,
        _LAST,
        _newest("event", "last_at, event"),
    ),
)
_FACETS = _upsert(
    "graph_facet",
    {
        "node": "bigint",
        "name": "text",
        "at": "timestamptz",
        "event": "bigint",
        "deleted": "boolean",
    },
    "node, name",
    tuple(_newest(column, "at, event") for column in ("at", "event", "deleted")),
)
_COLUMNS = _upsert(
    "graph_column",
    {"digest": "bytea", "node": "bigint", "name": "text", "whole": "boolean"} | _SPAN,
    "digest",
    (_FIRST, _LAST),
    "digest, id",
)
_COLUMN_EDGES = _upsert(
    "graph_column_edge",
    {"source": "bigint", "target": "bigint", "job": "bigint"}
    | _SPAN
    | {"transformations": "jsonb"},
    "source, target, job",
    (
        _FIRST,
        _newest("transformations", "last_at, transformations"),
        _LAST,
    ),
)
_DECLARED = _upsert(
    "graph_declared",
    {
        "run": "bigint",
        "digest": "bytea",
        "direction": "smallint",
        "namespace": "text",
        "name": "text",
    },
    "run, digest",
    (),
)
_REMARKS = _upsert(
    "graph_remark",
    {"event": "bigint", "severity": "text", "reasons": "jsonb"},
    "event",
    ("severity = excluded.severity", "reasons = excluded.reasons"),
)


def clean(value: str) -> str:
    """A text that PostgreSQL can store: no NUL, no half of a surrogate pair."""
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def write_remarks(
    connection: Connection, remarks: Iterable[tuple[int, Verdict, Sequence[str]]]
) -> None:
    """Keep what is wrong with events."""
    rows = [
        (number, verdict.value, _json([clean(reason) for reason in reasons]))
        for number, verdict, reasons in remarks
    ]
    _write(connection, _REMARKS, ("event", "severity", "reasons"), rows)


class GraphWriter:
    """Collects the facts of a batch of events and writes them at once."""

    def __init__(self) -> None:
        self._namespaces: dict[str, _Span] = {}
        self._nodes: dict[Name, _Span] = {}
        self._lifecycles: dict[Name, tuple[datetime, str]] = {}
        self._edges: dict[tuple[Name, Name], _Span] = {}
        self._runs: dict[str, tuple[Name, datetime, RunFacts]] = {}
        self._versions: dict[tuple[Name, str], tuple[datetime, datetime, int]] = {}
        self._touched: dict[
            tuple[str, Name, Direction, str | None], tuple[datetime, datetime, int]
        ] = {}
        self._facets: dict[tuple[Name, str], tuple[datetime, int, bool]] = {}
        self._columns: dict[ColumnName, _Span] = {}
        self._column_edges: dict[tuple[ColumnName, ColumnName, Name | None], tuple[Any, ...]] = {}
        self._declared: dict[tuple[str, Direction, str, str], None] = {}

    @property
    def run_ids(self) -> set[str]:
        """Runs that the batch speaks of."""
        return set(self._runs)

    def add(self, facts: EventFacts) -> None:
        """Take in what one event says; call in the order of the journal."""
        if facts.job is not None:
            self._node(facts.job, facts.at)
            self._add_facets(facts.job, facts.job_facets, facts)
        if facts.run is not None and facts.job is not None:
            self._add_run(facts.run, facts.job, facts.at)
        for direction, datasets in (
            (Direction.READ, facts.read),
            (Direction.WRITTEN, facts.written),
        ):
            for dataset in datasets:
                self._add_dataset(dataset, facts)
                self._touch(dataset, direction, facts)
        for dataset in facts.static:
            self._add_dataset(dataset, facts)
        for source, target in facts.edges:
            self._edge(source, target, facts.at)

    def write(self, connection: Connection) -> None:
        """Write everything that was added, in the connection's transaction."""
        nodes = self._write_nodes(connection)
        runs = self._write_runs(connection, nodes)
        versions = self._write_versions(connection, nodes)
        self._write_edges(connection, nodes)
        self._write_run_datasets(connection, nodes, runs, versions)
        self._write_columns(connection, nodes)
        rows = [(nodes[node], clean(name), *rest) for (node, name), rest in self._facets.items()]
        _write(connection, _FACETS, ("node", "name", "at", "event", "deleted"), rows)
        _write(
            connection,
            _DECLARED,
            ("run", "digest", "direction", "namespace", "name"),
            [
                (runs[run], digest(int(way), space, name), int(way), clean(space), clean(name))
                for run, way, space, name in self._declared
            ],
        )

    def _node(self, name: Name, at: datetime) -> None:
        _widen(self._namespaces, name.namespace, at)
        _widen(self._nodes, name, at)

    def _edge(self, source: Name, target: Name, at: datetime) -> None:
        self._node(source, at)
        self._node(target, at)
        _widen(self._edges, (source, target), at)

    def _add_facets(self, node: Name, facets: Mapping[str, bool], facts: EventFacts) -> None:
        for name, deleted in facets.items():
            newest = (facts.at, facts.id, deleted)
            old = self._facets.get((node, name))
            if old is None or newest[:2] > old[:2]:
                self._facets[node, name] = newest

    def _add_run(self, run: RunFacts, job: Name, at: datetime) -> None:
        first_job, first_at, known = self._runs.get(run.run_id, (job, at, run))
        merged = RunFacts(
            run.run_id,
            known.nominal_start or run.nominal_start,
            known.nominal_end or run.nominal_end,
            known.parent_run or run.parent_run,
            known.parent_job or run.parent_job,
        )
        self._runs[run.run_id] = (first_job, min(first_at, at), merged)
        if run.parent_job is not None:
            self._node(run.parent_job, at)
        for declared in run.declared:
            self._declared[run.run_id, *declared] = None

    def _add_dataset(self, dataset: DatasetFacts, facts: EventFacts) -> None:
        name, at = dataset.name, facts.at
        self._node(name, at)
        self._add_facets(name, dataset.facets, facts)
        for column in dataset.columns:
            _widen(self._columns, ColumnName(name, column), at)
        for source in dataset.sources:
            self._edge(source, name, at)
        for edge in dataset.column_edges:
            self._add_column_edge(edge.source, edge.target, edge.transformations, facts)
        if dataset.version is not None:
            self._add_version(name, dataset.version, facts)
        if dataset.lifecycle is not None:
            newest = (at, dataset.lifecycle)
            self._lifecycles[name] = max(newest, self._lifecycles.get(name, newest))

    def _add_version(self, name: Name, version: str, facts: EventFacts) -> None:
        key, new = (name, version), (facts.at, facts.at, facts.id)
        first, at, event = self._versions.get(key, new)
        self._versions[key] = (min(first, facts.at), *max((at, event), (facts.at, facts.id)))

    def _add_column_edge(
        self,
        source: ColumnName,
        target: ColumnName,
        transformations: Sequence[Mapping[str, Any]],
        facts: EventFacts,
    ) -> None:
        for column in (source, target):
            self._node(column.dataset, facts.at)
            _widen(self._columns, column, facts.at)
        key = (source, target, facts.job)
        first, last, how = self._column_edges.get(key, (facts.at, facts.at, transformations))
        newest = transformations if facts.at >= last else how
        self._column_edges[key] = (min(first, facts.at), max(last, facts.at), newest)

    def _touch(self, dataset: DatasetFacts, direction: Direction, facts: EventFacts) -> None:
        job = facts.job
        if job is None:
            return
        ends = (dataset.name, job) if direction is Direction.READ else (job, dataset.name)
        self._edge(*ends, facts.at)
        if facts.run is None:
            return
        key = (facts.run.run_id, dataset.name, direction, dataset.version)
        first, last, event = self._touched.get(key, (facts.at, facts.at, facts.id))
        self._touched[key] = (min(first, facts.at), *max((last, event), (facts.at, facts.id)))

    def _write_nodes(self, connection: Connection) -> dict[Name, int]:
        spaces = _write(
            connection,
            _NAMESPACES,
            ("digest", "name", "first_at", "last_at"),
            [(digest(name), clean(name), *span) for name, span in sorted(self._namespaces.items())],
        )
        rows = []
        for name, span in sorted(self._nodes.items()):
            at, lifecycle = self._lifecycles.get(name, (None, None))
            space = spaces[digest(name.namespace)]
            kind = int(name.kind)
            rows.append((name.digest, kind, space, clean(name.name), *span, lifecycle, at))
        found = _write(
            connection,
            _NODES,
            (
                "digest",
                "kind",
                "namespace",
                "name",
                "first_at",
                "last_at",
                "lifecycle",
                "lifecycle_at",
            ),
            rows,
        )
        return {name: found[name.digest] for name in self._nodes}

    def _write_runs(self, connection: Connection, nodes: Mapping[Name, int]) -> dict[Any, int]:
        rows = [
            (
                run_id,
                nodes[job],
                first_at,
                run.nominal_start,
                run.nominal_end,
                run.parent_run,
                nodes[run.parent_job] if run.parent_job else None,
            )
            for run_id, (job, first_at, run) in self._runs.items()
        ]
        names = (
            "run_id",
            "job",
            "first_at",
            "nominal_start",
            "nominal_end",
            "parent_run",
            "parent_job",
        )
        return _write(connection, _RUNS, names, rows)

    def _write_versions(self, connection: Connection, nodes: Mapping[Name, int]) -> dict[Any, int]:
        rows = [
            (version_uuid(name, version), nodes[name], clean(version), first, event, at)
            for (name, version), (first, at, event) in self._versions.items()
        ]
        names = ("uuid", "node", "version", "first_at", "event", "event_at")
        return _write(connection, _VERSIONS, names, rows)

    def _write_edges(self, connection: Connection, nodes: Mapping[Name, int]) -> None:
        rows = [(nodes[one], nodes[two], *span) for (one, two), span in self._edges.items()]
        _write(connection, _EDGES, ("source", "target", "first_at", "last_at"), rows)

    def _write_run_datasets(
        self,
        connection: Connection,
        nodes: Mapping[Name, int],
        runs: Mapping[Any, int],
        versions: Mapping[Any, int],
    ) -> None:
        rows = []
        for (run, name, direction, version), rest in self._touched.items():
            found = 0 if version is None else versions[version_uuid(name, version)]
            rows.append((runs[run], nodes[name], int(direction), found, *rest))
        names = ("run", "node", "direction", "version", "first_at", "last_at", "event")
        _write(connection, _RUN_DATASETS, names, rows)

    def _write_columns(self, connection: Connection, nodes: Mapping[Name, int]) -> None:
        ids = _write(
            connection,
            _COLUMNS,
            ("digest", "node", "name", "whole", "first_at", "last_at"),
            [
                (column.digest, nodes[column.dataset], clean(column.name), column.whole, *span)
                for column, span in self._columns.items()
            ],
        )
        rows = [
            (
                ids[source.digest],
                ids[target.digest],
                nodes[job] if job else 0,
                first,
                last,
                _json(_storable(how)),
            )
            for (source, target, job), (first, last, how) in self._column_edges.items()
        ]
        names = ("source", "target", "job", "first_at", "last_at", "transformations")
        _write(connection, _COLUMN_EDGES, names, rows)


def _widen(spans: dict[Any, _Span], key: object, at: datetime) -> None:
    first, last = spans.get(key, (at, at))
    spans[key] = (min(first, at), max(last, at))


def _write(
    connection: Connection,
    statement: TextClause,
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
) -> dict[Any, int]:
    """Write rows; what the statement returns, as a mapping of key to id."""
    if not rows:
        return {}
    values = {
        name: array_text(column)
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }
    result: Any = connection.execute(statement, values)
    return {row[0]: row[1] for row in result.all()} if result.returns_rows else {}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): _storable(one) for key, one in value.items()}
    if isinstance(value, Sequence):
        return [_storable(one) for one in value]
    return value
