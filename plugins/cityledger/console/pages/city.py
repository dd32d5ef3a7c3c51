"""The city: heat map of datasets and dimensions, trend, changes, indicators; the departments."""

from __future__ import annotations

from datetime import date
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import RedirectResponse, Response

from cityledger.console.i18n import mark
from cityledger.console.identity import STAFF, require
from cityledger.console.navigation import NavigationItem
from cityledger.console.reads import latest_publication, newest_values
from cityledger.console.trends import judged, total_trend
from cityledger.console.view import CurrentView
from cityledger.people import CITY_WIDE

router = APIRouter()
_CITY = tuple(sorted(CITY_WIDE))
NAVIGATION = (
    NavigationItem("/", mark("City"), _CITY, order=10),
    NavigationItem("/departments", mark("Departments"), STAFF, order=20),
)


@router.get("/", dependencies=[Depends(require())])
def overview(view: CurrentView, day: date | None = None) -> Response:
    """The city overview; a department is led to its own page, the public to the indicators."""
    if not view.person.has(*_CITY):
        path = "/departments" if view.person.has(*STAFF) else "/indicators"
        return RedirectResponse(view.url(path), status_code=307)
    city = view.desk.quality.city(view.day(day))
    publication = latest_publication(view.desk.database)
    return view.page(
        "city.html",
        view=city,
        rows=[
            (
                f"/datasets/{one.dataset}",
                one.title,
                view.desk.house.department_name(one.department, view.language),
                one.scores,
                one.deliveries,
            )
            for one in city.datasets
        ],
        chart=total_trend(view, city.trend) if judged(city.datasets) else None,
        values=newest_values(publication),
        cards=view.desk.house.cards,
        orders=view.desk.orders.statistics(view.person),
        titles={one.dataset: one.title for one in city.datasets},
        broken=view.desk.house.broken,
        today=view.desk.quality.today(),
    )


@router.get("/departments", dependencies=[Depends(require(*STAFF))])
def departments(view: CurrentView, day: date | None = None) -> Response:
    """The departments that the person may see; one alone is shown at once."""
    seen = view.desk.house.departments_of(view.person)
    if len(seen) == 1:
        return RedirectResponse(view.url(f"/departments/{seen[0]}"), status_code=307)
    city = view.desk.quality.city(view.day(day), trend_days=1)
    orders = {one.department: one for one in view.desk.orders.statistics(view.person)}
    rows = [
        (
            f"/departments/{one.department}",
            view.named(one.name, one.name_en),
            "",
            one.scores,
            one.deliveries,
        )
        for one in city.departments
        if one.department in seen
    ]
    return view.page(
        "departments.html",
        rows=rows,
        view=city,
        orders=[
            (view.desk.house.department_name(name, view.language), name, orders[name])
            for name in seen
            if name in orders
        ],
    )


@router.get("/api/city", dependencies=[Depends(require(*_CITY))])
def overview_data(view: CurrentView, day: date | None = None) -> dict[str, Any]:
    """The city overview as JSON."""
    return view.desk.quality.city(view.day(day)).model_dump(mode="json")
