"""Orders and what happens to them: immutable, JSON-able records."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from cityledger.records import Record

#: Who acts when something happens by itself (a delivery arrives, a verdict is reached).
SYSTEM = "cityledger"


class OrderState(StrEnum):
    """Where an order stands; only the last two end it."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESUBMITTED = "resubmitted"
    VERIFIED = "verified"
    CLOSED = "closed"
    WAIVED = "waived"


#: An order in one of these is over; a later breach opens another one.
FINAL = frozenset({OrderState.CLOSED, OrderState.WAIVED})
#: An order in one of these waits for the department, so its clock runs.
WITH_DEPARTMENT = frozenset({OrderState.OPEN, OrderState.ACKNOWLEDGED})


class EventKind(StrEnum):
    """What can happen to an order."""

    OPENED = "opened"
    BREACHED = "breached"
    ACKNOWLEDGED = "acknowledged"
    RESUBMITTED = "resubmitted"
    VERIFIED = "verified"
    REOPENED = "reopened"
    CLOSED = "closed"
    WAIVED = "waived"


class Opening(Record):
    """What an order is about and what was agreed; as of its opening, whatever changes later.

    Attributes:
        title: The dataset's business name.
        contact: Whom the order is addressed to: the contract's support contact.
        escalate_to: Who hears when the due date has long passed: a mail address or a name.
    """

    dataset: str
    department: str
    partition: str
    title: str
    contact: str
    steward: str
    escalate_to: str
    due_working_days: int
    escalate_after_working_days: int


class OrderEvent(Record):
    """One thing that happened to an order; never changed afterwards.

    Attributes:
        sequence: 1 for the opening, then 2, 3, …
        state: The order's state after the event.
        by: Login name, or ``cityledger`` when it happened by itself.
        day: The civil day in China on which it counts.
        delivery: The delivery that it is about.
        judged: Which verdict it follows from; the same verdict adds nothing twice.
        due_on: A new due date. ``escalate_on``: likewise.
        opening: With the first event only.
    """

    number: str
    sequence: int
    kind: EventKind
    state: OrderState
    by: str
    at: datetime
    day: date
    note: str = ""
    delivery: str | None = None
    reasons: tuple[str, ...] = ()
    judged: str | None = None
    due_on: date | None = None
    escalate_on: date | None = None
    opening: Opening | None = None


class Order(Record):
    """An order as its events make it.

    Attributes:
        number: Like ``ZG-20260331-0274``: day of opening and a random figure.
        delivery: The delivery that the newest event with one is about.
        reasons: Why it was opened, or what the newest breach was.
        version: Sequence of its newest event; a decision may name the version it was taken on.
        reopened: How often its correction was not good enough.
        finished_on: When it was closed or waived.
    """

    number: str
    dataset: str
    department: str
    partition: str
    title: str
    delivery: str
    state: OrderState
    opened_on: date
    due_on: date
    escalate_on: date
    reasons: tuple[str, ...]
    contact: str
    steward: str
    escalate_to: str
    version: int
    changed_by: str
    changed_at: datetime
    reopened: int = 0
    finished_on: date | None = None

    @property
    def final(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.state in FINAL

    def overdue(self, today: date) -> bool:
        """Whether the department should have delivered again before today."""
        return self.state in WITH_DEPARTMENT and today > self.due_on


class ReminderKind(StrEnum):
    """What a message about an order says."""

    OPENED = "opened"
    REOPENED = "reopened"
    DUE_SOON = "due_soon"
    DUE_TODAY = "due_today"
    OVERDUE = "overdue"
    ESCALATED = "escalated"


class Reminder(Record):
    """A message that somebody has to get about an order.

    Attributes:
        to: Addressee: the order's contact, or who hears of an escalation.
        round: How often the order had been reopened: each round has its own reminders.
        channels: Channels that it has still to be sent through; empty when nobody said which ones
            there are.
    """

    order: Order
    kind: ReminderKind
    to: str
    round: int = 0
    channels: tuple[str, ...] = ()


class DepartmentStatistics(Record):
    """How a department stands with its orders.

    Attributes:
        open: Not closed and not waived. ``overdue``: those of them past their due date.
        average_working_days: From opening to closing, over closed orders; None when there is none.
    """

    department: str
    open: int
    overdue: int
    closed: int
    waived: int
    average_working_days: float | None
