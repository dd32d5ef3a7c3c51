"""One dataset: score card with formula, rules with history, deliveries, data dictionary."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from cityledger.console import words
from cityledger.console.charts import Chart
from cityledger.console.errors import missing
from cityledger.console.i18n import mark
from cityledger.console.identity import STAFF, require
from cityledger.console.navigation import NavigationItem
from cityledger.console.scale import Point
from cityledger.console.trends import dimension_trend, total_trend
from cityledger.console.view import CurrentView, View
from cityledger.contracts.model import Contract, Threshold
from cityledger.ledger.quality_records import DatasetView, RulePoint, RuleStanding
from cityledger.quarantine.reasons import sentence
from cityledger.records import RuleStatus

router = APIRouter(dependencies=[Depends(require(*STAFF))])
NAVIGATION = (NavigationItem("/datasets", mark("Datasets"), STAFF, order=30),)
_DELIVERIES = mark("Deliveries")
_SHARE = mark("broken, %")
_THRESHOLD = mark("threshold")
_ORDER = {RuleStatus.ERROR: 0, RuleStatus.FAILED: 1, RuleStatus.WARNING: 2, RuleStatus.PASSED: 3}


@router.get("/datasets")
def dataset_list(view: CurrentView, q: str = "") -> HTMLResponse:
    """All datasets of the person's departments, with a filter by name."""
    house, wanted = view.desk.house, q.strip().lower()
    rows = [
        (contract, house.department_name(contract.id.department, view.language))
        for name, contract in house.seen_by(view.person).items()
        if wanted in name or wanted in contract.title.lower()
    ]
    return view.page("datasets.html", rows=rows, wanted=q.strip())


@router.get("/datasets/{dataset}")
def dataset_page(view: CurrentView, dataset: str, day: date | None = None) -> HTMLResponse:
    """One dataset's page."""
    contract = view.contract(dataset)
    shown = view.desk.quality.dataset(dataset, view.day(day, contract.id.department))
    return view.page(
        "dataset.html",
        contract=contract,
        department=view.desk.house.department_name(contract.id.department, view.language),
        view=shown,
        broken=_sorted(one for one in shown.rules if one.result.status != RuleStatus.PASSED),
        passed=[one for one in shown.rules if one.result.status == RuleStatus.PASSED],
        said=sentences(contract, view.language),
        chart=total_trend(view, shown.trend) if shown.runs else None,
        dimensions=dimension_trend(view, shown.trend) if shown.runs else None,
        calendar=_calendar(view, shown),
    )


@router.get("/datasets/{dataset}/rules/{key}")
def rule_page(view: CurrentView, dataset: str, key: str) -> HTMLResponse:
    """One rule: what it asks for, and its verdicts over the newest runs."""
    contract = view.contract(dataset)
    history = view.desk.quality.rule_history(dataset, key)
    spec = next((one for one in contract.rules if one.key == key), None)
    if spec is None and not history:
        raise missing(key, [one.key for one in contract.rules], f"/datasets/{dataset}/rules/{{}}")
    return view.page(
        "rule.html",
        contract=contract,
        key=key,
        spec=spec,
        said=sentences(contract, view.language).get(key, key),
        history=history[::-1],
        chart=_rule_chart(view, key, history, spec.threshold if spec else None),
    )


@router.get("/api/datasets/{dataset}")
def dataset_data(view: CurrentView, dataset: str, day: date | None = None) -> dict[str, Any]:
    """One dataset as JSON."""
    contract = view.contract(dataset)
    shown = view.desk.quality.dataset(dataset, view.day(day, contract.id.department))
    return shown.model_dump(mode="json")


@router.get("/api/datasets/{dataset}/rules/{key}")
def rule_data(view: CurrentView, dataset: str, key: str) -> list[dict[str, Any]]:
    """The verdicts of one rule as JSON, oldest first."""
    view.contract(dataset)
    return [asdict(one) for one in view.desk.quality.rule_history(dataset, key)]


def sentences(contract: Contract, language: str) -> dict[str, str]:
    """What each rule of a contract says, by its key, in the reader's language."""
    said = {spec.key: sentence(spec, contract) for spec in contract.rules}
    return {key: one.en if language == "en" else one.zh for key, one in said.items()}


def _sorted(rules: Iterable[RuleStanding]) -> list[RuleStanding]:
    return sorted(rules, key=lambda one: (_ORDER[one.result.status], -one.result.failed))


def _calendar(view: View, shown: DatasetView) -> Chart | None:
    if not shown.deliveries:
        return None
    states = {state: view.gettext(text) for state, text in words.DELIVERY.items()}
    marks = [(shown.title, one.partition, one.state.value) for one in shown.deliveries]
    return view.desk.charts.calendar(marks, title=view.gettext(_DELIVERIES), states=states)


def _rule_chart(
    view: View, key: str, history: tuple[RulePoint, ...], threshold: Threshold | None
) -> Chart | None:
    if not history:
        return None
    points = [
        Point(
            key,
            f"{one.partition} · {one.run}",
            100 * one.failed / one.evaluated if one.evaluated else None,
        )
        for one in history
    ]
    top = max((point.value or 0 for point in points), default=0)
    levels = []
    if threshold is not None and threshold.unit == "percent" and not threshold.bounds:
        levels = [(view.gettext(_THRESHOLD), threshold.maximum)]
    highest = max(top, *(level for _, level in levels)) if levels else top
    return view.desk.charts.lines(
        points,
        title=key,
        unit=view.gettext(_SHARE),
        bounds=(0.0, 1.1 * highest or 1.0),  # from nought: a share of a share would frighten
        levels=levels,
    )
