"""The collector's parts, made once for a process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from cityledger.collector.group import GroupWriter
from cityledger.errors import CityLedgerError
from cityledger.ledger.catalog import Catalog
from cityledger.ledger.event_store import EventStore
from cityledger.ledger.forward import Forwarder
from cityledger.ledger.graph import LineageGraph
from cityledger.ledger.indexer import Indexer, Progress
from cityledger.settings import Settings
from cityledger.storage.database import Database

log = logging.getLogger(__name__)

_QUIET = 1.0


class Collector:
    """Everything that the routes work with."""

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self.settings = settings
        self.database = database or Database.from_settings(settings)
        self.store = EventStore(self.database)
        self.writer = GroupWriter(self.store)
        self.graph = LineageGraph(self.database)
        self.catalog = Catalog(self.database, self.graph)

    def progress(self) -> Progress:
        """How far the graph has come."""
        return Indexer(self.database).progress()

    @property
    def body_limit(self) -> int:
        """The largest body of a request, in bytes."""
        return self.settings.collector_body_mb * 1024 * 1024


class Background:
    """Keeps the graph current and feeds other catalogues while a collector runs.

    Each kind of work has a thread of its own: a target that does not answer holds up nobody else.
    """

    def __init__(self, collector: Collector) -> None:
        self._stop = threading.Event()
        indexer = Indexer(collector.database)
        self._threads = [self._thread("index", lambda: indexer.catch_up(5.0).current)]
        for target in collector.settings.lineage_targets:
            forwarder = Forwarder(collector.database, target)
            self._threads.append(self._thread(f"forward-{target.name}", forwarder.step))

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the batch at hand."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _thread(self, name: str, work: Callable[[], bool]) -> threading.Thread:
        return threading.Thread(
            target=self._repeat, args=(work,), name=f"collector-{name}", daemon=True
        )

    def _repeat(self, work: Callable[[], bool]) -> None:
        while not self._stop.is_set():
            try:
                done = work()
            except CityLedgerError as error:
                log.warning("%s will be tried again: %s", threading.current_thread().name, error)
                done = True
            if done:
                self._stop.wait(_QUIET)
