"""Stages of one pass side by side: bounded queues, so memory is bounded, too."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")

_DONE = object()
_POLL_SECONDS = 0.1


def ahead(source: Iterable[T], depth: int = 2) -> Generator[T, None, None]:
    """Iterate ``source`` in a thread of its own, at most ``depth`` items ahead.

    An error in the source is raised here; when the consumer stops early, the source's generator
    is closed.
    """
    feeder = _Feeder(source, depth)
    try:
        while (item := feeder.items.get()) is not _DONE:
            yield item  # type: ignore[misc]  # the queue holds T and the end mark
    finally:
        feeder.stop()
    if feeder.failure is not None:
        raise feeder.failure


class _Feeder:
    """Fills a bounded queue from an iterable until it ends, fails or nobody wants more."""

    def __init__(self, source: Iterable[Any], depth: int) -> None:
        self.items: queue.Queue[object] = queue.Queue(depth)
        self.failure: BaseException | None = None
        self._source = source
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cityledger-ahead", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end and wait for it."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with closing(_closeable(self._source)) as iterator:
                for item in iterator:
                    if not self._put(item):
                        break
        except BaseException as error:  # noqa: BLE001 - raised again in the consumer's thread
            self.failure = error
        finally:
            self._put(_DONE)

    def _put(self, item: object) -> bool:
        while not self._stopped.is_set():
            try:
                self.items.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False


def _closeable(source: Iterable[Any]) -> Generator[Any, None, None]:
    yield from source


class Worker(Generic[T]):
    """Hands items to a function in a thread of its own; ``close`` waits and raises its error."""

    def __init__(self, work: Callable[[T], None], depth: int = 2) -> None:
        self._items: queue.Queue[object] = queue.Queue(depth)
        self._work = work
        self._failure: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="cityledger-worker", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Queue an item; raises what an earlier item raised."""
        self._check()
        self._items.put(item)

    def close(self) -> None:
        """Finish all items."""
        self._items.put(_DONE)
        self._thread.join()
        self._check()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._items.put(_DONE)
            self._thread.join()

    def _run(self) -> None:
        while (item := self._items.get()) is not _DONE:
            if self._failure:
                continue
            try:
                self._work(item)  # type: ignore[arg-type]  # the queue holds T and the end mark
            except BaseException as error:  # noqa: BLE001 - raised again by put and close
                self._failure.append(error)

    def _check(self) -> None:
        if self._failure:
            raise self._failure[0]
