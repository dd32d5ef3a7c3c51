"""Places the boxes of a layered graph: columns by bands, rows so that arrows run level.

igraph's Sugiyama layout orders the boxes of each column so that few arrows cross. Their heights on
the page are our own: each box as near to its neighbours as its column's order lets it be, which is
an isotonic regression and leaves no empty stretches. Arrows over several columns pass each of them
through a gap of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from igraph import Graph

_SWEEPS = 6
_GAP, _LANE = 14.0, 9.0
_LARGE = 4000  # boxes and arrows above which the order of columns gets fewer rounds

Flow = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Size:
    """A box to be placed.

    Attributes:
        band: Boxes of a band stand side by side; bands follow each other from left to right.
    """

    id: str
    band: int
    height: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are.

    Attributes:
        ranks: Column of each box, from 0.
        tops: Top of each box.
        bends: Points that an arrow passes on its way, as column and height.
    """

    ranks: dict[str, int]
    tops: dict[str, float]
    bends: dict[Flow, list[tuple[float, float]]]


@dataclass(slots=True)
class _Item:
    """A box, or the lane of an arrow through a column."""

    rank: int
    order: float
    height: float
    beside: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    middle: float = 0.0


def lay_out(sizes: Sequence[Size], flows: Iterable[Flow]) -> Layout:
    """Place boxes.

    Args:
        sizes: The boxes; ids are unique.
        flows: Pairs of ids; all of them known.
    """
    known = sorted({flow for flow in flows if flow[0] != flow[1]})
    ranks = _ranks(sizes, known)
    if not sizes:
        return Layout({}, {}, {})
    forward = [flow for flow in known if ranks[flow[0]] < ranks[flow[1]]]
    items, lanes = _items(sizes, forward, ranks)
    columns: dict[int, list[_Item]] = defaultdict(list)
    for item in items:
        columns[item.rank].append(item)
    for column in columns.values():
        column.sort(key=lambda one: one.order)
    _settle(items, columns)
    top = min(item.middle - item.height / 2 for item in items)
    tops = {
        size.id: item.middle - item.height / 2 - top
        for size, item in zip(sizes, items, strict=False)
    }
    bends = {
        flow: [(float(items[one].rank), items[one].middle - top) for one in chain]
        for flow, chain in lanes.items()
    }
    return Layout(ranks, tops, bends)


def _ranks(sizes: Sequence[Size], flows: Iterable[Flow]) -> dict[str, int]:
    """Column of each box: bands one after the other, within a band by the longest way."""
    bands = {size.id: size.band for size in sizes}
    inner: dict[str, list[str]] = defaultdict(list)
    waiting = dict.fromkeys(bands, 0)
    for source, target in flows:
        if bands[source] == bands[target]:
            inner[source].append(target)
            waiting[target] += 1
    steps = _longest(inner, waiting)
    widths: dict[int, int] = defaultdict(int)
    for one, band in bands.items():
        widths[band] = max(widths[band], steps[one] + 1)
    starts, at = {}, 0
    for band in sorted(widths):
        starts[band] = at
        at += widths[band]
    return {one: starts[band] + steps[one] for one, band in bands.items()}


def _longest(inner: Mapping[str, list[str]], waiting: dict[str, int]) -> dict[str, int]:
    """Steps from a beginning; a cycle is entered where it was met first."""
    steps = dict.fromkeys(waiting, 0)
    ready = [one for one, count in waiting.items() if not count]
    order = iter(list(waiting))
    done: set[str] = set()
    while len(done) < len(waiting):
        one = ready.pop() if ready else next(order)
        if one in done:
            continue
        done.add(one)
        for target in inner.get(one, ()):
            if target not in done:
                steps[target] = max(steps[target], steps[one] + 1)
                waiting[target] -= 1
                if not waiting[target]:
                    ready.append(target)
    return steps


