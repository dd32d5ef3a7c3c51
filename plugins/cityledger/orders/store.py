"""The events of orders in the database: added, never changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    Select,
    and_,
    case,
    cast,
    exists,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from cityledger.errors import BadInputError
from cityledger.orders.records import WITH_DEPARTMENT, Opening, Order, OrderEvent, OrderState
from cityledger.storage.database import Database
from cityledger.storage.shelf import Mark
from cityledger.storage.tables.orders import rectification_event as table

History = list[OrderEvent]


@dataclass(frozen=True, slots=True)
class Tally:
    """Orders that are alike: how many, and how many overdue; if closed, when opened and closed."""

    department: str
    state: OrderState
    opened: date | None
    changed: date | None
    count: int
    overdue: int


class EventStore:
    """Reads and adds events of orders; safe for several processes at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def turn(self, dataset: str, partition: str) -> Iterator[Turn]:
        """A transaction in which nobody else adds to the orders of a partition."""
        name = f"cityledger:order:{dataset}/{partition}"
        with self._database.begin() as connection:
            connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))
            yield Turn(connection, dataset, partition)

    def find(self, number: str, departments: Iterable[str] | None) -> History:
        """The events of one order; none when it belongs to a department that is not given.

        Args:
            number: The order's number.
            departments: Whose orders may be seen; None for all.
        """
        query = select(table.c.record).where(table.c.number == number).order_by(table.c.sequence)
        if departments is not None:
            query = query.where(table.c.department.in_(list(departments)))
        with self._database.begin() as connection:
            return _events(connection, query)

    def search(
        self,
        departments: Iterable[str] | None,
        states: Iterable[OrderState] | None,
        limit: int | None = None,
    ) -> list[Order]:
        """The orders of departments that are in one of the states, the newest number first."""
        query = _newest(select(table.c.result), departments)
        if states is not None:
            query = query.where(table.c.state.in_([state.value for state in states]))
        query = query.order_by(table.c.number.desc()).limit(limit)
        with self._database.begin() as connection:
            return [Order.model_validate(result) for result in connection.scalars(query)]

    def mark(self) -> Mark:
        """How far the events are, for a shelf."""
        with self._database.begin() as connection:
            return Mark.of(connection, table)

    def tally(self, departments: Iterable[str] | None, today: date) -> list[Tally]:
        """How many orders of each department are in each state, the closed ones by their days."""
        opened, due = (
            cast(table.c.result[name].as_string(), Date) for name in ("opened_on", "due_on")
        )
        closed = table.c.state == OrderState.CLOSED.value  # of others, nobody asks how long
        days = (case((closed, day)) for day in (opened, table.c.day))
        group = (table.c.department, table.c.state, *days)
        late = and_(table.c.state.in_([state.value for state in WITH_DEPARTMENT]), due < today)
        query = (
            _newest(select(*group, func.count(), func.count().filter(late)), departments)
            .group_by(*group)
            .order_by(table.c.department)
        )
        with self._database.begin() as connection:
            return [
                Tally(row[0], OrderState(row[1]), *row[2:]) for row in connection.execute(query)
            ]


class Turn:
    """The orders of one dataset and partition, held for one transaction."""

    def __init__(self, connection: Connection, dataset: str, partition: str) -> None:
        self._connection = connection
        self._dataset, self._partition = dataset, partition
        self._place: tuple[ColumnElement[bool], ...] = (
            table.c.dataset == dataset,
            table.c.partition == partition,
        )

    def histories(self) -> list[History]:
        """All orders of the partition, the oldest first."""
        query = select(table.c.record).where(*self._place).order_by(table.c.id)
        events = _events(self._connection, query)
        numbers = list(dict.fromkeys(event.number for event in events))
        return [[event for event in events if event.number == number] for number in numbers]

    def add(self, event: OrderEvent, order: Order) -> bool:
        """Add an event; False when the order already has one of that sequence.

        Args:
            event: What happened.
            order: What the order is after it.
        """
        added = (
            insert(table)
            .values(
                number=event.number,
                sequence=event.sequence,
                kind=event.kind.value,
                state=event.state.value,
                dataset=self._dataset,
                department=order.department,
                partition=self._partition,
                day=event.day,
                record=event.model_dump(mode="json"),
                result=order.model_dump(mode="json"),
            )
            .on_conflict_do_nothing(index_elements=["number", "sequence"])
            .returning(table.c.id)
        )
        return self._connection.scalar(added) is not None


def opening_of(events: History) -> Opening:
    """What the order was opened for."""
    opening = events[0].opening
    if opening is None:
        raise ValueError(f"the first event of {events[0].number} does not open it")
    return opening


def unknown(number: str) -> BadInputError:
    """The same words whether there is no such order or it is somebody else's."""
    return BadInputError(
        f"there is no order {number}",
        fix="`cityledger orders list` shows the orders that you may see",
        code="unknown_order",
    )


def _events(connection: Connection, query: Select[Any]) -> History:
    return [OrderEvent.model_validate(record) for record in connection.scalars(query)]


def _newest(query: Select[Any], departments: Iterable[str] | None) -> Select[Any]:
    """Only the newest event of each order: the one that none follows."""
    later = table.alias()
    follows = and_(later.c.number == table.c.number, later.c.sequence == table.c.sequence + 1)
    query = query.where(~exists().where(follows))
    if departments is not None:
        query = query.where(table.c.department.in_(list(departments)))
    return query
