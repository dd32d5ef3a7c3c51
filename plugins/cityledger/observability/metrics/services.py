"""Whether database and object store answer, and how fast; how much room is left."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text

from cityledger.errors import CityLedgerError
from cityledger.observability.metrics import catalogue
from cityledger.observability.metrics.catalogue import Metric
from cityledger.observability.metrics.families import Figures
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.objects import LANDING, ObjectStore

_NOTHING = text("SELECT 1")


class Services:
    """What everything else rests on."""

    def __init__(self, settings: Settings, database: Database, store: ObjectStore) -> None:
        self._home, self._database, self._store = settings.home, database, store

    def figures(self) -> Figures:
        """As of now; a service that is away has no latency."""
        figures = Figures()
        _ask(figures, catalogue.DATABASE_UP, catalogue.DATABASE_SECONDS, self._ask_database)
        _ask(figures, catalogue.STORE_UP, catalogue.STORE_SECONDS, self._ask_store)
        disk = shutil.disk_usage(_existing(self._home))
        figures.set(catalogue.FREE_BYTES, disk.free)
        figures.set(catalogue.DISK_BYTES, disk.total)
        return figures

    def _ask_database(self) -> None:
        with self._database.each_alone() as connection:
            connection.execute(_NOTHING)

    def _ask_store(self) -> None:
        self._store.find(LANDING, "is-the-store-there")


def _ask(figures: Figures, up: Metric, seconds: Metric, question: Callable[[], None]) -> None:
    begun = time.perf_counter()
    try:
        question()
    except CityLedgerError:
        figures.set(up, 0)
    else:
        figures.set(up, 1)
        figures.set(seconds, time.perf_counter() - begun)


def _existing(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.exists())
