"""Published indicators: the list, and one indicator over its periods against its target."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from cityledger.console.charts import Chart
from cityledger.console.errors import missing
from cityledger.console.i18n import mark
from cityledger.console.identity import require
from cityledger.console.navigation import NavigationItem
from cityledger.console.reads import latest_publication, newest_values
from cityledger.console.scale import Point
from cityledger.console.view import CurrentView, View
from cityledger.contracts.cards import Card
from cityledger.people import CITY_WIDE
from cityledger.records import IndicatorValue

router = APIRouter(dependencies=[Depends(require())])
NAVIGATION = (NavigationItem("/indicators", mark("Indicators"), order=40),)


@router.get("/indicators")
def indicator_list(view: CurrentView) -> HTMLResponse:
    """The newest published value of every indicator."""
    publication = latest_publication(view.desk.database)
    return view.page(
        "indicators.html",
        publication=publication,
        values=newest_values(publication),
        cards=view.desk.house.cards,
    )


@router.get("/indicators/{code}")
def indicator(view: CurrentView, code: str) -> HTMLResponse:
    """One indicator: its card, its values by period, and how they stand against the target."""
    publication, values = _values(view, code)
    card = view.desk.house.cards.get(code)
    newest = values[-1]
    title = view.named(newest.name, newest.name_en)
    unit = view.named(card.unit, card.unit_en) if card else newest.unit
    return view.page(
        "indicator.html",
        publication=publication,
        title=title,
        unit=unit,
        card=card,
        values=values[::-1],
        newest=newest,
        proves=view.person.has(*CITY_WIDE),
        chart=_chart(view, values, title, unit),
        linked=_linked(view, card),
        responsible=card and view.desk.house.department_name(card.department, view.language),
    )


@router.get("/api/indicators")
def indicator_data(view: CurrentView) -> dict[str, Any]:
    """All published city-wide values as JSON."""
    publication = latest_publication(view.desk.database)
    if publication is None:
        return {"snapshot_id": None, "content_sha256": None, "values": []}
    return publication.model_dump(mode="json", include={"snapshot_id", "content_sha256", "values"})


def _values(view: View, code: str) -> tuple[Any, list[IndicatorValue]]:
    publication = latest_publication(view.desk.database)
    published = publication.values if publication else ()
    values = sorted((one for one in published if one.code == code), key=lambda one: one.period)
    if not values:
        raise missing(code, {one.code for one in published}, "/indicators/{}")
    return publication, values


def _chart(view: View, values: list[IndicatorValue], title: str, unit: str) -> Chart | None:
    if len(values) < 2:
        return None
    points = [
        Point(title, one.period, None if one.value is None else float(one.value)) for one in values
    ]
    target = values[-1].target
    levels = [(view.gettext("Target"), float(target))] if target else []
    return view.desk.charts.lines(points, title=title, unit=unit, levels=levels)


def _linked(view: View, card: Card | None) -> list[tuple[str, str, bool]]:
    """Source datasets: name, title, and whether the reader may open their pages."""
    if card is None:
        return []
    seen, contracts = view.desk.house.seen_by(view.person), view.desk.house.contracts
    return [
        (name, contracts[name].title if name in contracts else name, name in seen)
        for name in card.datasets
    ]
