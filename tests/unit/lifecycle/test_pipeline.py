"""Threads of one pass: errors arrive, nobody hangs, nothing runs on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

import pytest
from cityledger.lifecycle.pipeline import Worker, ahead


def test_items_arrive_in_order() -> None:
    """Prevents records from changing places."""
    assert list(ahead(range(100))) == list(range(100))


def test_an_error_of_the_source_is_raised_after_its_items() -> None:
    """Prevents a failed reader from looking like the end of the file."""

    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    seen = []
    with pytest.raises(ValueError, match="broken"):
        seen.extend(ahead(source()))
    taken = ahead(source())
    assert next(taken) == 1


def test_a_consumer_that_stops_closes_the_source() -> None:
    """Prevents a thread and an open connection from being left behind after an error."""
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(1_000_000)
        finally:
            closed.set()

    before = threading.active_count()
    items = ahead(source())
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]
    assert closed.is_set()
    assert threading.active_count() == before


def test_work_is_finished_on_leaving() -> None:
    """Prevents the footer from being written before the last batch."""
    seen: list[int] = []
    with Worker(seen.append) as worker:
        for number in range(50):
            worker.put(number)
    assert seen == list(range(50))


def test_an_error_of_the_worker_reaches_the_producer() -> None:
    """Prevents a full disk from passing unnoticed, and a producer from waiting for ever."""

    def fail(_: int) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        _feed(fail, range(10_000))


def _feed(work: Callable[[int], None], items: Iterable[int]) -> None:
    with Worker(work) as worker:
        for number in items:
            worker.put(number)


def test_an_error_of_the_producer_wins() -> None:
    """Prevents the first cause from being hidden by what follows."""

    def broken() -> Iterator[int]:
        yield 1
        raise KeyError("first")

    with pytest.raises(KeyError, match="first"):
        _feed(lambda _: None, broken())
