"""What all pages work with: one per process."""

from __future__ import annotations

import threading
from functools import cached_property

from cityledger.console.charts import Charts
from cityledger.console.house import House
from cityledger.console.replays import Replays
from cityledger.ledger.journal import Journal
from cityledger.ledger.quality import QualityStore
from cityledger.orders.book import OrderBook
from cityledger.quarantine.browse import Quarantine
from cityledger.runner import Runner
from cityledger.settings import Settings
from cityledger.storage.database import Database


class Desk:
    """Settings, contracts, journal and read models of an installation.

    The database is looked for at the first page that needs it: the console starts, and says what
    is wrong, when there is none.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.house = House(settings)
        self.charts = Charts(settings.home / "console" / "charts")
        self.replays = Replays()
        self._lock = threading.Lock()
        self._runner: tuple[tuple[str, ...], Runner] | None = None

    @cached_property
    def database(self) -> Database:
        """CityLedger's database.

        Raises:
            UnavailableError: none is configured.
        """
        return Database.from_settings(self.settings)

    @cached_property
    def journal(self) -> Journal:
        """What every stage left behind."""
        return Journal(self.database)

    @cached_property
    def quality(self) -> QualityStore:
        """Scores, deliveries and changes."""
        return QualityStore(self.database, self.settings.contracts_dir)

    @property
    def runner(self) -> Runner:
        """Does what people ask for, by the contracts of now.

        A runner keeps the contracts that it has read, so there is a new one after each change: a
        column that was declared personal must be masked on the next page.

        Raises:
            UnavailableError: no database or no object store is configured.
        """
        state = tuple(contract.sha256 for contract in self.house.contracts.values())
        with self._lock:
            if self._runner is None or self._runner[0] != state:
                self._runner = (state, Runner(self.settings))
            return self._runner[1]

    @property
    def quarantine(self) -> Quarantine:
        """Rows that are held back, masked.

        Raises:
            UnavailableError: no object store is configured.
        """
        return Quarantine(self.runner)

    @cached_property
    def orders(self) -> OrderBook:
        """Rectification orders."""
        return OrderBook.from_settings(self.settings, self.database)
