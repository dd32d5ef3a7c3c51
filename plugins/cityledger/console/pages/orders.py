"""Rectification orders (整改单): the list, one order with its history, and the steps of people."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from cityledger.console.errors import MissingError
from cityledger.console.i18n import mark
from cityledger.console.identity import STAFF, require
from cityledger.console.navigation import NavigationItem
from cityledger.console.view import CurrentView, View
from cityledger.errors import BadInputError
from cityledger.orders.records import EventKind, Order, OrderState
from cityledger.orders.transitions import MOVES
from cityledger.people import Role

router = APIRouter(dependencies=[Depends(require(*STAFF))])
NAVIGATION = (NavigationItem("/orders", mark("Orders"), roles=STAFF, order=30),)

STATE = {
    OrderState.OPEN: mark("open"),
    OrderState.ACKNOWLEDGED: mark("acknowledged"),
    OrderState.RESUBMITTED: mark("resubmitted"),
    OrderState.VERIFIED: mark("verified"),
    OrderState.CLOSED: mark("closed"),
    OrderState.WAIVED: mark("waived"),
}
EVENT = {
    EventKind.OPENED: mark("opened"),
    EventKind.BREACHED: mark("found wanting again"),
    EventKind.ACKNOWLEDGED: mark("acknowledged"),
    EventKind.RESUBMITTED: mark("resubmitted"),
    EventKind.VERIFIED: mark("verified"),
    EventKind.REOPENED: mark("reopened"),
    EventKind.CLOSED: mark("closed"),
    EventKind.WAIVED: mark("waived"),
}
#: What the button of a step says.
STEP = {
    EventKind.ACKNOWLEDGED: mark("Acknowledge"),
    EventKind.RESUBMITTED: mark("We have corrected our data"),
    EventKind.VERIFIED: mark("The correction is good"),
    EventKind.REOPENED: mark("Not good: open again"),
    EventKind.CLOSED: mark("Close"),
    EventKind.WAIVED: mark("Waive"),
}
_PROBLEM = {
    "not_allowed": mark("This step is somebody else's."),
    "note_missing": mark("Say why: the reason is kept with the order."),
    "wrong_state": mark("The order has moved on meanwhile; nothing was changed."),
    "order_changed": mark("Somebody else has changed the order meanwhile; nothing was changed."),
}
_NOTE = 2000  # characters


@router.get("/orders")
def order_list(
    view: CurrentView,
    state: OrderState | None = None,
    overdue: bool = False,
    department: str | None = None,
) -> HTMLResponse:
    """Orders that the person may see, with the standing of each department."""
    book = view.desk.orders
    chosen = department if department and view.person.sees(department) else None
    orders = book.list(view.person, state=state, overdue=overdue, department=chosen)
    names = {one: _department(view, one) for one in view.desk.house.departments_of(view.person)}
    return view.page(
        "orders.html",
        orders=orders,
        statistics=[
            (names.get(one.department, one.department), one) for one in book.statistics(view.person)
        ],
        names=names,
        states=STATE,
        chosen={"state": state, "overdue": overdue, "department": chosen},
        today=book.today(),
    )


@router.get("/orders/{number}")
def order_page(view: CurrentView, number: str) -> HTMLResponse:
    """One order."""
    return _page(view, _order(view, number))


@router.post("/orders/{number}/{step}")
def take_step(
    view: CurrentView,
    number: str,
    step: EventKind,
    seen: Annotated[int, Form()],
    note: Annotated[str, Form(max_length=_NOTE)] = "",
) -> Response:
    """Take a step that the person may take, on the version of the order that they looked at."""
    order = _order(view, number)
    book = view.desk.orders
    steps: dict[EventKind, Callable[..., Order]] = {
        EventKind.ACKNOWLEDGED: book.acknowledge,
        EventKind.RESUBMITTED: book.resubmit,
        EventKind.VERIFIED: book.verify,
        EventKind.REOPENED: book.reopen,
        EventKind.CLOSED: book.close,
        EventKind.WAIVED: book.waive,
    }
    if step not in steps:
        raise MissingError(step.value)
    try:
        steps[step](number, view.person, note, seen=seen)
    except BadInputError as error:
        if error.code not in _PROBLEM:
            raise
        return _page(view, _order(view, number), problem=_PROBLEM[error.code], note=note)
    return RedirectResponse(view.url(f"/orders/{order.number}"), HTTPStatus.SEE_OTHER)


def _order(view: View, number: str) -> Order:
    """The order, if the person may see it.

    Raises:
        MissingError: there is none, or it is another department's: both look the same.
    """
    try:
        return view.desk.orders.get(number, view.person)
    except BadInputError as error:
        raise MissingError(number) from error


def _page(view: View, order: Order, problem: str = "", note: str = "") -> HTMLResponse:
    return view.page(
        "order.html",
        status_code=HTTPStatus.CONFLICT if problem else HTTPStatus.OK,
        order=order,
        department=_department(view, order.department),
        history=view.desk.orders.history(order.number, view.person),
        steps=[(step, STEP[step], MOVES[step].reasoned) for step in _possible(view, order)],
        states=STATE,
        events=EVENT,
        overdue=order.overdue(view.desk.orders.today()),
        problem=problem,
        note=note,
        longest=_NOTE,
    )


def _possible(view: View, order: Order) -> list[EventKind]:
    """Steps that the person may take in the order's state."""
    person = view.person
    return [
        kind
        for kind, move in MOVES.items()
        if order.state in move.sources
        and person.has(move.role)
        and (move.role is not Role.DEPARTMENT or order.department in person.departments)
    ]


def _department(view: View, department: str) -> str:
    return view.desk.house.department_name(department, view.language)
