"""Waivers: every word of a steward that rows may pass, until when, and how it ended."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from cityledger.console.deliveries import LONGEST, Problem, Sentence, problem, today
from cityledger.console.errors import MissingError
from cityledger.console.identity import STAFF, require
from cityledger.console.pages.dataset import sentences
from cityledger.console.view import CurrentView, View
from cityledger.errors import BadInputError
from cityledger.people import Role
from cityledger.quarantine.waivers import revoke, waivers

router = APIRouter(prefix="/quarantine/waivers", dependencies=[Depends(require(*STAFF))])


@router.get("")
def waiver_list(view: CurrentView) -> HTMLResponse:
    """Every waiver that the person may see, newest first."""
    return _page(view)


@router.get("/{number}/revoke")
def back(view: CurrentView) -> Response:
    """Where a page that answered a form is loaded again, in another language for instance."""
    return RedirectResponse(view.url("/quarantine/waivers"), HTTPStatus.SEE_OTHER)


@router.post("/{number}/revoke", dependencies=[Depends(require(Role.STEWARD))])
def revoke_waiver(view: CurrentView, number: int, reason: Sentence = "") -> Response:
    """End a waiver; its rows are back in quarantine with the next replay."""
    try:
        revoke(view.desk.runner, number, by=view.person, reason=reason)
    except BadInputError as error:
        if error.code == "unknown_waiver":
            raise MissingError(str(number)) from error
        return _page(view, problem(view, error, "waivers"))
    return RedirectResponse(view.url("/quarantine/waivers"), HTTPStatus.SEE_OTHER)


def _page(view: View, wrong: Problem | None = None) -> HTMLResponse:
    seen = view.desk.house.seen_by(view.person)
    return view.page(
        "waivers.html",
        status_code=wrong.status if wrong else HTTPStatus.OK,
        waivers=waivers(view.desk.runner, view.person)[::-1],
        titles={name: contract.title for name, contract in seen.items()},
        said={
            key: text
            for contract in seen.values()
            for key, text in sentences(contract, view.language).items()
        },
        steward=view.person.has(Role.STEWARD),
        today=today(),
        problem=wrong,
        longest=LONGEST,
    )
