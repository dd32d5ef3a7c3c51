"""What may happen to an order in which state, and by whom; and an order out of its events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cityledger.errors import BadInputError
from cityledger.orders.records import (
    FINAL,
    EventKind,
    Opening,
    Order,
    OrderEvent,
    OrderState,
)
from cityledger.people import Person, Role


@dataclass(frozen=True, slots=True)
class Move:
    """One kind of step.

    Attributes:
        to: The state after it.
        sources: States in which it is possible.
        role: Whose step it is, among people.
        reasoned: Whether a person has to say why.
    """

    to: OrderState
    sources: frozenset[OrderState]
    role: Role
    reasoned: bool = False


_S = OrderState
MOVES = {
    EventKind.ACKNOWLEDGED: Move(_S.ACKNOWLEDGED, frozenset({_S.OPEN}), Role.DEPARTMENT),
    EventKind.RESUBMITTED: Move(
        _S.RESUBMITTED, frozenset({_S.OPEN, _S.ACKNOWLEDGED}), Role.DEPARTMENT
    ),
    EventKind.VERIFIED: Move(_S.VERIFIED, frozenset({_S.RESUBMITTED}), Role.STEWARD),
    EventKind.REOPENED: Move(
        _S.OPEN, frozenset({_S.RESUBMITTED, _S.VERIFIED}), Role.STEWARD, reasoned=True
    ),
    EventKind.CLOSED: Move(_S.CLOSED, frozenset({_S.VERIFIED}), Role.STEWARD),
    EventKind.WAIVED: Move(_S.WAIVED, frozenset(_S) - FINAL, Role.STEWARD, reasoned=True),
}


def check_person(order: Order, kind: EventKind, person: Person, note: str) -> None:
    """Whether a person may take a step at all.

    Raises:
        BadInputError: the step belongs to somebody else (``not_allowed``), or needs a reason
            (``note_missing``).
    """
    move = MOVES[kind]
    own = move.role is not Role.DEPARTMENT or order.department in person.departments
    if not (person.has(move.role) and own):
        raise BadInputError(
            f"'{kind}' is a step of the {_whose(move, order)}",
            where=f"order {order.number}",
            fix="ask them, or sign in as one of them",
            code="not_allowed",
        )
    if move.reasoned and not note.strip():
        raise BadInputError(
            f"an order is not {kind} without a reason",
            where=f"order {order.number}",
            fix="say why in the note; it is kept with the order",
            code="note_missing",
        )


def check_state(order: Order, kind: EventKind) -> None:
    """Whether a step is possible in the order's state.

    Raises:
        BadInputError: it is not (``wrong_state``); says who changed the order last.
    """
    if order.state in MOVES[kind].sources:
        return
    possible = [step.value for step, move in MOVES.items() if order.state in move.sources]
    raise BadInputError(
        f"an order that is {order.state} can't be {kind}"
        f" (changed by {order.changed_by}, {order.changed_at:%Y-%m-%d %H:%M %Z})",
        where=f"order {order.number}",
        fix=f"possible now: {', '.join(possible)}" if possible else "it is over",
        code="wrong_state",
    )


def fold(events: Sequence[OrderEvent]) -> Order:
    """The order that its events, oldest first, have made."""
    first = events[0]
    if first.opening is None:
        raise ValueError(f"the first event of {first.number} does not open it")
    values = first.opening.model_dump(
        include=set(Order.model_fields) & set(Opening.model_fields)
    ) | {"number": first.number, "opened_on": first.day, "reopened": 0}
    for event in events:
        values |= _changes(event)
        values["reopened"] += event.kind is EventKind.REOPENED
    return Order.model_validate(values)


def _changes(event: OrderEvent) -> dict[str, Any]:
    given = {
        "delivery": event.delivery,
        "reasons": event.reasons or None,
        "due_on": event.due_on,
        "escalate_on": event.escalate_on,
        "finished_on": event.day if event.state in FINAL else None,
    }
    return {name: value for name, value in given.items() if value is not None} | {
        "state": event.state,
        "version": event.sequence,
        "changed_by": event.by,
        "changed_at": event.at,
    }


def _whose(move: Move, order: Order) -> str:
    return f"department {order.department}" if move.role is Role.DEPARTMENT else move.role.value
