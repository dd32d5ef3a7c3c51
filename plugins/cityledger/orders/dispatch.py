"""Sends what is due through the channels that there are, each message once a channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from cityledger.errors import CityLedgerError
from cityledger.orders.book import OrderBook
from cityledger.orders.messages import Message, message_of
from cityledger.records import Record

Send = Callable[[Message], None]


class Dispatch(Record):
    """What became of the reminders of a day.

    Attributes:
        due: Messages that were due through one channel at least.
        sent: Deliveries through a channel that went well.
        failed: ``<number> <kind> <channel>: <why>`` for those that did not; they stay due.
    """

    due: int
    sent: int
    failed: tuple[str, ...] = ()


def send_due(book: OrderBook, channels: Mapping[str, Send], today: date) -> Dispatch:
    """Send every message that a channel has not carried yet.

    One addressee that can't be reached keeps nobody else from getting theirs. A process that dies
    between sending and recording sends that one message again.

    Args:
        book: Knows what is due, and remembers what was sent.
        channels: Name → sends a message, or raises a :class:`CityLedgerError`.
        today: The day.
    """
    with book.dispatching():
        due = book.due_reminders(today, tuple(channels) or None)
        sent, failed = 0, []
        for reminder in due:
            message = message_of(reminder)
            for channel in reminder.channels:
                try:
                    channels[channel](message)
                except CityLedgerError as error:
                    book.note_sent(reminder, channel, error.code)
                    failed.append(f"{reminder.order.number} {reminder.kind} {channel}: {error}")
                else:
                    book.note_sent(reminder, channel)
                    sent += 1
    return Dispatch(due=len(due), sent=sent, failed=tuple(failed))
