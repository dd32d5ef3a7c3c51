"""What a reminder says, in Chinese and English; figures and rule keys, never values of rows."""

from __future__ import annotations

from typing import Any

from cityledger.orders.records import Reminder, ReminderKind
from cityledger.records import Record

_HEADLINES = {
    ReminderKind.OPENED: "整改单已开具 Rectification order opened",
    ReminderKind.REOPENED: "整改未通过，请再次整改 Correction not accepted, order open again",
    ReminderKind.DUE_SOON: "整改期限将至 Rectification due soon",
    ReminderKind.DUE_TODAY: "整改今日到期 Rectification due today",
    ReminderKind.OVERDUE: "整改已逾期 Rectification overdue",
    ReminderKind.ESCALATED: "整改逾期升级 Overdue rectification escalated",
}
_STATES = {"open": "待确认", "acknowledged": "整改中"}


class Message(Record):
    """A reminder in words.

    Attributes:
        to: The addressee as contract or city name it: a mail address, a URL or a name.
        subject: One line.
        facts: The same as data, for receivers that are programs.
    """

    to: str
    subject: str
    text: str
    facts: dict[str, Any]


def message_of(reminder: Reminder) -> Message:
    """Put a reminder into words."""
    order = reminder.order
    subject = f"[{order.number}] {_HEADLINES[reminder.kind]}: {order.title} {order.partition}"
    lines = [
        _HEADLINES[reminder.kind],
        "",
        f"整改单 Order: {order.number}",
        f"数据集 Dataset: {order.title}（{order.dataset}）",
        f"数据期 Period: {order.partition}",
        f"状态 State: {_STATES.get(order.state, '')} {order.state}",
        f"开具 Opened: {order.opened_on}",
        f"期限 Due: {order.due_on}",
        f"退回次数 Reopened: {order.reopened}",
        "",
        "原因 Reasons:",
        *(f"- {reason}" for reason in order.reasons),
        "",
        "请更正后重新报送同一数据期；系统将自动校验并更新整改单。",
        "Please deliver the same period again, corrected; it is judged and the order follows.",
    ]
    return Message(
        to=reminder.to,
        subject=" ".join(subject.split()),  # a line break would end the mail header
        text="\n".join(lines),
        facts={
            "event": f"rectification.{reminder.kind}",
            "reopened": order.reopened,
            **order.model_dump(
                mode="json",
                include={
                    "number",
                    "dataset",
                    "department",
                    "partition",
                    "title",
                    "state",
                    "opened_on",
                    "due_on",
                    "reasons",
                },
            ),
        },
    )
