"""A book of orders in a database of the test's own, with a clock that the test sets."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import Contract, Layout, ServiceLevel, SourceSpec
from cityledger.contracts.rectification import Rectification
from cityledger.contracts.working_days import WorkingDays
from cityledger.orders import OrderBook
from cityledger.people import Person, Role
from cityledger.records import Accounting, ObjectRef, Receipt, Validation
from cityledger.storage.address import DatabaseAddress
from cityledger.storage.database import Database
from cityledger_stack.postgres import Postgres
from psycopg import sql
from sqlalchemy import text

#: A Tuesday; the 4th to the 6th of April 2026 are 清明节 and the weekend that goes with it.
TUESDAY = date(2026, 3, 31)
NOON = datetime(2026, 3, 31, 4, tzinfo=UTC)

STEWARD = Person("steward.wang", frozenset({Role.STEWARD}))
SECOND_STEWARD = Person("steward.li", frozenset({Role.STEWARD}))
AUDITOR = Person("auditor", frozenset({Role.AUDITOR}))
HOTLINE = Person("hotline.clerk", frozenset({Role.DEPARTMENT}), frozenset({"hotline"}))
HEALTH = Person("health.clerk", frozenset({Role.DEPARTMENT}), frozenset({"health"}))
PUBLIC = Person("anybody", frozenset({Role.PUBLIC}))


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def move_to(self, day: date) -> None:
        self.now = datetime(day.year, day.month, day.day, 4, tzinfo=UTC)


class Desk:
    """Hands deliveries and verdicts to the book, as the runner does."""

    def __init__(self, book: OrderBook, clock: Clock) -> None:
        self.book, self.clock = book, clock

    @property
    def today(self) -> date:
        return self.book.today()

    def judge(
        self,
        delivery: str = "d1",
        *,
        bad: int = 20,
        dataset: str = "hotline.tickets",
        partition: str = "2026-03-31",
        held: tuple[str, ...] = (),
        **changes: Any,
    ) -> Any:
        verdict = validation(delivery, bad=bad, dataset=dataset, partition=partition)
        return self.book.open_for(
            verdict, contract(dataset, **changes), today=self.today, held=held
        )

    def deliver(self, delivery: str, partition: str = "2026-03-31") -> Any:
        return self.book.delivered(receipt(delivery, partition), today=self.today)


def contract(dataset: str = "hotline.tickets", **changes: Any) -> Contract:
    made = Contract(
        id=DatasetId.parse(dataset),
        version="1.0.0",
        title="12345 热线工单",
        path=Path("x"),
        sha256="c" * 64,
        columns=(),
        rules=(),
        source=SourceSpec("drop_folder", {}),
        layout=Layout(),
        service_level=ServiceLevel("day", timedelta(hours=8), timedelta(days=30)),
        steward="hotline-steward",
        contact="mailto:hotline-data@yunxi.example",
    )
    return replace(made, **changes)


def validation(
    delivery: str = "d1",
    *,
    bad: int = 20,
    total: int = 100,
    dataset: str = "hotline.tickets",
    partition: str = "2026-03-31",
) -> Validation:
    return Validation(
        dataset=dataset,
        partition=partition,
        delivery=delivery,
        contract_version="1.0.0",
        contract_sha256="c" * 64,
        inputs=(),
        accounting=Accounting(
            declared=None,
            extracted=total,
            rejected=0,
            expected_rejects=0,
            parsed=total,
            quarantined=bad,
            validated=total - bad,
        ),
        results=(),
        validated=ObjectRef(
            bucket="validated", key="k", version_id=None, sha256=f"{delivery}{bad}", size=1
        ),
        quarantined=None,
        rejected=None,
        rejects={},
        quarantined_by_rule={},
    )


def receipt(delivery: str, partition: str = "2026-03-31") -> Receipt:
    return Receipt(
        dataset="hotline.tickets",
        partition=partition,
        delivery=delivery,
        sequence=2,
        objects=(),
        landed_at=NOON,
        retain_until=NOON,
        contract_version="1.0.0",
        contract_sha256="c" * 64,
    )


@pytest.fixture(scope="session")
def shared(postgres_server: Postgres) -> Iterator[Database]:
    """One migrated database for all tests: making one for each would take most of their time."""
    name = f"orders_{secrets.token_hex(4)}"
    with postgres_server.connect() as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = (
        f"postgresql://postgres:{postgres_server.password}@127.0.0.1:{postgres_server.port}/{name}"
    )
    made = Database(DatabaseAddress.parse(url))
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def database(shared: Database) -> Database:
    """The shared database without orders; a superuser may go round the triggers."""
    with shared.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            text("TRUNCATE cityledger.rectification_event, cityledger.rectification_notice")
        )
    return shared


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(database: Database, clock: Clock) -> OrderBook:
    return OrderBook(database, WorkingDays(), terms=Rectification(), clock=clock)


@pytest.fixture
def desk(book: OrderBook, clock: Clock) -> Desk:
    return Desk(book, clock)
