"""All figures together, found at most once in a while, whoever asks how often."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from cityledger import __version__
from cityledger.ledger.house import House
from cityledger.observability.metrics import catalogue
from cityledger.observability.metrics.families import Figures, text_of
from cityledger.observability.metrics.ledger import Ledger
from cityledger.observability.metrics.services import Services
from cityledger.observability.metrics.standing import Builds, Datasets, Work
from cityledger.observability.metrics.totals import BOUNDS, Totals
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.objects import ObjectStore

log = logging.getLogger(__name__)

#: A second Prometheus, or somebody who holds a key down, is told the same again.
KEPT_SECONDS: Final = 5.0

Part = Callable[[], Figures]


def _now() -> datetime:
    return datetime.now(UTC)


class Exposition:
    """What ``/metrics`` says; safe for several threads.

    Args:
        settings: Which installation.
        clock: What time it is, with a zone.
        more: Further parts, by name, that only the caller knows how to find.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = _now,
        more: Mapping[str, Part] | None = None,
    ) -> None:
        database = Database.from_settings(settings)
        house = House(settings.contracts_dir)
        self._services: Part = Services(
            settings, database, ObjectStore.from_settings(settings)
        ).figures
        self._parts: dict[str, Part] = {
            "totals": Totals(database).figures,
            "datasets": Datasets(database, house, clock).figures,
            "work": Work(database).figures,
            "builds": Builds(database).figures,
            "ledger": Ledger(settings, database).figures,
            **(more or {}),
        }
        self._lock = threading.Lock()
        self._kept: tuple[float, bytes] = (float("-inf"), b"")

    def text(self) -> bytes:
        """The figures in Prometheus's format; a part that cannot be found says so."""
        with self._lock:
            at, text = self._kept
            if time.monotonic() - at > KEPT_SECONDS:
                text = text_of(self.figures(), BOUNDS)
                self._kept = (time.monotonic(), text)
            return text

    def figures(self) -> Figures:
        """The figures, found now."""
        figures = Figures()
        figures.set(catalogue.INFO, 1, __version__)
        self._add(figures, "services", self._services)
        database_up = figures.values.get(catalogue.DATABASE_UP, {}).get(())
        for name, part in self._parts.items():
            if database_up:  # five more questions to a database that is away would all wait
                self._add(figures, name, part)
            else:
                figures.set(catalogue.PART_FAILED, 1, name)
        return figures

    @staticmethod
    def _add(figures: Figures, name: str, part: Part) -> None:
        begun, failed = time.perf_counter(), 0
        try:
            figures.update(part())
        except Exception as error:  # noqa: BLE001  what is left is needed all the more
            log.warning("metrics, part %s: %s", name, type(error).__name__)
            failed = 1
        figures.set(catalogue.PART_FAILED, failed, name)
        figures.set(catalogue.PART_SECONDS, time.perf_counter() - begun, name)
