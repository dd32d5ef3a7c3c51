"""Orders: opened by verdicts, moved by those whose step it is, never rewritten."""

from __future__ import annotations

import re
import threading
from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from cityledger.errors import BadInputError
from cityledger.orders import EventKind, OrderBook, OrderState
from cityledger.people import Person

from tests.unit.orders.conftest import (
    AUDITOR,
    HEALTH,
    HOTLINE,
    PUBLIC,
    SECOND_STEWARD,
    STEWARD,
    TUESDAY,
    Desk,
)


def kinds(book: OrderBook, number: str) -> list[str]:
    return [event.kind.value for event in book.history(number, STEWARD)]


def refused(code: str, call: Any, *arguments: Any, **options: Any) -> BadInputError:
    with pytest.raises(BadInputError) as caught:
        call(*arguments, **options)
    assert caught.value.code == code
    assert caught.value.fix
    return caught.value


# --- opening -----------------------------------------------------------------------------------


def test_a_bad_delivery_opens_an_order_addressed_to_the_department(desk: Desk) -> None:
    """Prevents a bad delivery that nobody is asked to correct."""
    order = desk.judge(bad=20)
    assert re.fullmatch(r"ZG-20260331-\d{4}", order.number)
    assert (order.dataset, order.department, order.partition) == (
        "hotline.tickets",
        "hotline",
        "2026-03-31",
    )
    assert (order.state, order.delivery, order.version) == (OrderState.OPEN, "d1", 1)
    assert order.contact == "mailto:hotline-data@yunxi.example"
    assert "20 of 100" in order.reasons[0]
    assert "整改阈值 5%" in order.reasons[0]


def test_the_due_date_counts_working_days(desk: Desk) -> None:
    """Prevents a due date on a holiday (清明节 takes the Monday)."""
    order = desk.judge()
    assert order.opened_on == TUESDAY
    assert order.due_on == date(2026, 4, 8)
    assert order.escalate_on == date(2026, 4, 13)


@pytest.mark.parametrize(
    ("bad", "held", "rectification", "opens"),
    [
        (5, (), {}, False),
        (6, (), {}, True),
        (6, (), {"open_above_percent": 6.0}, False),
        (1, (), {"open_above_percent": 0.0}, True),
        (0, ("declared 2, got 1",), {}, True),
        (0, ("declared 2, got 1",), {"open_on_held": False}, False),
    ],
    ids=["at the limit", "above", "contract differs", "zero tolerance", "held", "held, not asked"],
)
def test_the_threshold_decides(
    desk: Desk, bad: int, held: tuple[str, ...], rectification: dict[str, Any], opens: bool
) -> None:
    """Prevents orders about nothing, and silence about too much."""
    order = desk.judge(bad=bad, held=held, rectification=rectification)
    assert (order is not None) is opens
    if held and order is not None:
        assert order.reasons == held


def test_the_same_verdict_adds_nothing(desk: Desk, book: OrderBook) -> None:
    """Prevents a repeated task from opening a second order, also after the first has ended."""
    order = desk.judge()
    assert desk.judge() == order
    book.waive(order.number, STEWARD, "agreed by telephone")
    assert desk.judge().state is OrderState.WAIVED
    assert len(book.list(STEWARD)) == 1


def test_a_partition_has_one_unfinished_order(desk: Desk, book: OrderBook) -> None:
    """Prevents a department from getting a new order for every bad attempt."""
    order = desk.judge("d1")
    again = desk.judge("d2", bad=30)
    assert again.number == order.number
    assert again.state is OrderState.OPEN
    assert "30 of 100" in again.reasons[0]
    assert again.due_on == order.due_on
    assert kinds(book, order.number) == ["opened", "breached"]
    other = desk.judge("d1", partition="2026-03-30")
    assert other.number != order.number


def test_a_breach_after_the_end_is_a_new_order(desk: Desk, book: OrderBook) -> None:
    """Prevents a closed case from swallowing what goes wrong later."""
    first = desk.judge("d1")
    book.waive(first.number, STEWARD, "known defect")
    second = desk.judge("d2")
    assert second.number != first.number
    assert book.get(first.number, STEWARD).state is OrderState.WAIVED


