"""From a published number to the lines of the files, and the evidence pack to take along."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import HTMLResponse, Response

from cityledger.audit.trace import Trace, trace_indicator
from cityledger.console.errors import missing
from cityledger.console.i18n import mark
from cityledger.console.identity import require
from cityledger.console.ledger_desk import LedgerDesk
from cityledger.console.navigation import NavigationItem
from cityledger.console.pages.lineage import READERS
from cityledger.console.reads import latest_publication, newest_values
from cityledger.console.view import CurrentView, View
from cityledger.contracts.cards import Card
from cityledger.errors import CityLedgerError
from cityledger.ledger.decisions import Access, DecisionStore

router = APIRouter(dependencies=[Depends(require(*READERS))])
NAVIGATION = (NavigationItem("/evidence", mark("Evidence"), roles=READERS, order=52),)

#: How the rows of a table were found, by the beginning of what the trace says.
HOW = {
    "counted by the indicator": mark("counted by the indicator"),
    "same _row_id": mark("the same row id"),
}
_ROWS = 50

Area = Annotated[str, Query(max_length=20, pattern=r"^[0-9A-Za-z_-]*$")]
Period = Annotated[str, Query(max_length=20, pattern=r"^[0-9A-Za-z_-]*$")]
Snapshot = Annotated[int | None, Query(ge=0, le=2**62)]


@router.get("/evidence")
def evidence_list(view: CurrentView) -> HTMLResponse:
    """The published indicators, each with the way to its evidence."""
    publication = latest_publication(view.desk.database)
    return view.page(
        "evidence.html",
        publication=publication,
        values=newest_values(publication),
        cards=view.desk.house.cards,
        keys=LedgerDesk(view).keyring.keys(),
    )


@router.get("/evidence/{code}")
def evidence_page(
    view: CurrentView,
    code: str,
    area: Area = "",
    period: Period = "",
    snapshot: Snapshot = None,
    rows: Annotated[int | None, Query(ge=1, le=_ROWS)] = None,
) -> HTMLResponse:
    """One value; with ``rows``, traced down to so many lines of files, which is recorded."""
    card = _card(view, code)
    publication = latest_publication(view.desk.database)
    values = [one for one in (publication.values if publication else ()) if one.code == code]
    newest = max(values, key=lambda one: one.period, default=None)
    area, period = (
        area or (newest.area if newest else ""),
        period or (newest.period if newest else ""),
    )
    trace, problem = None, ""
    if area and period and rows:
        try:
            trace = trace_indicator(
                view.desk.runner,
                code,
                area=area,
                period=period,
                limit=rows,
                snapshot_id=snapshot,
            )
            _remember(view, trace)
        except CityLedgerError as error:
            problem = f"{error.what} {error.fix or ''}"
    return view.page(
        "evidence_value.html",
        card=card,
        values=sorted(values, key=lambda one: one.period, reverse=True),
        chosen={"area": area, "period": period, "snapshot": snapshot, "rows": rows},
        publication=publication,
        trace=trace,
        problem=problem,
        how=HOW,
        most=_ROWS,
        contracts=view.desk.house.contracts,
    )


@router.post("/evidence/{code}/pack")
def evidence_pack(
    view: CurrentView,
    code: str,
    area: Annotated[str, Form(max_length=20)],
    period: Annotated[str, Form(max_length=20)],
    snapshot: Annotated[int, Form(ge=0, le=2**62)],
) -> Response:
    """The evidence pack of one value, without the departments' files; who took it is recorded."""
    from cityledger.audit.gather import gather_indicator
    from cityledger.audit.pack import make_pack

    _card(view, code)
    runner = view.desk.runner
    evidence = gather_indicator(runner, code, area=area, period=period, snapshot_id=snapshot)
    data = make_pack(runner, evidence)
    DecisionStore(view.desk.database).record_access(
        Access(
            dataset=f"indicators.{code}",
            partition=period,
            delivery=f"snapshot:{snapshot}",
            person=view.person.name,
            action="pack",
            reason="",
            rows=0,
            detail={"area": area},
        )
    )
    name = f"evidence-{code}-{area}-{period}-{snapshot}.zip"
    return Response(
        data,
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _card(view: View, code: str) -> Card:
    cards = view.desk.house.cards
    if code not in cards:
        raise missing(code, cards, "/evidence/{}")
    return cards[code]


def _remember(view: View, trace: Trace) -> None:
    """Keep who saw rows of which delivery, masked though they were."""
    store = DecisionStore(view.desk.database)
    places = {(one.dataset, one.partition, one.delivery) for one in trace.sources}
    for dataset, partition, delivery in sorted(places):
        shown = [one for one in trace.sources if one.delivery == delivery]
        store.record_access(
            Access(
                dataset=dataset,
                partition=partition,
                delivery=delivery,
                person=view.person.name,
                action="trace",
                reason="",
                rows=len(shown),
                detail={"indicator": trace.code, "area": trace.area, "period": trace.period},
            )
        )