def _items(
    sizes: Sequence[Size], flows: Sequence[Flow], ranks: Mapping[str, int]
) -> tuple[list[_Item], dict[Flow, list[int]]]:
    """The boxes, then the lanes; and the lanes of each arrow that has any.

    Parts of the graph without an arrow between them are laid out one below the other: when igraph
    1.0 does that itself, it confuses the bends of many arrows.
    """
    numbers = {size.id: number for number, size in enumerate(sizes)}
    edges = [(numbers[source], numbers[target]) for source, target in flows]
    graph = Graph(n=len(sizes), edges=edges, directed=True)
    graph.vs["box"], graph.es["flow"] = range(len(sizes)), list(flows)
    graph.vs["name"] = [size.id for size in sizes]
    graph.vs["rank"] = [ranks[size.id] for size in sizes]
    items = [_Item(ranks[size.id], 0.0, size.height + _GAP) for size in sizes]
    lanes: dict[Flow, list[int]] = {}
    below = 0.0
    parts = graph.connected_components(mode="weak").subgraphs()
    for part in sorted(parts, key=lambda one: -one.vcount()):
        below = _arrange(part, items, lanes, below) + 1
    for flow, ends in zip(flows, edges, strict=True):
        for left, right in pairwise((ends[0], *lanes.get(flow, ()), ends[1])):
            items[right].beside[0].append(left)
            items[left].beside[1].append(right)
    return items, lanes


def _arrange(part: Graph, items: list[_Item], lanes: dict[Flow, list[int]], below: float) -> float:
    """Order one connected part below what is there; where it ends."""
    rounds = 100 if part.vcount() + part.ecount() < _LARGE else 10
    ranks = part.vs["rank"]
    # Without the empty columns before it: igraph wants the first layer to have something in it.
    first = min(ranks)
    found = part.layout_sugiyama(layers=[rank - first for rank in ranks], maxiter=rounds)
    orders: list[float] = [place[0] for place in found]
    ends = dict(zip(part.vs["name"], ranks, strict=True))
    for box, order in zip(part.vs["box"], orders, strict=True):
        items[box].order = below + order
    for flow, points in zip(part.es["flow"], found.edge_routing, strict=True):
        lane = sorted((round(rank) + first, order) for order, rank in points)
        between = range(ends[flow[0]] + 1, ends[flow[1]])
        # igraph 1.0 now and then gives an arrow the bends of another: such a one goes straight.
        if not lane or [rank for rank, _ in lane] != [*between]:
            continue
        lanes[flow] = [*range(len(items), len(items) + len(lane))]
        items += [_Item(rank, below + order, _LANE) for rank, order in lane]
        orders += [order for _, order in lane]
    return below + max(orders)


def _settle(items: Sequence[_Item], columns: Mapping[int, list[_Item]]) -> None:
    """Give every item its height, from left to right and back again."""
    for column in columns.values():
        _place(column, [0.0] * len(column))
    ranks = sorted(columns)
    for sweep in range(_SWEEPS):
        side = sweep % 2
        for rank in ranks if side == 0 else ranks[::-1]:
            column = columns[rank]
            wishes = []
            for item in column:
                # The last sweep looks both ways; a box with neighbours on one side only follows.
                beside = item.beside[side] or item.beside[1 - side]
                if sweep == _SWEEPS - 1:
                    beside = [*item.beside[0], *item.beside[1]]
                total = sum(items[one].middle for one in beside)
                wishes.append(total / len(beside) if beside else item.middle)
            _place(column, wishes)


def _place(column: Sequence[_Item], wishes: Sequence[float]) -> None:
    """As near to the wishes as the order and the heights allow (pool adjacent violators)."""
    offsets, at = [], 0.0
    for item in column:
        offsets.append(at + item.height / 2)
        at += item.height
    blocks: list[tuple[float, int]] = []  # mean of (wish - offset), items
    for wish, offset in zip(wishes, offsets, strict=True):
        mean, count = wish - offset, 1
        while blocks and blocks[-1][0] > mean:
            before, many = blocks.pop()
            mean = (before * many + mean * count) / (many + count)
            count += many
        blocks.append((mean, count))
    shifts = [mean for mean, count in blocks for _ in range(count)]
    for item, offset, shift in zip(column, offsets, shifts, strict=True):
        item.middle = offset + shift