def test_opening_at_once_opens_one(desk: Desk, book: OrderBook) -> None:
    """Prevents two workers from opening an order each for the same partition."""
    threads = [threading.Thread(target=desk.judge, args=(f"d{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (order,) = book.list(STEWARD)
    assert sorted(kinds(book, order.number)) == ["breached"] * 5 + ["opened"]


def test_numbers_of_a_day_do_not_run(desk: Desk) -> None:
    """Prevents a department from counting everybody's orders by its own numbers."""
    numbers = [desk.judge(partition=f"2026-03-{day:02}").number for day in range(1, 13)]
    figures = [int(number[-4:]) for number in numbers]
    assert len(set(figures)) == 12
    assert {b - a for a, b in pairwise(figures)} != {1}


# --- correcting --------------------------------------------------------------------------------


def test_the_whole_way(desk: Desk, book: OrderBook) -> None:
    """Prevents an order that can't be brought to its end."""
    number = desk.judge("d1").number
    assert book.acknowledge(number, HOTLINE).state is OrderState.ACKNOWLEDGED
    assert desk.deliver("d2").state is OrderState.RESUBMITTED
    assert desk.judge("d2", bad=0).state is OrderState.VERIFIED
    closed = book.close(number, STEWARD, "checked")
    assert (closed.state, closed.finished_on, closed.delivery) == (
        OrderState.CLOSED,
        TUESDAY,
        "d2",
    )
    history = book.history(number, HOTLINE)
    assert [(event.kind.value, event.by) for event in history] == [
        ("opened", "cityledger"),
        ("acknowledged", "hotline.clerk"),
        ("resubmitted", "cityledger"),
        ("verified", "cityledger"),
        ("closed", "steward.wang"),
    ]


def test_a_correction_that_is_still_bad_reopens(desk: Desk, book: OrderBook) -> None:
    """Prevents rubbish from stopping the clock."""
    order = desk.judge("d1")
    desk.clock.move_to(date(2026, 4, 7))
    desk.deliver("d2")
    again = desk.judge("d2", bad=50)
    assert (again.state, again.reopened, again.due_on) == (OrderState.OPEN, 1, order.due_on)
    assert desk.judge("d2", bad=50) == again
    assert desk.deliver("d2") == again
    assert kinds(book, order.number) == ["opened", "resubmitted", "reopened"]


def test_a_replay_that_is_good_enough_verifies(desk: Desk, book: OrderBook) -> None:
    """Prevents an order that stays open although the same delivery was put right by a waiver."""
    number = desk.judge("d1", bad=20).number
    assert desk.judge("d1", bad=1).state is OrderState.VERIFIED
    assert kinds(book, number) == ["opened", "resubmitted", "verified"]


def test_an_unreadable_correction_reopens(desk: Desk, book: OrderBook) -> None:
    """Prevents an order that waits for a verdict which can never come."""
    from tests.unit.orders.conftest import receipt

    number = desk.judge("d1").number
    desk.deliver("d2")
    for _ in range(2):
        order = book.unreadable(receipt("d2"), "unknown_header", today=TUESDAY)
    assert order is not None
    assert (order.state, order.reasons) == (OrderState.OPEN, ("unknown_header",))
    assert kinds(book, number) == ["opened", "resubmitted", "reopened"]


def test_a_verified_order_reopens_when_the_next_delivery_is_bad(
    desk: Desk, book: OrderBook
) -> None:
    """Prevents a worse delivery from hiding behind the verdict on a better one."""
    desk.judge("d1")
    desk.judge("d2", bad=0)
    assert desk.judge("d3", bad=9).state is OrderState.OPEN


def test_a_steward_who_reopens_gives_the_time_again(desk: Desk, book: OrderBook) -> None:
    """Prevents a department from being overdue by its steward's delay."""
    number = desk.judge("d1").number
    desk.deliver("d2")
    desk.judge("d2", bad=0)
    desk.clock.move_to(date(2026, 4, 20))
    order = book.reopen(number, STEWARD, "the total is off by one district")
    assert (order.state, order.due_on) == (OrderState.OPEN, date(2026, 4, 27))
    assert not order.overdue(date(2026, 4, 27))


# --- who sees, who may -------------------------------------------------------------------------


def test_another_departments_number_is_no_number(desk: Desk, book: OrderBook) -> None:
    """Prevents guessing: an answer that differs would confirm that the order exists."""
    number = desk.judge().number
    missing = "ZG-20260331-99999"
    for call in (book.get, book.history):
        told = refused("unknown_order", call, number, HEALTH)
        absent = refused("unknown_order", call, missing, HEALTH)
        assert str(told).replace(number, "") == str(absent).replace(missing, "")
    for step in (book.acknowledge, book.resubmit, book.verify, book.close, book.waive, book.reopen):
        refused("unknown_order", step, number, HEALTH, "mine")
        refused("unknown_order", step, number, PUBLIC, "mine")
    assert book.list(HEALTH) == book.list(PUBLIC) == []
    assert book.list(HEALTH, department="hotline") == []
    assert book.statistics(HEALTH) == []
    assert kinds(book, number) == ["opened"]


def test_everybody_sees_what_is_theirs(desk: Desk, book: OrderBook) -> None:
    """Prevents a department without its orders, and a steward without the city's."""
    mine = desk.judge()
    theirs = desk.judge(dataset="health.visits")
    assert book.list(HOTLINE) == [mine]
    assert book.get(mine.number, HOTLINE) == mine
    for person in (STEWARD, AUDITOR):
        assert {one.number for one in book.list(person)} == {mine.number, theirs.number}
        assert book.list(person, department="health") == [theirs]


@pytest.mark.parametrize(
    ("step", "person"),
    [
        ("acknowledge", STEWARD),
        ("resubmit", STEWARD),
        ("verify", HOTLINE),
        ("close", HOTLINE),
        ("waive", HOTLINE),
        ("reopen", HOTLINE),
        ("waive", AUDITOR),
        ("acknowledge", AUDITOR),
    ],
)
def test_a_step_belongs_to_a_role(desk: Desk, book: OrderBook, step: str, person: Person) -> None:
    """Prevents a department from closing its own case, and an auditor from touching any."""
    number = desk.judge().number
    refused("not_allowed", getattr(book, step), number, person, "because")
    assert kinds(book, number) == ["opened"]


@pytest.mark.parametrize(
    ("step", "person"),
    [("verify", STEWARD), ("close", STEWARD), ("reopen", STEWARD)],
)
def test_an_illegal_step_says_what_is_possible(
    desk: Desk, book: OrderBook, step: str, person: Person
) -> None:
    """Prevents an order from being closed without a correction."""
    number = desk.judge().number
    error = refused("wrong_state", getattr(book, step), number, person, "because")
    assert "acknowledged, resubmitted, waived" in error.fix
    book.waive(number, STEWARD, "known")
    for again in ("waive", "verify", "close", "reopen"):
        refused("wrong_state", getattr(book, again), number, STEWARD, "because")


@pytest.mark.parametrize("step", ["waive", "reopen"])
@pytest.mark.parametrize("note", ["", "  \n"])
def test_ending_without_a_correction_needs_a_reason(
    desk: Desk, book: OrderBook, step: str, note: str
) -> None:
    """Prevents a waiver that nobody can explain to the auditor."""
    refused("note_missing", getattr(book, step), desk.judge().number, STEWARD, note)


def test_of_two_who_decide_at_once_one_is_told(desk: Desk, book: OrderBook) -> None:
    """Prevents the second steward from overruling the first without knowing of it."""
    desk.judge("d1")
    order = desk.judge("d2", bad=0)
    start, outcomes = threading.Barrier(2), []

    def decide(step: Any, person: Person) -> None:
        start.wait()
        try:
            step(order.number, person, "decided", seen=order.version)
            outcomes.append("done")
        except BadInputError as error:
            outcomes.append(error.code)

    threads = [
        threading.Thread(target=decide, args=(book.close, STEWARD)),
        threading.Thread(target=decide, args=(book.waive, SECOND_STEWARD)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done", "order_changed"]
    assert book.get(order.number, STEWARD).version == order.version + 1


def test_a_decision_on_an_old_page_is_refused(desk: Desk, book: OrderBook) -> None:
    """Prevents waiving an order that has got worse since the page was loaded."""
    seen = desk.judge("d1")
    desk.judge("d2", bad=90)
    error = refused(
        "order_changed", book.waive, seen.number, STEWARD, "harmless", seen=seen.version
    )
    assert "cityledger" in str(error)
    assert EventKind.WAIVED.value not in kinds(book, seen.number)


# --- lists and figures -------------------------------------------------------------------------


def test_the_overdue_list(desk: Desk, book: OrderBook) -> None:
    """Prevents naming a department that is in time, or that waits for the steward."""
    late = desk.judge("d1", partition="2026-03-29")
    waits = desk.judge("d1", partition="2026-03-30")
    desk.deliver("d2", "2026-03-30")
    assert book.list(STEWARD, overdue=True, today=late.due_on) == []
    after = date(2026, 4, 9)
    assert book.list(STEWARD, overdue=True, today=after) == [late]
    assert book.list(STEWARD, overdue=True, state=OrderState.RESUBMITTED, today=after) == []
    assert [one.number for one in book.list(STEWARD, state=OrderState.RESUBMITTED)] == [
        waits.number
    ]


def test_statistics_by_department(desk: Desk, book: OrderBook) -> None:
    """Prevents a ranking of departments that counts waived orders as quickly closed ones."""
    closed = desk.judge("d1")
    desk.clock.move_to(date(2026, 4, 3))
    desk.judge("d2", bad=0)
    book.close(closed.number, STEWARD)
    waived = desk.judge("d1", partition="2026-03-30")
    book.waive(waived.number, STEWARD, "known")
    desk.judge("d1", partition="2026-03-29")
    desk.judge("d1", dataset="health.visits")
    health, hotline = book.statistics(STEWARD, today=date(2026, 5, 20))
    assert hotline.model_dump() == {
        "department": "hotline",
        "open": 1,
        "overdue": 1,
        "closed": 1,
        "waived": 1,
        "average_working_days": 3.0,
    }
    assert (health.open, health.average_working_days) == (1, None)
