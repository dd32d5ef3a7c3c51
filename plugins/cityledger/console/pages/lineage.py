"""The ledger's map: search, the lineage graph, and where columns come from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from cityledger.console.column_picture import compose_columns
from cityledger.console.errors import MissingError
from cityledger.console.graph_drawing import draw
from cityledger.console.i18n import mark
from cityledger.console.identity import require
from cityledger.console.ledger_desk import LedgerDesk
from cityledger.console.lineage_picture import Composer, Detail, Picture, State, Wish
from cityledger.console.navigation import NavigationItem
from cityledger.console.places import BANDS, LAYER, Layer, Place
from cityledger.console.view import CurrentView, View
from cityledger.contracts.cards import Card
from cityledger.errors import BadInputError
from cityledger.ledger.facts import NodeKind
from cityledger.ledger.graph import Edge, Node, Towards, Wholeness
from cityledger.people import CITY_WIDE

READERS = tuple(sorted(CITY_WIDE))
router = APIRouter(dependencies=[Depends(require(*READERS))])
NAVIGATION = (NavigationItem("/ledger", mark("Lineage"), roles=READERS, order=50),)

TOWARDS = {
    Towards.BOTH: mark("both ways"),
    Towards.SOURCES: mark("what it comes from"),
    Towards.USES: mark("what depends on it"),
}
DETAIL = {
    Detail.DEPARTMENTS: mark("layers and departments"),
    Detail.DATASETS: mark("datasets and tables"),
    Detail.OBJECTS: mark("every object"),
}
GAP = {
    "invalid_event": mark("an event of the run could not be read"),
    "no_start": mark("its beginning was not reported"),
    "input_missing": mark("said that it would read this, did not report it"),
    "output_missing": mark("said that it would write this, did not report it"),
    "child_missing": mark("said that it would start this, no such run was reported as completed"),
}
_BUDGET = 10_000  # nodes of a picture
_DRAWN = 2500  # boxes of a picture
_FOUND = 20  # of each kind
_WORDS = 200  # characters
_RUN = re.compile(r"[0-9a-f]{8}[0-9a-f-]{0,28}$")
_SHA256 = re.compile(r"[0-9a-f]{64}$")

Key = Annotated[str, Query(pattern="^[0-9a-f]{64}$")]
Depth = Annotated[int, Query(ge=1, le=50)]
Opened = Annotated[str, Query(max_length=4000, description="Groups, separated by spaces.")]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a picture is made of."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    truncated: bool
    wholeness: Wholeness


@router.get("/ledger")
def search(view: CurrentView, q: Annotated[str, Query(max_length=_WORDS)] = "") -> Response:
    """Find datasets, tables, files, jobs, indicators, runs and events."""
    words = q.replace("\0", "").strip()
    if not words:
        return view.page("ledger.html", wanted="", groups=(), progress=_progress(view))
    desk = LedgerDesk(view)
    direct = _direct(desk, words)
    if direct:
        return RedirectResponse(view.url(direct), 303)
    return view.page(
        "ledger.html",
        wanted=words,
        groups=[one for one in _groups(desk, words) if one[1]],
        progress=_progress(view),
    )


@router.get("/ledger/graph")
def graph(
    view: CurrentView,
    of: Key | None = None,
    towards: Towards = Towards.BOTH,
    depth: Depth = 20,
    detail: Detail | Literal[""] = "",
    opened: Opened = "",
    jobs: bool = False,
    as_of: Annotated[str, Query(max_length=40)] = "",
    table: bool = False,
) -> HTMLResponse:
    """The graph around one thing, or all of it."""
    desk, moment = LedgerDesk(view), moment_of(as_of)
    groups = frozenset(opened.split())
    root = desk.node(of) if of else None
    answer = _around(desk, root, towards, depth, moment)
    chosen = {"of": of, "towards": towards, "depth": depth, "jobs": jobs or None, "as_of": as_of}

    def address(opened: Iterable[str], **more: Any) -> str:
        kept = {**chosen, "detail": detail, "opened": " ".join(sorted(opened)), **more}
        return view.url("/ledger/graph", **{name: one for name, one in kept.items() if one})

    composer = Composer(
        answer.nodes,
        answer.edges,
        places=desk.places,
        state=_state(desk, answer, moment),
        words=desk.words(lambda group: address(groups | {group})),
        root=root,
    )
    wish = Wish(Detail(detail) if detail else None, groups, jobs)
    picture, coarser = _bounded(composer, wish)
    return view.page(
        "lineage.html",
        root=root and desk.shown(root),
        picture=picture,
        drawing=None if table else _draw(view, picture),
        coarser=coarser,
        answer=answer,
        gaps=[(desk.shown_run(one), one.gaps) for one in answer.wholeness.runs],
        gap_words=GAP,
        chosen={**chosen, "detail": detail, "jobs": jobs},
        moments=[f"{one.astimezone():%Y-%m-%dT%H:%M}" for one in desk.reads.moments()],
        opened=[(_group_name(desk, one), address(groups - {one})) for one in sorted(groups)],
        other=address(groups, table=None if table else "true"),
        table=_table(picture) if table else None,
        all_towards=TOWARDS,
        details=DETAIL,
    )


@router.get("/ledger/columns")
def columns(
    view: CurrentView,
    of: Key,
    column: Annotated[int | None, Query(ge=1)] = None,
    towards: Towards = Towards.SOURCES,
    depth: Annotated[int | None, Query(ge=1, le=50)] = None,
    as_of: Annotated[str, Query(max_length=40)] = "",
) -> HTMLResponse:
    """Where a table's columns come from, or what a change of one would reach."""
    desk, moment = LedgerDesk(view), moment_of(as_of)
    root = desk.node(of)
    # One column's way can be followed to its end; all of them at once are a thicket after a step.
    steps = depth or (20 if column else 1)
    all_columns = desk.graph.columns_of(root)
    roots = [one.id for one in all_columns if column in (None, one.id)]
    if column and not roots:
        raise MissingError(str(column))
    answer = desk.graph.columns(roots, depth=steps, towards=towards, as_of=moment)

    def address(number: int | None) -> str:
        kept = {"of": of, "column": number, "towards": towards, "depth": depth, "as_of": as_of}
        return view.url("/ledger/columns", **kept)

    boxes, arrows, lines = compose_columns(answer, desk.places, root, address)
    bands = [view.gettext(LAYER[band[0]]) for band in BANDS]
    title = view.gettext(_COLUMNS_TITLE)
    return view.page(
        "columns.html",
        root=desk.shown(root),
        drawing=draw(boxes, arrows, bands=bands, title=title) if boxes else None,
        lines=lines,
        answer=answer,
        silent=[desk.shown(one) for one in answer.silent_jobs],
        gaps=[(desk.shown_run(one), one.gaps) for one in answer.wholeness.runs],
        gap_words=GAP,
        columns=all_columns,
        chosen={"of": of, "column": column, "towards": towards, "depth": steps, "as_of": as_of},
        all_towards=TOWARDS,
        everything=address(None),
    )


