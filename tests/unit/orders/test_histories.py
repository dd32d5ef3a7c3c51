"""Whatever happens in whatever order: histories stay whole, and lists agree with them."""

from __future__ import annotations

from typing import Any

import pytest
from cityledger.errors import BadInputError
from cityledger.orders import OrderBook, OrderState
from cityledger.orders.records import FINAL
from cityledger.orders.transitions import fold
from cityledger.people import Person
from cityledger.storage.database import Database
from cityledger.storage.tables.orders import rectification_event, rectification_notice
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError

from tests.unit.orders.conftest import HOTLINE, STEWARD, Desk

STEPS = ["acknowledge", "resubmit", "verify", "reopen", "close", "waive"]
EVENTS = st.one_of(
    st.tuples(st.just("judge"), st.integers(1, 4), st.sampled_from([0, 20])),
    st.tuples(st.just("deliver"), st.integers(1, 4), st.just(0)),
    st.tuples(st.sampled_from(STEPS), st.just(0), st.just(0)),
)
FRESH = iter(range(1, 10_000))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(events=st.lists(EVENTS, max_size=12))
def test_any_sequence_leaves_whole_histories(
    desk: Desk, book: OrderBook, events: list[tuple[str, int, int]]
) -> None:
    """Prevents two unfinished orders of a partition, gaps, and lists that tell another story."""
    partition = f"{1000 + next(FRESH)}"
    for kind, number, bad in events:
        if kind == "judge":
            desk.judge(f"d{number}", bad=bad, partition=partition)
        elif kind == "deliver":
            desk.deliver(f"d{number}", partition)
        else:
            _step(book, partition, kind)
    orders = [one for one in book.list(STEWARD) if one.partition == partition]
    assert sum(one.state not in FINAL for one in orders) <= 1
    for order in orders:
        history = book.history(order.number, STEWARD)
        assert [event.sequence for event in history] == list(range(1, len(history) + 1))
        assert fold(history) == order == book.get(order.number, HOTLINE)
        assert (order.finished_on is not None) is order.final
        judged = [event.judged for event in history if event.judged]
        assert len(judged) == len(set(judged))


def _step(book: OrderBook, partition: str, kind: str) -> None:
    """Whoever may, tries; a refusal must leave the order as it was."""
    person = HOTLINE if kind in {"acknowledge", "resubmit"} else STEWARD
    for order in book.list(person):
        if order.partition != partition:
            continue
        code = _refusal(getattr(book, kind), order.number, person)
        assert code in {"", "wrong_state"}
        assert (book.get(order.number, person) == order) is bool(code)


def _refusal(step: Any, number: str, person: Person) -> str:
    try:
        step(number, person, "because")
    except BadInputError as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    "change",
    [
        update(rectification_event).values(state=OrderState.CLOSED),
        delete(rectification_event),
        update(rectification_notice).values(sent=True),
        delete(rectification_notice),
    ],
)
def test_history_is_never_rewritten(desk: Desk, database: Database, change: Any) -> None:
    """Prevents an order that was late from having been in time."""
    desk.judge()
    with pytest.raises(DBAPIError, match="append-only"), database.begin() as connection:
        connection.execute(change)


def test_what_people_write_holds_no_personal_number(desk: Desk, book: OrderBook) -> None:
    """Prevents a phone number in a history that everybody with a role may read."""
    number = desk.judge().number
    book.acknowledge(number, HOTLINE, "ask \0 13800138000 about it")
    note = book.history(number, STEWARD)[-1].note
    assert "13800138000" not in note
    assert note.startswith("ask")
