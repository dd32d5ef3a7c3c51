"""What the ledger knows of one thing: a dataset and its versions, a job, a run, an event."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import HTMLResponse, Response

from cityledger.console.errors import MissingError
from cityledger.console.i18n import mark
from cityledger.console.identity import require
from cityledger.console.ledger_desk import LedgerDesk, Shown
from cityledger.console.pages.lineage import GAP, READERS
from cityledger.console.places import Layer
from cityledger.console.view import CurrentView
from cityledger.errors import CityLedgerError
from cityledger.ledger.catalog import MadeVersion
from cityledger.ledger.facts import Direction, NodeKind
from cityledger.ledger.graph import Node
from cityledger.ledger.log import checkpoints
from cityledger.ledger.log.proofs import Inclusion, Prover

router = APIRouter(dependencies=[Depends(require(*READERS))])

EVENT = {
    "START": mark("a run began"),
    "RUNNING": mark("a run goes on"),
    "COMPLETE": mark("a run was completed"),
    "FAIL": mark("a run failed"),
    "ABORT": mark("a run was broken off"),
    "OTHER": mark("something else about a run"),
}
RUN = {
    "NEW": mark("announced"),
    "RUNNING": mark("running"),
    "COMPLETED": mark("completed"),
    "FAILED": mark("run failed"),
    "ABORTED": mark("broken off"),
}
DIRECTION = {
    Direction.READ: mark("reads"),
    Direction.WRITTEN: mark("writes"),
    Direction.CHILD: mark("starts"),
}
_WORDS: dict[str, Any] = {"event_words": EVENT, "run_words": RUN, "gap_words": GAP}
_TABLES = mark("Tables of the shared schema")
_PAGE = 50
_SHOWN_BYTES = 256 * 1024

Key = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]


@router.get("/ledger/data/{key}")
def dataset_page(view: CurrentView, key: Key, offset: Offset = 0) -> HTMLResponse:
    """One dataset, table, file or object: its versions, schema, and what it is called."""
    desk = LedgerDesk(view)
    node = _node(desk, key, NodeKind.DATASET)
    page = desk.catalog.versions(node, _PAGE, offset)
    facets = desk.catalog.facets([node])[node.id]
    makers = {one.run.job for one in page.items if one.run}
    return view.page(
        "ledger_data.html",
        shown=desk.shown(node),
        layer=desk.layer(desk.places.of(node)),
        versions=page,
        offset=offset,
        step=_PAGE,
        jobs={one.id: desk.shown(one) for one in desk.graph.nodes_by_id(makers).values()},
        fields=_fields(facets),
        quality=_quality(desk, node),
        deleted=node.lifecycle == "DROP",
        **_WORDS,
    )


@router.get("/ledger/data/{key}/versions/{version}")
def version_page(view: CurrentView, key: Key, version: str) -> HTMLResponse:
    """One version: who made it, who read it, its schema, and the events that say so."""
    desk = LedgerDesk(view)
    node = _node(desk, key, NodeKind.DATASET)
    made: MadeVersion | None = desk.catalog.version(node, version)
    if made is None:
        raise MissingError(version)
    uses = desk.reads.uses(node, made.version.id)
    writers = [one.run.run_id for one in uses if one.wrote]
    return view.page(
        "ledger_version.html",
        shown=desk.shown(node),
        made=made,
        uses=uses,
        fields=_fields(made.facets),
        events=desk.reads.events_of(writers),
        quality=_quality(desk, node),
        **_WORDS,
    )


@router.get("/ledger/jobs/{key}")
def job_page(view: CurrentView, key: Key, offset: Offset = 0) -> HTMLResponse:
    """One job: what it reads and writes, and its runs."""
    desk = LedgerDesk(view)
    node = _node(desk, key, NodeKind.JOB)
    ends = desk.catalog.ends([node])[node.id]
    return view.page(
        "ledger_job.html",
        shown=desk.shown(node),
        reads=[desk.shown(one) for one in ends[0]],
        writes=[desk.shown(one) for one in ends[1]],
        runs=desk.catalog.runs(node, _PAGE, offset),
        offset=offset,
        step=_PAGE,
        **_WORDS,
    )


@router.get("/ledger/runs/{run_id}")
def run_page(view: CurrentView, run_id: str) -> HTMLResponse:
    """One run: what it said it would touch, what it touched, its events."""
    desk = LedgerDesk(view)
    run = desk.graph.run(run_id)
    if run is None:
        raise MissingError(run_id)
    touched = desk.catalog.touched([run]).get(run.id, [])
    facets = desk.catalog.run_facets([run]).get(run.run_id, {})
    job = desk.graph.nodes_by_id([run.job])[run.job]
    parent = desk.graph.run(run.parent_run) if run.parent_run else None
    return view.page(
        "ledger_run.html",
        run=run,
        job=desk.shown(job),
        parent=parent,
        parent_job=_text(facets, "parent", "job", "name"),
        children=desk.reads.children(run.run_id),
        touched={
            way: [(desk.shown(one.node), one.version) for one in touched if one.direction is way]
            for way in (Direction.READ, Direction.WRITTEN)
        },
        declared=desk.reads.declared(run),
        delivery=" ".join(
            _text(facets, "cityledger_stage", part) for part in ("dataset", "partition", "delivery")
        ).strip(),
        contract=_text(facets, "cityledger_stage", "contract", "version"),
        commit=_text(facets, "cityledger_build", "commit"),
        message=_text(facets, "errorMessage", "message"),
        events=desk.reads.events_of([run.run_id]),
        directions=DIRECTION,
        **_WORDS,
    )


@router.get("/ledger/events")
def event_list(
    view: CurrentView,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    faulty: bool = False,
) -> HTMLResponse:
    """Events as they came, the newest first, and the log that they are in."""
    desk = LedgerDesk(view)
    desk.graph.behind()
    return view.page(
        "ledger_events.html",
        events=desk.reads.newest_events(before=before, faulty=faulty, most=_PAGE),
        faulty=faulty,
        step=_PAGE,
        before=before,
        checkpoints=checkpoints(view.desk.database)[:-11:-1],
        keys=desk.keyring.keys(),
        **_WORDS,
    )


@router.get("/ledger/events/{number}")
def event_page(view: CurrentView, number: Annotated[int, Path(ge=1, le=2**62)]) -> HTMLResponse:
    """One event: its bytes as received, their SHA-256, and its place in the signed log."""
    desk = LedgerDesk(view)
    desk.graph.behind()
    event, raw = desk.reads.event(number), desk.catalog.raw(number)
    if event is None or raw is None:
        raise MissingError(str(number))
    proof, problem = _proof(desk, number) if event.logged else (None, "")
    return view.page(
        "ledger_event.html",
        event=event,
        text=raw[:_SHOWN_BYTES].decode("utf-8", "replace"),
        pretty=_pretty(raw),
        cut=len(raw) > _SHOWN_BYTES,
        intact=hashlib.sha256(raw).hexdigest() == event.sha256,
        proof=proof,
        problem=problem,
        **_WORDS,
    )


@router.get("/ledger/events/{number}/raw")
def event_bytes(view: CurrentView, number: Annotated[int, Path(ge=1, le=2**62)]) -> Response:
    """An event's bytes, exactly as received."""
    raw = LedgerDesk(view).catalog.raw(number)
    if raw is None:
        raise MissingError(str(number))
    name = f'attachment; filename="event-{number}.json"'
    # Not JSON for the browser: whatever was received is saved, never shown or run.
    return Response(
        raw, media_type="application/octet-stream", headers={"Content-Disposition": name}
    )