_COLUMNS_TITLE = mark("Columns and what they were made from")
_GRAPH_TITLE = mark("Lineage from the departments' files to the published numbers")


def moment_of(text: str) -> datetime | None:
    """A time as a form writes it, in the server's time zone; a day means its end.

    Raises:
        BadInputError: it is none.
    """
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        whole = timedelta(days=1) if len(text) == len("2026-03-31") else timedelta(minutes=1)
        return (moment + whole - timedelta(microseconds=1)).astimezone()
    except (ValueError, OverflowError, OSError):
        raise BadInputError(
            "this is no time", fix="write it as 2026-03-31 or 2026-03-31T08:15", code="bad_time"
        ) from None


def _around(
    desk: LedgerDesk, root: Node | None, towards: Towards, depth: int, as_of: datetime | None
) -> _Answer:
    if root is not None:
        found = desk.graph.around(root, depth=depth, towards=towards, as_of=as_of, budget=_BUDGET)
        return _Answer(found.nodes, found.edges, found.truncated, found.wholeness)
    behind = desk.graph.behind()
    whole = desk.reads.whole(as_of, _BUDGET)
    gaps = desk.graph.gapped(whole.nodes, as_of)
    return _Answer(whole.nodes, whole.edges, whole.truncated, Wholeness(gaps, behind))


def _state(desk: LedgerDesk, answer: _Answer, as_of: datetime | None) -> State:
    jobs = {(one.namespace, one.name): one.id for one in answer.nodes if one.kind is NodeKind.JOB}
    gapped = {jobs.get((one.namespace, one.job), 0) for one in answer.wholeness.runs}
    failures = desk.reads.failures(jobs.values(), as_of)
    return State(failures, gapped, desk.reads.gone(answer.nodes, as_of))


def _bounded(composer: Composer, wish: Wish) -> tuple[Picture, bool]:
    """The picture, or a coarser one where it had more boxes than anybody can use."""
    picture = composer.picture(wish)
    if len(picture.boxes) <= _DRAWN:
        return picture, False
    for detail in (Detail.DATASETS, Detail.DEPARTMENTS):
        picture = composer.picture(Wish(detail))
        if len(picture.boxes) <= _DRAWN:
            break
    return picture, True


