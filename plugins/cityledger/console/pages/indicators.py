"""Published indicators: the list, and one indicator over its periods against its target."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse
from sqlalchemy import select

from cityledger.console.house import Card
from cityledger.console.i18n import mark
from cityledger.console.identity import require
from cityledger.console.navigation import NavigationItem
from cityledger.console.view import CurrentView, View
from cityledger.records import IndicatorValue, Publication
from cityledger.storage import tables

router = APIRouter(dependencies=[Depends(require())])
NAVIGATION = (NavigationItem("/indicators", mark("Indicators"), order=40),)


@router.get("/indicators")
def indicator_list(view: CurrentView) -> HTMLResponse:
    """The newest published value of every indicator."""
    publication = latest_publication(view)
    values = publication.values if publication else ()
    return view.page("indicators.html", publication=publication, rows=newest(view, values))


def latest_publication(view: View) -> Publication | None:
    """What was published last."""
    table = tables.publication
    query = select(table.c.record).order_by(table.c.id.desc()).limit(1)
    with view.desk.database.begin() as connection:
        record = connection.scalar(query)
    return None if record is None else Publication.model_validate(record)


def newest(
    view: View, values: Sequence[IndicatorValue]
) -> list[tuple[IndicatorValue, Card | None]]:
    """The newest value of every indicator, with its card, in order of the codes."""
    found: dict[str, IndicatorValue] = {}
    for value in values:
        if value.code not in found or value.period > found[value.code].period:
            found[value.code] = value
    cards = view.desk.house.cards
    return [(found[code], cards.get(code)) for code in sorted(found)]
