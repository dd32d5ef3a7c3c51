"""One department: its score card, its datasets, its deliveries, what changed."""

from __future__ import annotations

from datetime import date
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from cityledger.console import words
from cityledger.console.charts import Chart
from cityledger.console.i18n import mark
from cityledger.console.identity import STAFF, require
from cityledger.console.trends import judged, total_trend
from cityledger.console.view import CurrentView, View
from cityledger.ledger.quality_records import DepartmentView
from cityledger.orders.records import DepartmentStatistics

router = APIRouter(dependencies=[Depends(require(*STAFF))])
_DELIVERIES = mark("Deliveries")


@router.get("/departments/{department}")
def department_page(view: CurrentView, department: str, day: date | None = None) -> HTMLResponse:
    """One department's page."""
    name = view.department(department)
    shown = view.desk.quality.department(department, view.day(day, department))
    return view.page(
        "department.html",
        name=name,
        view=shown,
        rows=[
            (f"/datasets/{one.dataset}", one.title, "", one.scores, one.deliveries)
            for one in shown.datasets
        ],
        chart=total_trend(view, shown.trend) if judged(shown.datasets) else None,
        calendar=_calendar(view, shown),
        titles={one.dataset: one.title for one in shown.datasets},
        orders=_orders(view, department),
    )


@router.get("/api/departments/{department}")
def department_data(view: CurrentView, department: str, day: date | None = None) -> dict[str, Any]:
    """One department as JSON."""
    view.department(department)
    shown = view.desk.quality.department(department, view.day(day, department))
    return shown.model_dump(mode="json")


def _orders(view: View, department: str) -> DepartmentStatistics | None:
    for one in view.desk.orders.statistics(view.person):
        if one.department == department:
            return one
    return None


def _calendar(view: View, shown: DepartmentView) -> Chart | None:
    titles = {one.dataset: one.title for one in shown.datasets}
    marks = [
        (titles.get(one.dataset, one.dataset), one.partition, one.state.value)
        for one in shown.deliveries
    ]
    if not marks:
        return None
    states = {state: view.gettext(text) for state, text in words.DELIVERY.items()}
    return view.desk.charts.calendar(marks, title=view.gettext(_DELIVERIES), states=states)
