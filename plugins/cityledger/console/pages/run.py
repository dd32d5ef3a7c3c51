"""One validation: where every record went, what the rules said, what became of it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from cityledger.console import words
from cityledger.console.errors import MissingError
from cityledger.console.identity import STAFF, require
from cityledger.console.pages.dataset import sentences
from cityledger.console.reads import staged_rows
from cityledger.console.view import CurrentView, View
from cityledger.errors import BadInputError
from cityledger.ledger.quality_records import RunView
from cityledger.quarantine.reasons import REJECTS
from cityledger.records import RuleStatus

_EXAMPLES = 20
router = APIRouter(dependencies=[Depends(require(*STAFF))])


@router.get("/runs/{run}")
def run_page(view: CurrentView, run: int) -> HTMLResponse:
    """One validation's page."""
    shown = _run(view, run)
    validation = shown.validation
    contract = view.desk.house.contracts.get(validation.dataset)
    results = sorted(validation.results, key=lambda one: -one.failed)
    return view.page(
        "run.html",
        view=shown,
        contract=contract,
        title=contract.title if contract else validation.dataset,
        staged=staged_rows(
            view.desk.database, validation.dataset, validation.partition, validation.delivery
        ),
        broken=[one for one in results if one.status != RuleStatus.PASSED],
        passed=[one for one in results if one.status == RuleStatus.PASSED],
        said=sentences(contract, view.language) if contract else {},
        facts={one.key: view.gettext(words.FACT.get(one.rule, one.rule)) for one in shown.facts},
        rejects=[
            (view.named(*REJECTS.get(reason, (reason, reason))), count)
            for reason, count in sorted(validation.rejects.items(), key=lambda one: -one[1])
        ],
        old_contract=contract is not None and contract.sha256 != validation.contract_sha256,
    )


@router.get("/runs/{run}/examples")
def examples(view: CurrentView, run: int, rule: str = "") -> HTMLResponse:
    """Some rows that broke the rules, masked by the classification of their columns."""
    validation = _run(view, run).validation
    contract = view.contract(validation.dataset)
    page = view.desk.quarantine.rows(
        validation.dataset,
        validation.partition,
        validation.delivery,
        person=view.person,
        rule=rule or None,
        limit=_EXAMPLES,
    )
    said = sentences(contract, view.language)
    return view.page(
        "examples.html",
        run=run,
        contract=contract,
        page=page,
        rule=rule,
        said=said,
        title=said.get(rule, rule),
    )


@router.get("/api/runs/{run}")
def run_data(view: CurrentView, run: int) -> dict[str, Any]:
    """One validation as JSON."""
    return _run(view, run).model_dump(mode="json")


def _run(view: View, number: int) -> RunView:
    """The run, if it is of a department that the person may see."""
    try:
        shown = view.desk.quality.run(number)
    except BadInputError:
        raise MissingError(str(number)) from None
    if not view.person.sees(shown.validation.dataset.partition(".")[0]):
        raise MissingError(str(number))
    return shown
