"""Column lineage as boxes: a table each, its columns inside, arrows from column to column."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from cityledger.console.graph_drawing import Arrow, Box, Row
from cityledger.console.lineage_picture import BAND
from cityledger.console.places import Layer, Places
from cityledger.ledger.graph import Column, ColumnEdge, ColumnGraph, Node

_ALL = "∗"
_LAKE = frozenset({Layer.STAGING, Layer.CORE, Layer.INDICATORS, Layer.CHECKS})


@dataclass(frozen=True, slots=True)
class Line:
    """One arrow in words.

    Attributes:
        how: Transformations, e.g. ``DIRECT/AGGREGATION``.
        job: None where the event named none.
    """

    source: Column
    source_node: Node
    target: Column
    target_node: Node
    how: str
    job: Node | None


def compose_columns(
    graph: ColumnGraph, places: Places, root: Node, address: Callable[[int | None], str]
) -> tuple[list[Box], list[Arrow], list[Line]]:
    """Boxes, arrows, and the same in words.

    Args:
        graph: The answer.
        places: Where nodes belong.
        root: The table that was asked for.
        address: The page of a column of the root; None for all of them.
    """
    columns = {one.id: one for one in graph.columns}
    used = {end for edge in graph.edges for end in (edge.source, edge.target)}
    held: dict[int, list[Column]] = defaultdict(list)
    for column in graph.columns:
        if column.id in used or column.id in graph.roots:
            held[column.node].append(column)
    boxes = [
        _box(graph.nodes[node], rows, places, graph, root, address)
        for node, rows in held.items()
        if node in graph.nodes
    ]
    arrows = sorted({(edge.source, edge.target, _indirect(edge)) for edge in graph.edges})
    drawn = [Arrow(f"c{source}", f"c{target}", kind) for source, target, kind in arrows]
    lines = [
        Line(
            columns[edge.source],
            graph.nodes[columns[edge.source].node],
            columns[edge.target],
            graph.nodes[columns[edge.target].node],
            how(edge),
            graph.nodes.get(edge.job),
        )
        for edge in graph.edges
    ]
    lines.sort(key=lambda one: (one.target_node.name, one.target.name, one.source_node.name))
    return boxes, drawn, lines


def how(edge: ColumnEdge) -> str:
    """The transformations of an edge, in OpenLineage's words."""
    said = {
        "/".join(str(one[part]) for part in ("type", "subtype") if one.get(part))
        for one in edge.transformations
    }
    return ", ".join(sorted(filter(None, said)))


def _indirect(edge: ColumnEdge) -> str:
    kinds = {str(one.get("type", "")) for one in edge.transformations}
    return "indirect" if kinds == {"INDIRECT"} else ""


def _box(
    node: Node,
    columns: list[Column],
    places: Places,
    graph: ColumnGraph,
    root: Node,
    address: Callable[[int | None], str],
) -> Box:
    place, own = places.of(node), node.id == root.id
    rows = tuple(
        Row(
            f"c{one.id}",
            _ALL if one.whole else one.name,
            address(one.id) if own and not one.whole else "",
            marked=one.id in graph.roots and len(graph.roots) == 1,
        )
        for one in sorted(columns, key=lambda one: (not one.whole, one.name))
    )
    return Box(
        id=f"n{node.id}",
        band=BAND[place.layer],
        title=place.name or node.name,
        note=node.name.partition(".")[0] if place.layer in _LAKE else node.namespace,
        href="",
        full=f"{node.namespace} {node.name}",
        rows=rows,
        root=own,
    )