def _node(desk: LedgerDesk, key: str, kind: NodeKind) -> Node:
    node = desk.node(key)
    if node.kind is not kind:
        raise MissingError(key)
    return node


def _fields(facets: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Columns as name, type, description."""
    schema = facets.get("schema") or {}
    found: Iterable[dict[str, Any]] = schema.get("fields") or ()
    return [
        (one["name"], str(one.get("type") or ""), str(one.get("description") or ""))
        for one in found
    ]


def _quality(desk: LedgerDesk, node: Node) -> list[tuple[str, str]]:
    """Pages that say how good it is, as text and path."""
    shown: Shown = desk.shown(node)
    view, place = desk.view, shown.place
    found = []
    if place.dataset in view.desk.house.contracts:
        found.append((shown.title or place.dataset, f"/datasets/{place.dataset}"))
    if place.layer in {Layer.STAGING, Layer.CORE, Layer.INDICATORS}:
        found.append((view.gettext(_TABLES), "/"))
    if place.dataset and place.partition:
        run = desk.reads.validation_of(place.dataset, place.partition, node.name)
        if run:
            found.append((f"{place.dataset} {place.partition}", f"/runs/{run}"))
    return found


def _proof(desk: LedgerDesk, number: int) -> tuple[Inclusion | None, str]:
    """The proof that an event is in the signed log, checked; or why there is none."""
    view = desk.view
    try:
        prover = Prover(view.desk.settings, view.desk.database, desk.store)
        return prover.inclusion(number), ""
    except CityLedgerError as error:
        return None, error.what


def _pretty(raw: bytes) -> str:
    """The event with its fields one below the other; empty where it is no JSON, or too large."""
    if len(raw) > _SHOWN_BYTES:
        return ""
    try:
        return json.dumps(json.loads(raw), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return ""


def _text(facets: dict[str, Any], *path: str) -> str:
    found: Any = facets
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return str(found) if found else ""
