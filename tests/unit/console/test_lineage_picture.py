"""The lineage picture: what shares a box, where boxes stand, and that names are only texts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from cityledger.console.graph_drawing import Arrow, Box, Row, draw, shorten
from cityledger.console.graph_layout import Size, lay_out
from cityledger.console.lineage_picture import Composer, Detail, Picture, State, Wish, Words
from cityledger.console.places import BANDS, Layer, Places, key_of
from cityledger.ledger.facts import NodeKind
from cityledger.ledger.graph import Edge, Node
from hypothesis import given
from hypothesis import strategies as st

_THEN = datetime(2026, 4, 1, tzinfo=UTC)
_HOSTILE = "\"><script>alert('1')</script><a href='javascript:alert(1)'>&"


def node(number: int, kind: NodeKind, namespace: str, name: str) -> Node:
    return Node(number, kind, namespace, name, _THEN, _THEN)


def data(number: int, namespace: str, name: str) -> Node:
    return node(number, NodeKind.DATASET, namespace, name)


def job(number: int, name: str) -> Node:
    return node(number, NodeKind.JOB, "cityledger", name)


def picture(
    nodes: list[Node],
    edges: Iterable[tuple[int, int]],
    wish: Wish,
    state: State | None = None,
    root: Node | None = None,
) -> Picture:
    words = Words(
        title=lambda _: "",
        department=lambda slug: slug or "shared",
        page=lambda one: f"/ledger/data/{key_of(one)}",
        opened=lambda group: f"/ledger/graph?opened={group}",
        things=lambda count: f"{count} objects",
        translate=str,
    )
    composer = Composer(
        nodes,
        [Edge(*ends) for ends in edges],
        places=Places("", "cityledger"),
        state=state or State(),
        words=words,
        root=root,
    )
    return composer.picture(wish)


def flow(shown: Picture) -> set[tuple[str, str]]:
    titles = {box.id: box.title for box in shown.boxes}
    return {(titles[one.source], titles[one.target]) for one in shown.arrows}


@pytest.mark.parametrize(
    ("namespace", "name", "layer"),
    [
        ("drop://health", "visits.csv", Layer.SOURCE),
        ("s3://t1-landing", "health/visits/2026/visits.csv.0123456789abcdef", Layer.LANDING),
        ("s3://t1-validated", "health/visits", Layer.VALIDATED),
        ("s3://t1-quarantine", "health/visits/2026/d/quarantined.parquet", Layer.QUARANTINE),
        ("s3://t1-published", "indicators/1/values.csv", Layer.PUBLISHED),
        ("s3://landing", "health/visits/2026/visits.csv", Layer.OTHER),
        ("ducklake://h:5/d", "staging.stg_health__visits", Layer.STAGING),
        ("ducklake://h:5/d", "core.fct_visit", Layer.CORE),
        ("ducklake://h:5/d", "indicators.ind_health__visits", Layer.INDICATORS),
        ("kafka://somewhere", "topic", Layer.OTHER),
        ("s3://t1-landing", "", Layer.LANDING),
        ("ducklake://h:5/d", "", Layer.OTHER),
    ],
)
def test_names_tell_the_layer(namespace: str, name: str, layer: Layer) -> None:
    """A table in the wrong column makes the auditor look for a step that does not exist."""
    place = Places("t1-", "cityledger").of(data(1, namespace, name))
    assert place.layer is layer


def test_a_landed_file_has_its_own_name_back() -> None:
    """The department looks for the file that it sent, not for ours with a digest."""
    landed = data(1, "s3://landing", "health/visits/2026-03/门诊.csv.0123456789abcdef")
    place = Places("", "cityledger").of(landed)
    assert (place.name, place.dataset, place.partition) == ("门诊.csv", "health.visits", "2026-03")


def test_objects_of_a_dataset_share_a_box_until_it_is_opened() -> None:
    """A year of daily files as 365 boxes hides everything else."""
    files = [data(n, "s3://landing", f"health/visits/2026-03-{n:02}/f.csv") for n in range(1, 31)]
    closed = picture(files, [], Wish(Detail.DATASETS))
    assert [box.note for box in closed.boxes] == ["30 objects"]
    assert "opened=landing/health/visits" in closed.boxes[0].href
    opened = picture(files, [], Wish(Detail.DATASETS, frozenset({"landing/health/visits"})))
    assert len(opened.boxes) == 30


def test_a_large_graph_is_shown_by_department_first() -> None:
    """Thousands of boxes at once are neither read nor drawn in time."""
    files = [data(n, "s3://landing", f"d{n % 7}/set{n}/p/f.csv") for n in range(2000)]
    shown = picture(files, [], Wish())
    assert shown.detail is Detail.DEPARTMENTS
    assert len(shown.boxes) == 7


def test_a_quiet_job_is_an_arrow() -> None:
    """Jobs between all boxes double the picture without telling more."""
    nodes = [
        data(1, "s3://landing", "health/visits/p/f.csv"),
        job(2, "health.visits.validate"),
        data(3, "s3://validated", "health/visits/p/d/part.parquet"),
    ]
    shown = picture(nodes, [(1, 2), (2, 3)], Wish(Detail.OBJECTS))
    assert flow(shown) == {("f.csv", "part.parquet")}
    boxed = picture(nodes, [(1, 2), (2, 3)], Wish(Detail.OBJECTS, jobs=True))
    assert ("f.csv", "health.visits.validate") in flow(boxed)


@pytest.mark.parametrize("state", [State(failures={2: 1}), State(gapped={2})])
def test_a_job_with_trouble_is_always_seen(state: State) -> None:
    """A failed extraction has no outputs: as an arrow it would vanish."""
    nodes = [data(1, "drop://health", "f.csv"), job(2, "health.visits.extract")]
    shown = picture(nodes, [(1, 2)], Wish(Detail.OBJECTS), state)
    signs = {box.title: box.signs for box in shown.boxes}
    assert signs["health.visits.extract"]


def test_hiding_a_job_claims_nothing_that_nobody_said() -> None:
    """A job with two inputs and two outputs does not say which came from which."""
    nodes = [
        data(1, "x://a", "in1"),
        data(2, "x://b", "in2"),
        node(3, NodeKind.JOB, "foreign", "mix"),
        data(4, "x://c", "out1"),
        data(5, "x://d", "out2"),
    ]
    edges = [(1, 3), (2, 3), (3, 4), (3, 5)]
    shown = picture(nodes, edges, Wish(Detail.OBJECTS))
    assert flow(shown) == {("in1", "mix"), ("in2", "mix"), ("mix", "out1"), ("mix", "out2")}


def test_deleted_things_stay_and_say_so() -> None:
    """What was deleted is what an auditor asks for first."""
    nodes = [data(1, "ducklake://h/d", "core.fct_visit")]
    shown = picture(nodes, [], Wish(Detail.OBJECTS), State(gone={1}))
    assert shown.boxes[0].signs == (("deleted", "gone"),)


def test_hostile_names_are_only_texts() -> None:
    """Events come from outside: a name must not become an element, a link or a script."""
    boxes = [
        Box(id="a", band=0, title=_HOSTILE, note=_HOSTILE, href="/x?a=1&b=2", full=_HOSTILE),
        Box(id="b", band=1, title="很" * 5000, note="", href="", rows=(Row("r", _HOSTILE),)),
    ]
    drawing = draw(boxes, [Arrow("a", "r")], bands=[_HOSTILE] * 2, title=_HOSTILE)
    reader = _Reader()
    reader.feed(str(drawing.svg))
    assert reader.tags == {"svg", "defs", "marker", "path", "g", "a", "title", "rect", "text"}
    assert reader.links == {"/x?a=1&b=2"}
    assert _HOSTILE in reader.texts


class _Reader(HTMLParser):
    """Reads a drawing as a browser would."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: set[str | None] = set()
        self.texts: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links |= {value for name, value in attrs if name == "href"}

    def handle_data(self, data: str) -> None:
        self.texts.add(data)