def _draw(view: View, picture: Picture) -> Any:
    bands = [view.gettext(LAYER[band[0]]) for band in BANDS]
    return draw(picture.boxes, picture.arrows, bands=bands, title=view.gettext(_GRAPH_TITLE))


def _table(picture: Picture) -> list[tuple[Any, list[Any], list[Any]]]:
    """Each box with what leads into it and out of it: the picture in words."""
    boxes = {box.id: box for box in picture.boxes}
    into: dict[str, list[Any]] = {one: [] for one in boxes}
    out_of: dict[str, list[Any]] = {one: [] for one in boxes}
    for arrow in picture.arrows:
        if arrow.source in boxes and arrow.target in boxes:
            into[arrow.target].append(boxes[arrow.source])
            out_of[arrow.source].append(boxes[arrow.target])
    ordered = sorted(boxes.values(), key=lambda box: (box.band, box.title))
    return [(box, into[box.id], out_of[box.id]) for box in ordered]


def _group_name(desk: LedgerDesk, group: str) -> str:
    """What an opened group is called."""
    layer, *rest = (unquote(part) for part in group.split("/"))
    if layer not in LAYER:
        return group
    place = Place(Layer(layer), rest[0] if rest else "", rest[1] if len(rest) > 1 else "")
    name = desk.title(place) or place.unit or desk.department(place.department)
    return f"{desk.layer(place)}: {name}"


def _progress(view: View) -> Any:
    return LedgerDesk(view).graph.progress()


def _direct(desk: LedgerDesk, words: str) -> str:
    """The page of the one thing that the words name exactly."""
    lower = words.lower()
    if _SHA256.match(lower):
        number = desk.reads.event_by_hash(lower)
        return f"/ledger/events/{number}" if number else ""
    if words.isdecimal() and len(words) < 19 and desk.reads.event(int(words)):
        return f"/ledger/events/{words}"
    if len(words) == 36 and _RUN.match(lower) and desk.graph.run(lower):
        return f"/ledger/runs/{lower}"
    node = desk.graph.resolve(words) if words.startswith(("dataset:", "job:")) else None
    return desk.path(node) if node else ""


def _groups(
    desk: LedgerDesk, words: str
) -> Iterable[tuple[str, Sequence[tuple[str, str, str]], int]]:
    """Title, entries (text, note, path), and how many there are in all, of each kind."""
    desk.graph.behind()
    indicators = _indicators(desk, words)
    yield mark("Indicators"), indicators[:_FOUND], len(indicators)
    contracts = _contracts(desk, words)
    yield mark("Datasets under contract"), contracts[:_FOUND], len(contracts)
    catalog = desk.catalog
    data = catalog.search(words, kind=NodeKind.DATASET, limit=10 * _FOUND)
    tables = [one for one in data.items if desk.places.of(one).layer in _TABLES]
    files = [one for one in data.items if desk.places.of(one).layer not in _TABLES]
    rest = data.total - len(data.items)
    yield mark("Tables"), _entries(desk, tables), len(tables)
    yield mark("Files and objects"), _entries(desk, files), len(files) + rest
    jobs = catalog.search(words, kind=NodeKind.JOB, limit=_FOUND)
    yield mark("Jobs"), _entries(desk, jobs.items), jobs.total
    runs = desk.reads.runs_like(words, _FOUND) if _RUN.match(words.lower()) else []
    found = [(one.run.run_id, one.job, f"/ledger/runs/{one.run.run_id}") for one in runs]
    yield mark("Runs"), found, len(found)


_TABLES = frozenset({Layer.STAGING, Layer.CORE, Layer.INDICATORS})


def _entries(desk: LedgerDesk, nodes: Sequence[Node]) -> list[tuple[str, str, str]]:
    return [(one.name, one.namespace, desk.path(one)) for one in nodes[:_FOUND]]


def _indicators(desk: LedgerDesk, words: str) -> list[tuple[str, str, str]]:
    lower = words.lower()

    def fits(card: Card) -> bool:
        return any(lower in one.lower() for one in (card.code, card.name, card.name_en))

    cards = [one for one in desk.view.desk.house.cards.values() if fits(one)]
    return [
        (desk.view.named(one.name, one.name_en), one.code, f"/evidence/{one.code}") for one in cards
    ]


def _contracts(desk: LedgerDesk, words: str) -> list[tuple[str, str, str]]:
    lower = words.lower()
    return [
        (contract.title, name, f"/datasets/{name}")
        for name, contract in desk.view.desk.house.contracts.items()
        if lower in name or lower in contract.title.lower()
    ]
