"""Lineage answers in Marquez's shape: nodes that carry their edges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cityledger.collector import shapes
from cityledger.collector.present import (
    Presenter,
    dataset_basics,
    fields,
    incomplete,
    job_basics,
    node_type,
)
from cityledger.ledger.catalog import Catalog
from cityledger.ledger.facts import NodeKind
from cityledger.ledger.graph import Column, ColumnEdge, ColumnGraph, Node, RunGraph, Subgraph

# Nodes nearest to the root that come with facets and runs; the rest of a large graph has names,
# times and edges, and the page of a node has everything.
_DETAILED = 100


def draw_lineage(catalog: Catalog, answer: Subgraph) -> shapes.LineageGraph:
    """A graph of jobs and datasets."""
    near = answer.nodes[:_DETAILED]
    facets = catalog.facets(near)
    latest = _latest_runs(catalog, near)
    into, out_of = _edges(
        {node.id: node.node_id for node in answer.nodes},
        [(edge.source, edge.target) for edge in answer.edges],
    )
    ends = _ends(answer)
    drawn = [
        shapes.GraphNode(
            id=node.node_id,
            type=node_type(node),
            data=_data(node, facets.get(node.id, {}), ends[node.id], latest.get(node.id)),
            in_edges=into[node.id],
            out_edges=out_of[node.id],
        )
        for node in answer.nodes
    ]
    return shapes.LineageGraph(
        graph=drawn,
        partial=answer.wholeness.partial,
        incomplete_runs=incomplete(answer.wholeness),
        events_behind=answer.wholeness.behind,
        truncated=answer.truncated,
    )


def draw_columns(catalog: Catalog, answer: ColumnGraph) -> shapes.LineageGraph:
    """A graph of columns. Here Marquez's edges run from a node to its neighbour, both ways."""
    columns = {column.id: column for column in answer.columns if not column.whole}
    edges = _spread(answer, columns)
    names = {one.id: _column_id(answer.nodes[one.node], one) for one in columns.values()}
    types = _column_types(catalog, answer)
    sources: dict[int, list[ColumnEdge]] = defaultdict(list)
    uses: dict[int, list[ColumnEdge]] = defaultdict(list)
    for edge in edges:
        sources[edge.target].append(edge)
        uses[edge.source].append(edge)
    drawn = []
    for column in columns.values():
        own = names[column.id]
        drawn.append(
            shapes.GraphNode(
                id=own,
                type="DATASET_FIELD",
                data=_column_data(answer, columns, column, sources[column.id], types),
                in_edges=_arrows(own, (names[one.source] for one in sources[column.id])),
                out_edges=_arrows(own, (names[one.target] for one in uses[column.id])),
            )
        )
    return shapes.LineageGraph(
        graph=drawn,
        partial=answer.wholeness.partial,
        incomplete_runs=incomplete(answer.wholeness),
        events_behind=answer.wholeness.behind,
        truncated=answer.truncated,
    )


def draw_runs(answer: RunGraph) -> shapes.UpstreamRuns:
    """The runs that a run's data comes from."""
    writers = {
        (touch.node, touch.version.id): touch.run
        for touch in answer.touches
        if touch.direction == 1 and touch.version
    }
    ids = {run.id: run.run_id for run in answer.runs}
    drawn = []
    for run in answer.runs:
        job = answer.nodes[run.job]
        inputs = [
            shapes.RunInput(
                namespace=answer.nodes[touch.node].namespace,
                name=answer.nodes[touch.node].name,
                version=touch.version.uuid if touch.version else "",
                produced_by_run_id=(
                    ids.get(writers.get((touch.node, touch.version.id), 0))
                    if touch.version
                    else None
                ),
            )
            for touch in answer.touches
            if touch.run == run.id and touch.direction == 0
        ]
        drawn.append(
            shapes.UpstreamRun(
                job=shapes.VersionId(namespace=job.namespace, name=job.name, version=""),
                run=shapes.RunSummary(
                    id=run.run_id, start=run.started_at, end=run.ended_at, status=run.state
                ),
                inputs=inputs,
            )
        )
    return shapes.UpstreamRuns(
        runs=drawn,
        partial=answer.wholeness.partial,
        incomplete_runs=incomplete(answer.wholeness),
        truncated=answer.truncated,
    )


