"""The book of rectification orders: opened by verdicts, moved by people, never rewritten."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from cityledger.contracts.city import read_city
from cityledger.contracts.model import Contract
from cityledger.contracts.rectification import Rectification
from cityledger.contracts.working_days import WorkingDays
from cityledger.errors import BadInputError, CityLedgerError
from cityledger.orders.breaches import breaches, judgement_key
from cityledger.orders.notices import NoticeStore
from cityledger.orders.records import (
    FINAL,
    SYSTEM,
    WITH_DEPARTMENT,
    DepartmentStatistics,
    EventKind,
    Opening,
    Order,
    OrderEvent,
    OrderState,
    Reminder,
)
from cityledger.orders.reminders import reminders_of
from cityledger.orders.statistics import summarise
from cityledger.orders.store import EventStore, History, Turn, opening_of, unknown
from cityledger.orders.transitions import MOVES, check_person, check_state, fold
from cityledger.people import CITY_WIDE, Person, Role
from cityledger.records import Receipt, Validation
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.shelf import Shelf

# Due dates are days of the civil calendar, and China keeps one civil time.
_CIVIL_TIME = timezone(timedelta(hours=8))
_KEPT_STATISTICS = 100  # one for each set of departments that somebody may see
_NUMBER_DIGITS, _MORE_DIGITS, _DRAWS = 4, 8, 20

# Named here, because ``list`` is a method inside the class.
Orders = list[Order]
Events = list[OrderEvent]
Reminders = list[Reminder]
Statistics = list[DepartmentStatistics]


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Step:
    """What is about to happen to an order."""

    kind: EventKind
    by: str
    day: date
    details: dict[str, Any]


class OrderBook:
    """Opens, shows and moves rectification orders.

    Args:
        database: Where the events are.
        working_days: For due dates.
        terms: The city's terms, where a contract does not say others.
        clock: Says what time it is.
    """

    def __init__(
        self,
        database: Database,
        working_days: WorkingDays,
        *,
        terms: Rectification | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._database = database
        self._events, self._notices = EventStore(database), NoticeStore(database)
        self._working_days, self._clock = working_days, clock
        self._terms = terms or Rectification()
        self._statistics = Shelf(_KEPT_STATISTICS)

    @classmethod
    def from_settings(cls, settings: Settings, database: Database | None = None) -> OrderBook:
        """The book of this installation.

        Raises:
            ContractError: ``city.yaml`` or ``working_days.yaml`` is broken.
        """
        folder = settings.contracts_dir
        city = folder / "city.yaml"
        return cls(
            database or Database.from_settings(settings),
            WorkingDays.load(folder),
            terms=read_city(city).rectification if city.exists() else None,
        )

    def today(self) -> date:
        """The civil day in China."""
        return self._clock().astimezone(_CIVIL_TIME).date()

    def is_working(self, day: date) -> bool:
        """Whether a day is worked."""
        return self._working_days.is_working(day)

    # --- what happens by itself ---

    def delivered(self, receipt: Receipt, *, today: date) -> Order | None:
        """A delivery has landed: an order that waits for the department is resubmitted.

        Returns:
            The partition's order, if one is unfinished.
        """
        with self._events.turn(receipt.dataset, receipt.partition) as turn:
            history = _unfinished(turn.histories())
            if history is None:
                return None
            known = {event.delivery for event in history}
            if receipt.delivery in known or fold(history).state not in WITH_DEPARTMENT:
                return fold(history)
            details = {"delivery": receipt.delivery}
            return self._add(turn, history, _Step(EventKind.RESUBMITTED, SYSTEM, today, details))

    def open_for(
        self,
        validation: Validation,
        contract: Contract,
        *,
        today: date,
        held: Sequence[str] = (),
    ) -> Order | None:
        """Open, reopen or verify the partition's order by the verdict on its newest delivery.

        The same verdict given again adds nothing, also when its order has been closed since.

        Args:
            validation: The verdict.
            contract: Says from when on an order is due, and whom it is addressed to.
            today: The day on which the clock starts.
            held: The gate's objections, if it holds the delivery.

        Returns:
            The order that the verdict belongs to; None when it needs none.
        """
        reasons = breaches(validation, self._terms.but(contract.rectification), held)
        return self._settle(validation, contract, today, reasons, judgement_key(validation))

    def sent_back(
        self, validation: Validation, contract: Contract, *, today: date, reasons: tuple[str, ...]
    ) -> Order | None:
        """A steward has rejected the batch: an order is due whatever the thresholds say.

        Args:
            validation: The verdict on the batch.
            contract: Says whom the order is addressed to.
            today: The day on which the clock starts.
            reasons: What the gate and the steward object to.
        """
        judged = f"{judgement_key(validation)}:rejected"
        return self._settle(validation, contract, today, reasons, judged)

    def _settle(
        self,
        validation: Validation,
        contract: Contract,
        today: date,
        reasons: tuple[str, ...],
        judged: str,
    ) -> Order | None:
        details: dict[str, Any] = {"delivery": validation.delivery, "judged": judged}
        with self._events.turn(validation.dataset, validation.partition) as turn:
            histories = turn.histories()
            for history in histories:
                if any(event.judged == judged for event in history):
                    return fold(history)
            history = _unfinished(histories) or []
            if not reasons:
                return self._satisfied(turn, history, today, details) if history else None
            details["reasons"] = reasons
            if history:
                return self._breach(turn, history, today, details)
            opening = _opening(validation, contract, self._terms.but(contract.rectification))
            return self._open(turn, opening, today, details)

    def unreadable(self, receipt: Receipt, reason: str, *, today: date) -> Order | None:
        """A resubmitted delivery can't be read at all: its order is open again.

        Args:
            receipt: The delivery.
            reason: Why, without values of the data.
            today: The day on which it counts.
        """
        judged = f"{receipt.delivery}:unreadable"
        with self._events.turn(receipt.dataset, receipt.partition) as turn:
            history = _unfinished(turn.histories())
            if history is None:
                return None
            order = fold(history)
            known = any(event.judged == judged for event in history)
            if known or order.state is not OrderState.RESUBMITTED:
                return order
            details = {"delivery": receipt.delivery, "judged": judged, "reasons": (reason,)}
            return self._add(turn, history, _Step(EventKind.REOPENED, SYSTEM, today, details))

    def _open(self, turn: Turn, opening: Opening, today: date, details: dict[str, Any]) -> Order:
        for draw in range(2 * _DRAWS):
            digits = _NUMBER_DIGITS if draw < _DRAWS else _MORE_DIGITS
            event = OrderEvent(
                number=f"ZG-{today:%Y%m%d}-{secrets.randbelow(10**digits):0{digits}d}",
                sequence=1,
                kind=EventKind.OPENED,
                state=OrderState.OPEN,
                by=SYSTEM,
                at=self._clock(),
                day=today,
                opening=opening,
                **details | self._term(opening, today),
            )
            order = fold([event])
            if turn.add(event, order):
                return order
        raise CityLedgerError(
            f"no free order number for {today}", fix="run again", code="no_order_number"
        )

    def _breach(self, turn: Turn, history: History, today: date, details: dict[str, Any]) -> Order:
        # The clock goes on: handing in anything at all must not buy time.
        waiting = fold(history).state in WITH_DEPARTMENT
        kind = EventKind.BREACHED if waiting else EventKind.REOPENED
        return self._add(turn, history, _Step(kind, SYSTEM, today, details))

    def _satisfied(
        self, turn: Turn, history: History, today: date, details: dict[str, Any]
    ) -> Order:
        order = fold(history)
        if order.state in WITH_DEPARTMENT:  # corrected without a new delivery, e.g. by a replay
            delivery = {"delivery": details["delivery"]}
            step = _Step(EventKind.RESUBMITTED, SYSTEM, today, delivery)
            order = self._add(turn, history, step)
        if order.state is OrderState.RESUBMITTED:
            order = self._add(turn, history, _Step(EventKind.VERIFIED, SYSTEM, today, details))
        return order

    # --- what people see ---

    def get(self, number: str, person: Person) -> Order:
        """One order.

        Raises:
            BadInputError: there is none by that number among those that the person may see.
        """
        return fold(self.history(number, person))

    def history(self, number: str, person: Person) -> Events:
        """What has happened to an order, the oldest first.

        Raises:
            BadInputError: there is none by that number among those that the person may see.
        """
        events = self._events.find(number, _departments(person))
        if not events:
            raise unknown(number)
        return events

    def list(
        self,
        person: Person,
        *,
        state: OrderState | None = None,
        overdue: bool = False,
        department: str | None = None,
        today: date | None = None,
        limit: int | None = None,
    ) -> Orders:
        """The orders that a person may see, the newest number first.

        Args:
            person: Who asks.
            state: Only those in this state.
            overdue: Only those past their due date.
            department: Only those of this department.
            today: For ``overdue``; the present day when not given.
            limit: At most so many (of the state, before ``overdue`` is looked at).
        """
        wanted = _departments(person)
        if department is not None:
            wanted = [department] if wanted is None or department in wanted else []
        states = WITH_DEPARTMENT if overdue else None
        if state is not None:
            states = frozenset({state})
        orders = self._events.search(wanted, states, limit)
        day = today or self.today()
        return [one for one in orders if not overdue or one.overdue(day)]

    def statistics(self, person: Person, *, today: date | None = None) -> Statistics:
        """How each department that the person may see stands with its orders."""
        seen, day = _departments(person), today or self.today()
        question = (None if seen is None else tuple(seen), day)

        def made() -> Statistics:
            return summarise(self._events.tally(seen, day), self._working_days)

        return [*self._statistics.get(question, self._events.mark(), made)]

    # --- what people do ---

    def acknowledge(
        self, number: str, person: Person, note: str = "", *, seen: int | None = None
    ) -> Order:
        """The department has taken notice. Errors: see :meth:`waive`."""
        return self._decide(EventKind.ACKNOWLEDGED, number, person, note, seen)

    def resubmit(
        self, number: str, person: Person, note: str = "", *, seen: int | None = None
    ) -> Order:
        """The department says that it has corrected its data. Errors: see :meth:`waive`."""
        return self._decide(EventKind.RESUBMITTED, number, person, note, seen)

    def verify(
        self, number: str, person: Person, note: str = "", *, seen: int | None = None
    ) -> Order:
        """The steward finds the correction good. Errors: see :meth:`waive`."""
        return self._decide(EventKind.VERIFIED, number, person, note, seen)

    def reopen(self, number: str, person: Person, note: str, *, seen: int | None = None) -> Order:
        """The steward finds it not good: the department gets its time again.

        Errors: see :meth:`waive`.
        """
        return self._decide(EventKind.REOPENED, number, person, note, seen)

    def close(
        self, number: str, person: Person, note: str = "", *, seen: int | None = None
    ) -> Order:
        """The steward ends a verified order. Errors: see :meth:`waive`."""
        return self._decide(EventKind.CLOSED, number, person, note, seen)

    def waive(self, number: str, person: Person, note: str, *, seen: int | None = None) -> Order:
        """The steward ends an order without a correction.

        Args:
            number: The order's number.
            person: Who decides; recorded.
            note: Why; recorded.
            seen: The version of the order that the person looked at when deciding.

        Raises:
            BadInputError: there is no such order for the person (``unknown_order``), the step is
                somebody else's (``not_allowed``), its reason is missing (``note_missing``), it is
                not possible in the order's state (``wrong_state``), or somebody else has changed
                the order meanwhile (``order_changed``).
        """
        return self._decide(EventKind.WAIVED, number, person, note, seen)

    def _decide(
        self, kind: EventKind, number: str, person: Person, note: str, seen: int | None
    ) -> Order:
        from cityledger.masking import scrub  # brings polars along; reading orders needs none

        before = self.get(number, person)
        check_person(before, kind, person, note)
        today, note = self.today(), scrub(note.replace("\0", "").strip())
        with self._events.turn(before.dataset, before.partition) as turn:
            history = next(one for one in turn.histories() if one[0].number == number)
            order = fold(history)
            if order.version != (before.version if seen is None else seen):
                raise _changed(order)
            check_state(order, kind)
            details: dict[str, Any] = {"note": note}
            if kind is EventKind.REOPENED:
                details |= self._term(opening_of(history), today)
            return self._add(turn, history, _Step(kind, person.name, today, details))

    # --- reminders ---

    def due_reminders(self, today: date, channels: Sequence[str] | None = None) -> Reminders:
        """The messages that have to be sent.

        Args:
            today: The day.
            channels: The channels that can be used: a message is due while one of them has not
                carried it. None: it is due until any channel has.
        """
        pending = [
            reminder
            for order in reversed(self._events.search(None, WITH_DEPARTMENT))
            for reminder in reminders_of(order, today, self._working_days)
        ]
        return self._notices.without_sent(pending, channels)

    def dispatching(self) -> AbstractContextManager[None]:
        """Keep a second sender out, or both would send the same messages."""
        return self._database.lock("rectification reminders")

    def note_sent(self, reminder: Reminder, channel: str, error: str | None = None) -> None:
        """Record that a message went out, or why it did not."""
        self._notices.add(reminder, channel, error)

    # --- shared ---

    def _term(self, opening: Opening, today: date) -> dict[str, date]:
        due = self._working_days.add(today, opening.due_working_days)
        late = self._working_days.add(due, opening.escalate_after_working_days)
        return {"due_on": due, "escalate_on": late}

    def _add(self, turn: Turn, history: History, step: _Step) -> Order:
        last = history[-1]
        move = MOVES.get(step.kind)
        event = OrderEvent(
            number=last.number,
            sequence=last.sequence + 1,
            kind=step.kind,
            state=move.to if move else last.state,
            by=step.by,
            at=self._clock(),
            day=step.day,
            **step.details,
        )
        order = fold([*history, event])
        if not turn.add(event, order):
            raise _changed(fold(history))
        history.append(event)
        return order


def _departments(person: Person) -> list[str] | None:
    """Whose orders a person may see; None for all."""
    if person.has(*CITY_WIDE):
        return None
    return sorted(person.departments) if person.has(Role.DEPARTMENT) else []


def _unfinished(histories: list[History]) -> History | None:
    """The order that has not ended; there is one at most."""
    return next((one for one in reversed(histories) if one[-1].state not in FINAL), None)


def _opening(validation: Validation, contract: Contract, terms: Rectification) -> Opening:
    return Opening(
        dataset=validation.dataset,
        department=contract.id.department,
        partition=validation.partition,
        title=contract.title,
        contact=contract.contact,
        steward=contract.steward,
        escalate_to=terms.escalate_to,
        due_working_days=terms.due_working_days,
        escalate_after_working_days=terms.escalate_after_working_days,
    )


def _changed(order: Order) -> BadInputError:
    return BadInputError(
        f"the order has changed meanwhile: {order.changed_by} made it {order.state}",
        where=f"order {order.number}",
        fix="look at it again, then decide",
        code="order_changed",
    )
