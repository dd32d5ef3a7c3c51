"""Quarantine (隔离区): rows that were held back, shown, taken away, corrected, waived, replayed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from io import BufferedReader
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from cityledger.console.deliveries import (
    PLACE,
    CurrentPlace,
    HandledPlace,
    Problem,
    Sentence,
    Where,
    problem,
    today,
)
from cityledger.console.errors import MissingError
from cityledger.console.i18n import mark
from cityledger.console.identity import STAFF, require
from cityledger.console.limits import UPLOAD_BYTES
from cityledger.console.navigation import NavigationItem
from cityledger.console.pages.dataset import sentences
from cityledger.console.replays import newest_run, replay_and_judge
from cityledger.console.view import CurrentView
from cityledger.errors import BadInputError, CityLedgerError
from cityledger.ledger.decisions import DecisionStore, WaiverState
from cityledger.orders.records import OrderState
from cityledger.people import Role
from cityledger.quarantine.browse import RejectPage, RowPage
from cityledger.quarantine.corrections import correct
from cityledger.quarantine.download import download as write_download
from cityledger.quarantine.kinds import FileKind
from cityledger.quarantine.reasons import REJECTS
from cityledger.quarantine.waivers import approve, waivable, waivers
from cityledger.records import Correction

router = APIRouter(prefix="/quarantine", dependencies=[Depends(require(*STAFF))])
NAVIGATION = (NavigationItem("/quarantine", mark("Quarantine"), roles=STAFF, order=35),)

_ROWS: Final = 50
_PIECE: Final = 1 << 18  # bytes
_TYPES: Final = {
    FileKind.CSV: "text/csv; charset=utf-8",
    FileKind.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_SCOPES: Final = {
    "delivery": mark("this delivery only"),
    "partition": mark("every delivery of this period"),
    "dataset": mark("every period until the last day"),
}
_UNREADABLE: Final = mark("The file cannot be read. Hand in XLSX, XLS or CSV as it was downloaded.")
_UNJUDGED: Final = mark("The delivery could not be judged again; the verdict stays as it was.")
_NO_FILE: Final = BadInputError("no file was handed in", code="no_file")


@router.get("")
def held_deliveries(view: CurrentView, department: str | None = None) -> HTMLResponse:
    """Newest deliveries of which something was held back."""
    house = view.desk.house
    names = {
        one: house.department_name(one, view.language) for one in house.departments_of(view.person)
    }
    entries = view.desk.quarantine.list(view.person)
    return view.page(
        "quarantine.html",
        entries=[one for one in entries if not department or one.department == department],
        names=names,
        chosen=department if department in names else None,
    )


@router.get(PLACE)
def delivery_page(
    where: CurrentPlace, rule: str = "", offset: int = 0, done: str = ""
) -> HTMLResponse:
    """A delivery's rows in quarantine and what may be done about them."""
    return _page(where, rule=rule, offset=offset, done=done)


@router.get(PLACE + "/rejected")
def rejected_page(where: CurrentPlace, offset: int = 0) -> HTMLResponse:
    """Records that are none: which lines, and why."""
    view = where.view
    page = view.desk.quarantine.rejected(
        *where.place, person=view.person, offset=offset, limit=_ROWS
    )
    pager = _pager(where, page, "/rejected")
    return view.page("rejected.html", **where.common(), page=page, pager=pager)


@router.get(PLACE + "/download")
@router.get(PLACE + "/corrections")
@router.get(PLACE + "/waivers")
def back(where: CurrentPlace) -> Response:
    """Where a page that answered a form is loaded again, in another language for instance."""
    return where.back("do")


@router.post(PLACE + "/download")
def take_away(
    where: HandledPlace,
    reason: Sentence = "",
    kind: Annotated[FileKind, Form()] = FileKind.XLSX,
    rule: Annotated[str, Form()] = "",
) -> Response:
    """The rows as they were handed in, as a file; who took it and why is recorded."""
    try:
        name, file = _written(where, reason, kind, rule or None)
    except BadInputError as error:
        return _page(where, rule=rule, wrong=problem(where.view, error, "download"))
    disposition = f"attachment; filename=\"rows.{kind}\"; filename*=UTF-8''{quote(name, safe='')}"
    return StreamingResponse(
        _pieces(file),
        media_type=_TYPES[kind],
        headers={"Content-Disposition": disposition, "Cache-Control": "no-store"},
    )


@router.post(PLACE + "/corrections")
def hand_in(where: HandledPlace, file: UploadFile | None = None) -> Response:
    """Accept a corrected file, whole or not at all."""
    view = where.view
    try:
        if file is None or not file.filename:
            raise _NO_FILE
        data = file.file.read()
        accepted = correct(
            view.desk.runner, *where.place, name=file.filename, data=data, by=view.person
        )
    except CityLedgerError as error:
        return _page(where, wrong=problem(view, error, "correct", _UNREADABLE))
    return where.back("correct", done="accepted" if accepted.fresh else "known")


@router.post(PLACE + "/waivers", dependencies=[Depends(require(Role.STEWARD))])
def waive(
    where: CurrentPlace,
    rule: Annotated[str, Form()],
    until: Annotated[date, Form()],
    reason: Sentence = "",
    scope: Annotated[str, Form()] = "delivery",
) -> Response:
    """Let rows pass that break a rule, from the next replay on."""
    view, (dataset, partition, delivery) = where.view, where.place
    if scope not in _SCOPES:
        raise MissingError(scope)
    try:
        approve(
            view.desk.runner,
            dataset,
            rule,
            by=view.person,
            reason=reason,
            until=until,
            partition=None if scope == "dataset" else partition,
            delivery=delivery if scope == "delivery" else None,
        )
    except CityLedgerError as error:
        return _page(where, wrong=problem(view, error, "waive"))
    return where.back("waivers", done="waived")


