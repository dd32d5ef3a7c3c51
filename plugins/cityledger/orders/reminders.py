"""Which message about an order is due on a day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from cityledger.contracts.working_days import WorkingDays
from cityledger.orders.records import WITH_DEPARTMENT, Order, Reminder, ReminderKind

#: Working days before the due date on which the department is reminded.
DAYS_BEFORE = 1


def reminders_of(order: Order, today: date, working_days: WorkingDays) -> Iterator[Reminder]:
    """The messages that an order calls for today, sent or not.

    One for the department, by where today lies between opening and due date: when reminders were
    not sent for some days, the department gets what is true today, not what was missed. Another
    one for whoever hears of orders that are long overdue.
    """
    if order.state not in WITH_DEPARTMENT:
        return
    kind = _kind(order, today, working_days)
    yield Reminder(order=order, kind=kind, to=order.contact, round=order.reopened)
    if today > order.escalate_on:
        yield Reminder(
            order=order,
            kind=ReminderKind.ESCALATED,
            to=order.escalate_to or order.steward,
            round=order.reopened,
        )


def _kind(order: Order, today: date, working_days: WorkingDays) -> ReminderKind:
    if today > order.due_on:
        return ReminderKind.OVERDUE
    if today == order.due_on:
        return ReminderKind.DUE_TODAY
    if today >= working_days.add(order.due_on, -DAYS_BEFORE) and today > order.opened_on:
        return ReminderKind.DUE_SOON
    return ReminderKind.REOPENED if order.reopened else ReminderKind.OPENED
