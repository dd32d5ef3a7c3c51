"""What of a lineage graph is drawn: which nodes share a box, which jobs are only arrows.

A large graph is shown by layer and department first; boxes open one level at a time. A job is an
arrow where that tells no more than it knows (one side has one box), else a box; one that failed or
whose lineage is incomplete is always a box.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cityledger.console.graph_drawing import Arrow, Box
from cityledger.console.i18n import mark
from cityledger.console.places import BANDS, LAYER, Place, Places
from cityledger.ledger.facts import NodeKind
from cityledger.ledger.graph import Edge, Node

#: Boxes up to which the finer of two details is chosen by itself.
_COMFORTABLE = 220

FAILED, INCOMPLETE, DELETED = mark("run failed"), mark("incomplete"), mark("deleted")
JOB, TABLE = mark("job"), mark("table")
#: Place of a layer among the columns of the picture.
BAND = {layer: number for number, band in enumerate(BANDS) for layer in band}


class Detail(StrEnum):
    """How much shares a box."""

    DEPARTMENTS = "departments"
    DATASETS = "datasets"
    OBJECTS = "objects"


_LEVEL = {Detail.DEPARTMENTS: 0, Detail.DATASETS: 1, Detail.OBJECTS: 2}
_OBJECT = 2


@dataclass(frozen=True, slots=True)
class Wish:
    """What the reader wants to see.

    Attributes:
        detail: None: as fine as stays readable.
        opened: Ids of the groups that are opened all the same.
        jobs: Draw every job as a box.
    """

    detail: Detail | None = None
    opened: frozenset[str] = frozenset()
    jobs: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """What is wrong with nodes, by their ids."""

    failures: Mapping[int, int] = field(default_factory=dict)
    gapped: Collection[int] = frozenset()
    gone: Collection[int] = frozenset()


@dataclass(frozen=True)
class Words:
    """How things are called in the reader's language, and where their pages are.

    Attributes:
        title: Of a dataset's contract; empty where there is none.
        department: Name of a department; of the shared part when empty.
        page: Address of a node's page.
        opened: Address of this picture with one more group opened.
        things: ``5 objects``.
        translate: Any other text.
    """

    title: Callable[[Place], str]
    department: Callable[[str], str]
    page: Callable[[Node], str]
    opened: Callable[[str], str]
    things: Callable[[int], str]
    translate: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes and arrows, and the detail that was chosen."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    detail: Detail


class Composer:
    """Makes pictures of one graph."""

    def __init__(
        self,
        nodes: Sequence[Node],
        edges: Iterable[Edge],
        *,
        places: Places,
        state: State,
        words: Words,
        root: Node | None = None,
    ) -> None:
        self._nodes = {node.id: node for node in nodes}
        self._places = {node.id: places.of(node) for node in nodes}
        self._into: dict[int, list[int]] = defaultdict(list)
        self._out_of: dict[int, list[int]] = defaultdict(list)
        for source, target in edges:
            self._out_of[source].append(target)
            self._into[target].append(source)
        self._state, self._words = state, words
        self._root = root.id if root else None

    def picture(self, wish: Wish) -> Picture:
        """The picture that the reader wants."""
        detail = wish.detail or self._comfortable(wish)
        groups = self._grouped(detail, wish)
        arrows, hidden = self._arrows(groups, wish)
        members: dict[str, list[int]] = defaultdict(list)
        for node, group in groups.items():
            if node not in hidden:
                members[group].append(node)
        boxes = tuple(self._box(group, ids) for group, ids in members.items())
        return Picture(boxes, tuple(Arrow(*ends) for ends in sorted(arrows)), detail)

    def _comfortable(self, wish: Wish) -> Detail:
        """Datasets as long as they can be read at once; a small graph wants every object."""
        for detail in (Detail.OBJECTS, Detail.DATASETS):
            most = _COMFORTABLE if detail is Detail.DATASETS else _COMFORTABLE // 8
            if len(set(self._grouped(detail, wish).values())) <= most:
                return detail
        return Detail.DEPARTMENTS

    def _grouped(self, detail: Detail, wish: Wish) -> dict[int, str]:
        found = {}
        for node, place in self._places.items():
            level = _LEVEL[detail]
            while level < _OBJECT and place.group(level) in wish.opened:
                level += 1
            single = level == _OBJECT or node == self._root
            found[node] = f"#{node}" if single else place.group(level)
        return found

    def _arrows(
        self, groups: Mapping[int, str], wish: Wish
    ) -> tuple[set[tuple[str, str]], set[int]]:
        """Arrows between groups, and the jobs that are arrows only."""
        hidden: set[int] = set()
        arrows: set[tuple[str, str]] = set()
        if not wish.jobs:
            for node in self._nodes.values():
                if node.kind is NodeKind.JOB and self._quiet(node.id):
                    pairs = self._pairs(node.id, groups)
                    if pairs is not None:
                        hidden.add(node.id)
                        arrows |= pairs
        for source, targets in self._out_of.items():
            if source in groups and source not in hidden:
                ends = (groups[one] for one in targets if one in groups and one not in hidden)
                arrows |= {(groups[source], end) for end in ends}
        return {(source, target) for source, target in arrows if source != target}, hidden

    def _quiet(self, job: int) -> bool:
        loud = job in self._state.failures or job in self._state.gapped or job == self._root
        beside = (*self._into[job], *self._out_of[job])
        # A job that another job leads to has to be seen: it would take the link with it.
        return not loud and not any(
            self._nodes[one].kind is NodeKind.JOB for one in beside if one in self._nodes
        )

    def _pairs(self, job: int, groups: Mapping[int, str]) -> set[tuple[str, str]] | None:
        """What the job leads from and to; None where hiding it would claim more than is known."""
        sources = {groups[one] for one in self._into[job] if one in groups}
        targets = {groups[one] for one in self._out_of[job] if one in groups}
        if len(sources) > 1 and len(targets) > 1:
            return None
        return {(source, target) for source in sources for target in targets}

    def _box(self, group: str, ids: Sequence[int]) -> Box:
        if len(ids) == 1:
            return self._single(group, ids[0])
        place, words = self._places[ids[0]], self._words
        layers = {self._places[one].layer for one in ids}
        whole = group == place.group(0)
        title = words.department(place.department) if whole else self._group_title(place)
        return Box(
            id=group,
            band=BAND[place.layer],
            title=title,
            note=" · ".join(filter(None, (self._aside(place), words.things(len(ids))))),
            href=words.opened(group),
            kind="group",
            full=f"{title} ({', '.join(sorted(layer.value for layer in layers))})",
            signs=self._signs(ids),
        )

    def _group_title(self, place: Place) -> str:
        return self._words.title(place) or place.unit or self._words.department(place.department)

    def _aside(self, place: Place) -> str:
        """Name of a layer that shares its column with another."""
        aside = place.layer is not BANDS[BAND[place.layer]][0]
        return self._words.translate(LAYER[place.layer]) if aside else ""

    def _single(self, group: str, number: int) -> Box:
        node, place = self._nodes[number], self._places[number]
        job = node.kind is NodeKind.JOB
        words = self._words
        title = words.title(place)
        told = (self._aside(place), title, place.partition)
        note = " ".join(filter(None, told)) or self._fallback(node, place)
        return Box(
            id=group,
            band=BAND[place.layer],
            title=place.name or node.name,
            note=words.translate(JOB) if job else note,
            href=words.page(node),
            kind="job" if job else "data",
            full=f"{node.namespace} {node.name}",
            signs=self._signs([number]),
            root=number == self._root,
        )

    def _fallback(self, node: Node, place: Place) -> str:
        """Something about a node that no contract and no card speaks of."""
        if place.department:
            return self._words.department(place.department)
        table = node.namespace.startswith("ducklake:")
        return self._words.translate(TABLE) if table else node.namespace

    def _signs(self, ids: Sequence[int]) -> tuple[tuple[str, str], ...]:
        state = self._state
        found = (
            (FAILED, "bad", sum(one in state.failures for one in ids)),
            (INCOMPLETE, "warn", sum(one in state.gapped for one in ids)),
            (DELETED, "gone", sum(one in state.gone for one in ids)),
        )
        return tuple(
            (self._words.translate(word) + (f" {count}" if len(ids) > 1 else ""), look)
            for word, look, count in found
            if count
        )