@router.post(PLACE + "/replay")
def replay(where: HandledPlace) -> Response:
    """Judge the delivery again; a long replay goes on while its page is looked at."""
    view, place, since = where.view, where.place, datetime.now(UTC)
    runner, person = view.desk.runner, view.person
    before = newest_run(view.desk.database, place)
    try:
        view.desk.replays.start(place, lambda: replay_and_judge(runner, place, person))
    except CityLedgerError as error:
        return _page(where, wrong=problem(view, error, "replay", _UNJUDGED))
    address = view.url(where.path("/replay"), before=before, since=int(since.timestamp() * 1000))
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)


def _page(
    where: Where,
    *,
    rule: str = "",
    offset: int = 0,
    done: str = "",
    wrong: Problem | None = None,
) -> HTMLResponse:
    view = where.view
    page = view.desk.quarantine.rows(
        *where.place, person=view.person, rule=rule or None, offset=offset, limit=_ROWS
    )
    broken = sorted(page.by_rule.items(), key=lambda one: -one[1])
    return view.page(
        "quarantined.html",
        status_code=wrong.status if wrong else HTTPStatus.OK,
        **where.common(),
        **_decided(where),
        page=page,
        pager=_pager(where, page, rule=rule),
        rule=rule,
        files=sorted({row.file for row in page.rows}),
        broken=broken,
        rejects=_rejects(where),
        release=view.desk.journal.find_release(*where.place),
        said=sentences(where.contract, view.language),
        run=newest_run(view.desk.database, where.place),
        waivable=waivable(where.contract, [key for key, _ in broken]),
        scopes=_SCOPES,
        problem=wrong,
        done=done,
        most_bytes=UPLOAD_BYTES,
        month=today() + timedelta(days=30),
    )


def _decided(where: Where) -> dict[str, Any]:
    """What people have done about the delivery."""
    store, (dataset, *place) = DecisionStore(where.view.desk.database), where.place
    corrections, excused = store.corrections(*where.place), _covering(where)
    return {
        "corrections": corrections,
        "used": {one.sha256 for one in where.validation.corrections},
        "waivers": excused,
        "accesses": [
            one for one in store.accesses(dataset) if [one.partition, one.delivery] == place
        ],
        "to_replay": _is_news(where, corrections, excused),
    }


def _covering(where: Where) -> list[WaiverState]:
    """Waivers that speak of the delivery, newest first."""
    dataset, partition, delivery = where.place
    found = waivers(where.view.desk.runner, where.view.person, dataset)
    return [one for one in reversed(found) if one.waiver.covers(partition, delivery)]


def _is_news(where: Where, corrections: tuple[Correction, ...], excused: list[WaiverState]) -> bool:
    """Whether something has been decided that the newest verdict does not know of."""
    used = {one.sha256 for one in where.validation.corrections}
    in_force = {one.waiver.id for one in excused if one.in_force(today())}
    applied = {one.id for one in where.validation.waivers}
    return in_force != applied or any(one.file.sha256 not in used for one in corrections)


def _rejects(where: Where) -> list[tuple[str, int]]:
    """Reasons of rejected records, the most frequent first."""
    counted = sorted(where.validation.rejects.items(), key=lambda one: -one[1])
    return [(where.view.named(*REJECTS.get(code, (code, code))), n) for code, n in counted]


def _pager(where: Where, page: RowPage | RejectPage, below: str = "", **query: Any) -> Any:
    """First and last number shown, and the addresses of the neighbours."""
    last = page.offset + len(page.rows)

    def address(offset: int) -> str:
        path = where.path(below)
        return where.view.url(path, offset=offset or None, **query) + "#rows"

    return {
        "first": page.offset + 1 if page.rows else 0,
        "last": last,
        "total": page.total,
        "previous": address(max(page.offset - _ROWS, 0)) if page.offset else None,
        "next": address(last) if page.rows and last < page.total else None,
    }


def _written(
    where: Where, reason: str, kind: FileKind, rule: str | None
) -> tuple[str, BufferedReader]:
    """The file's name, and the file: open, and no longer on the disk.

    Whatever becomes of the connection, no personal data is left behind.
    """
    view = where.view
    view.desk.settings.spool_dir.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=view.desk.settings.spool_dir))
    try:
        made = write_download(
            view.desk.runner,
            *where.place,
            person=view.person,
            reason=reason,
            folder=folder,
            kind=kind,
            rule=rule,
            due=_due(where),
        )
        return made.path.name, made.path.open("rb")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pieces(file: BufferedReader) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece


def _due(where: Where) -> date | None:
    """The day of the rectification order about the delivery's period, if one is not finished."""
    dataset, partition, _ = where.place
    finished = {OrderState.CLOSED, OrderState.WAIVED}
    orders = where.view.desk.orders.list(where.view.person, department=where.contract.id.department)
    found = (
        one.due_on
        for one in orders
        if (one.dataset, one.partition) == (dataset, partition) and one.state not in finished
    )
    return next(found, None)
