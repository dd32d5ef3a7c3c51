"""Which messages have been sent: recorded with the channel, failures as well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from cityledger.orders.records import Reminder
from cityledger.storage.database import Database
from cityledger.storage.tables.orders import rectification_notice as table

_Key = tuple[str, str, int]


class NoticeStore:
    """Reads and adds notices of messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, reminder: Reminder, channel: str, error: str | None) -> None:
        """Record that a message went out through a channel, or why it did not."""
        number, kind, round_ = _key(reminder)
        row = {"number": number, "kind": kind, "round": round_, "channel": channel}
        with self._database.begin() as connection:
            connection.execute(
                insert(table)
                .values(**row, sent=error is None, error=error)
                .on_conflict_do_nothing()
            )

    def without_sent(
        self, reminders: Iterable[Reminder], channels: Sequence[str] | None
    ) -> list[Reminder]:
        """The reminders that still have to be sent, with the channels that lack them."""
        asked = list(reminders)
        sent = self._sent({reminder.order.number for reminder in asked})
        if channels is None:
            return [one for one in asked if not sent.get(_key(one))]
        left = (
            one.model_copy(
                update={"channels": tuple(c for c in channels if c not in sent.get(_key(one), ()))}
            )
            for one in asked
        )
        return [one for one in left if one.channels]

    def _sent(self, numbers: set[str]) -> dict[_Key, set[str]]:
        query = select(table.c.number, table.c.kind, table.c.round, table.c.channel).where(
            table.c.sent, table.c.number.in_(numbers)
        )
        sent: dict[_Key, set[str]] = {}
        with self._database.begin() as connection:
            for row in connection.execute(query):
                sent.setdefault((row.number, row.kind, row.round), set()).add(row.channel)
        return sent


def _key(reminder: Reminder) -> _Key:
    return reminder.order.number, reminder.kind.value, reminder.round