@given(st.text(max_size=200), st.integers(4, 40))
def test_a_shortened_name_fits_and_keeps_both_ends(text: str, units: int) -> None:
    """The end of a name tells versions and dates apart as much as its beginning."""
    short = shorten(text, units)
    assert len(short) <= max(units, 1) or short == text
    if short != text:
        head, _, tail = short.partition("…") if "…" not in text else (short[:1], "", short[-1:])
        assert text.startswith(head)
        assert text.endswith(tail)


@given(
    st.lists(st.integers(0, len(BANDS) - 1), min_size=1, max_size=25),
    st.lists(st.tuples(st.integers(0, 24), st.integers(0, 24)), max_size=60),
)
def test_every_layout_is_orderly(bands: list[int], pairs: list[tuple[int, int]]) -> None:
    """Cycles, loops and islands: boxes never overlap, bands never mix, bends lie on the way."""
    sizes = [Size(f"n{number}", band, 46.0) for number, band in enumerate(bands)]
    flows = [
        (f"n{source}", f"n{target}")
        for source, target in pairs
        if source < len(bands) and target < len(bands)
    ]
    layout = lay_out(sizes, flows)
    columns: dict[int, list[float]] = {}
    for size in sizes:
        columns.setdefault(layout.ranks[size.id], []).append(layout.tops[size.id])
        for other in sizes:
            if size.band < other.band:
                assert layout.ranks[size.id] < layout.ranks[other.id]
    for tops in columns.values():
        ordered = sorted(tops)
        assert all(below - above >= 46 for above, below in pairwise(ordered))
    for (source, target), points in layout.bends.items():
        between = range(layout.ranks[source] + 1, layout.ranks[target])
        assert [rank for rank, _ in points] == [float(rank) for rank in between]
