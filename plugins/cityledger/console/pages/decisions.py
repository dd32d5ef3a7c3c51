"""Decisions (裁决): batches that the gate holds, and what stewards said about them."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from cityledger.console.deliveries import PLACE, CurrentPlace, Problem, Sentence, Where, problem
from cityledger.console.i18n import mark
from cityledger.console.identity import STAFF, require
from cityledger.console.navigation import NavigationItem
from cityledger.console.pages.dataset import sentences
from cityledger.console.replays import newest_run
from cityledger.console.verdicts import decided, is_open, verdicts, waiting
from cityledger.console.view import CurrentView
from cityledger.errors import BadInputError, CityLedgerError
from cityledger.lifecycle.release import objections, steward_decision
from cityledger.people import Role
from cityledger.records import Channel, Release, RuleStatus

router = APIRouter(prefix="/decisions", dependencies=[Depends(require(*STAFF))])
NAVIGATION = (NavigationItem("/decisions", mark("Decisions"), roles=STAFF, order=36),)


@router.get("")
def decision_list(view: CurrentView) -> HTMLResponse:
    """Held batches that wait for a steward, and the newest decisions."""
    database, contracts = view.desk.database, view.desk.house.seen_by(view.person)
    return view.page(
        "decisions.html",
        waiting=waiting(database, view.person),
        decided=decided(database, view.person),
        titles={name: contract.title for name, contract in contracts.items()},
        steward=view.person.has(Role.STEWARD),
    )


@router.get(PLACE)
def decision_page(where: CurrentPlace) -> HTMLResponse:
    """One batch: why it is held, and what was said about it."""
    return _page(where)


@router.post(PLACE, dependencies=[Depends(require(Role.STEWARD))])
def decide(
    where: CurrentPlace,
    approved: Annotated[bool, Form()],
    seen: Annotated[str, Form()],
    reason: Sentence = "",
) -> Response:
    """Approve or reject a held batch, on the verdict that the steward looked at."""
    view = where.view
    try:
        decision = steward_decision(
            approved=approved,
            by=view.person.name,
            reason=reason,
            at=datetime.now(UTC),
            channel=Channel.CONSOLE,
        )
        if seen != where.validation.validated.key:
            raise BadInputError("it was judged again", code="judged_anew")
        view.desk.runner.release(*where.place, decision=decision)
    except CityLedgerError as error:
        return _page(where, problem(view, error, "decide"), reason)
    return RedirectResponse(view.url(_path(where)), HTTPStatus.SEE_OTHER)


def _page(where: Where, wrong: Problem | None = None, reason: str = "") -> HTMLResponse:
    view, validation = where.view, where.validation
    given = verdicts(view.desk.database, *where.place)
    standing = given[0].release if given else None
    current = standing if standing and standing.validated == validation.validated else None
    reasons = objections(validation, where.contract.gate)
    return view.page(
        "decision.html",
        status_code=wrong.status if wrong else HTTPStatus.OK,
        **where.common(),
        reasons=reasons,
        verdicts=given,
        standing=current,
        asked=bool(reasons) and _may_decide(where, current),
        failing=[one for one in validation.results if one.status != RuleStatus.PASSED],
        said=sentences(where.contract, view.language),
        run=newest_run(view.desk.database, where.place),
        form=_path(where),
        problem=wrong,
        reason=reason,
    )


def _may_decide(where: Where, standing: Release | None) -> bool:
    """Whether the person is asked: a steward, about a batch of which nobody has said anything."""
    return where.view.person.has(Role.STEWARD) and (standing is None or is_open(standing))


def _path(where: Where) -> str:
    return "/".join(("/decisions", *where.place))
