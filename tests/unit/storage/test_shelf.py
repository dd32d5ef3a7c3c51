"""Answers are kept exactly as long as the journals stand still."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cityledger.settings import Settings
from cityledger.storage import tables
from cityledger.storage.database import Database
from cityledger.storage.shelf import Mark, Shelf
from sqlalchemy import Connection, insert

STILL = Mark((1,), frozenset())


class Maker:
    """Makes answers, and remembers which."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def of(self, answer: str) -> Callable[[], str]:
        def make() -> str:
            time.sleep(0.01)  # long enough for others to ask meanwhile
            self.made.append(answer)
            return answer

        return make


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    made = Database.from_settings(settings)
    made.migrate()
    yield made
    made.close()


def _land(connection: Connection, delivery: str) -> None:
    connection.execute(
        insert(tables.delivery).values(
            dataset="hotline.tickets",
            partition=delivery,  # a number of its own: the same one would wait for the other
            delivery=delivery,
            sequence=1,
            landed_at=datetime(2026, 4, 1, tzinfo=UTC),
            record={},
        )
    )


def _mark(database: Database) -> Mark:
    with database.begin() as connection:
        return Mark.of(connection, tables.delivery)


def test_a_transaction_that_ends_late_is_seen(database: Database) -> None:
    """Prevents a delivery from staying unseen because a later one was committed before it."""
    with database.begin() as slow:
        _land(slow, "first number, last to commit")
        with database.begin() as quick:
            _land(quick, "second number")
        between = _mark(database)
    after = _mark(database)
    assert between.ids == after.ids
    assert not between.still(after)


def test_nothing_new_is_no_change(database: Database) -> None:
    """Prevents a shelf that never keeps anything."""
    with database.begin() as connection:
        _land(connection, "one")
    before, after = _mark(database), _mark(database)
    assert before.ids[0] is not None
    assert before.ids == after.ids
    # Other tests' databases in the same server may have transactions that end in between.
    assert replace(before, running=frozenset()).still(after)


def test_the_newest_id_decides() -> None:
    """Prevents an answer that outlives a new row, or ends because an unrelated write goes on."""
    assert STILL.still(STILL)
    assert STILL.still(Mark((1,), frozenset({"7"})))
    assert not STILL.still(Mark((2,), frozenset()))
    assert not Mark((1,), frozenset({"7"})).still(STILL)


def test_a_shelf_is_bounded() -> None:
    """Prevents a server whose memory grows with every day that somebody looks at."""
    shelf, maker = Shelf(2), Maker()
    for key in ("a", "b", "a", "c", "a", "b"):
        assert shelf.get(key, STILL, maker.of(key)) == key
    assert maker.made == ["a", "b", "c", "b"]


def test_many_who_ask_at_once_wait_for_one_answer() -> None:
    """Prevents forty readers from computing the same page forty times after a delivery."""
    shelf, maker, together = Shelf(2), Maker(), threading.Barrier(8)

    def ask(_: int) -> str:
        together.wait()
        return shelf.get("city", STILL, maker.of("view"))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"view"}
    assert maker.made == ["view"]


def test_an_error_is_not_kept() -> None:
    """Prevents a page that stays broken after the database is back."""
    shelf = Shelf(2)
    with pytest.raises(ZeroDivisionError):
        shelf.get("city", STILL, lambda: 1 // 0)
    assert shelf.get("city", STILL, lambda: 1) == 1