def _latest_runs(catalog: Catalog, nodes: Sequence[Node]) -> dict[int, shapes.Run]:
    jobs = {node.id: node for node in nodes if node.kind is NodeKind.JOB}
    latest = catalog.latest_runs(jobs.values(), most=1)
    runs = [found[0] for found in latest.values()]
    shown = Presenter(catalog).runs(runs, jobs)
    return {run.job: one for run, one in zip(runs, shown, strict=True)}


def _ends(answer: Subgraph) -> dict[int, tuple[list[Node], list[Node]]]:
    nodes = {node.id: node for node in answer.nodes}
    ends: dict[int, tuple[list[Node], list[Node]]] = defaultdict(lambda: ([], []))
    for edge in answer.edges:
        source, target = nodes[edge.source], nodes[edge.target]
        if target.kind is NodeKind.JOB:
            ends[target.id][0].append(source)
        if source.kind is NodeKind.JOB:
            ends[source.id][1].append(target)
    return ends


def _data(
    node: Node,
    facets: dict[str, Any],
    ends: tuple[list[Node], list[Node]],
    latest: shapes.Run | None,
) -> shapes.JobNode | shapes.DatasetNode:
    if node.kind is NodeKind.JOB:
        return shapes.JobNode(**job_basics(node, facets, ends), latest_run=latest)
    return shapes.DatasetNode(**dataset_basics(node, facets))


def _edges(
    names: Mapping[int, str], pairs: Iterable[tuple[int, int]]
) -> tuple[dict[int, list[shapes.GraphEdge]], dict[int, list[shapes.GraphEdge]]]:
    into: dict[int, list[shapes.GraphEdge]] = defaultdict(list)
    out_of: dict[int, list[shapes.GraphEdge]] = defaultdict(list)
    for source, target in pairs:
        edge = shapes.GraphEdge(origin=names[source], destination=names[target])
        into[target].append(edge)
        out_of[source].append(edge)
    return into, out_of


def _arrows(origin: str, others: Iterable[str]) -> list[shapes.GraphEdge]:
    return [shapes.GraphEdge(origin=origin, destination=one) for one in dict.fromkeys(others)]


def _spread(answer: ColumnGraph, columns: Mapping[int, Column]) -> list[ColumnEdge]:
    """Edges between columns; what goes into a whole dataset goes into each column shown of it."""
    parts: dict[int, list[int]] = defaultdict(list)
    for column in columns.values():
        parts[column.node].append(column.id)
    wholes = {column.id: parts[column.node] for column in answer.columns if column.whole}
    return [
        ColumnEdge(source, target, edge.job, edge.transformations)
        for edge in answer.edges
        for source in wholes.get(edge.source, (edge.source,))
        for target in wholes.get(edge.target, (edge.target,))
    ]


def _column_types(catalog: Catalog, answer: ColumnGraph) -> dict[tuple[int, str], str | None]:
    datasets = [node for node in answer.nodes.values() if node.kind is NodeKind.DATASET]
    facets = catalog.facets(datasets[:_DETAILED])
    return {
        (node, field.name): field.type for node, told in facets.items() for field in fields(told)
    }


def _column_data(
    answer: ColumnGraph,
    columns: Mapping[int, Column],
    column: Column,
    made_from: Sequence[ColumnEdge],
    types: Mapping[tuple[int, str], str | None],
) -> shapes.ColumnNode:
    first = next((how for edge in made_from for how in edge.transformations), {})
    return shapes.ColumnNode(
        namespace=answer.nodes[column.node].namespace,
        dataset=answer.nodes[column.node].name,
        field=column.name,
        field_type=types.get((column.node, column.name)),
        transformation_type=first.get("type"),
        transformation_description=first.get("description"),
        input_fields=[
            shapes.ColumnRef(
                namespace=answer.nodes[columns[edge.source].node].namespace,
                dataset=answer.nodes[columns[edge.source].node].name,
                field=columns[edge.source].name,
                transformations=list(edge.transformations),
            )
            for edge in made_from
        ],
    )


def _column_id(node: Node, column: Column) -> str:
    return f"datasetField:{node.namespace}:{node.name}:{column.name}"
