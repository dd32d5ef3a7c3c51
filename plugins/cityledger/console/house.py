"""The contracts, the city and the indicator cards, read once and again when a file changes."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from cityledger.contracts.cards import Card, read_cards
from cityledger.contracts.city import City, Department
from cityledger.contracts.model import Contract
from cityledger.contracts.resolve import SUFFIX
from cityledger.contracts.violations import ContractError
from cityledger.ledger.house import House as Contracts
from cityledger.people import Person
from cityledger.settings import Settings

_LOOK_AGAIN = 2.0  # seconds between two looks at the files' times


@dataclass(frozen=True, slots=True)
class _Files:
    city: City | None = None
    contracts: dict[str, Contract] = field(default_factory=dict)
    cards: dict[str, Card] = field(default_factory=dict)
    broken: tuple[str, ...] = ()


class House:
    """Contracts, city and cards of an installation."""

    def __init__(self, settings: Settings) -> None:
        self._contracts_dir = settings.contracts_dir
        self._cards = settings.dbt_project_dir / "models" / "indicators"
        self._lock = threading.Lock()
        self._contracts = Contracts(settings.contracts_dir)
        self._files, self._looked = _Files(), float("-inf")
        self._known_cards: dict[str, Card] = {}
        self._cards_state: tuple[tuple[str, int, int], ...] = ()

    @property
    def contracts(self) -> dict[str, Contract]:
        """By ``department.dataset``, in that order.

        A contract that somebody broke stays as it was; one that never could be read is left out.
        """
        return self._current().contracts

    @property
    def cards(self) -> dict[str, Card]:
        """By indicator code."""
        return self._current().cards

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of files that could not be read; ``cityledger contract lint`` says why."""
        return self._current().broken

    @property
    def departments(self) -> dict[str, Department]:
        """By id, in the city's order."""
        city = self._current().city
        return {one.id: one for one in city.departments} if city else {}

    def city_name(self, language: str) -> str:
        """The city's name."""
        city = self._current().city
        if city is None:
            return ""
        return (city.english if language == "en" else city.name) or city.name

    @property
    def notice(self) -> str:
        """What must be said beside the name, e.g. that the city is fictional."""
        city = self._current().city
        return city.notice if city else ""

    def department_name(self, department: str, language: str) -> str:
        """A department's name, or its id when the city does not list it."""
        found = self.departments.get(department)
        if found is None:
            return department
        return (found.english if language == "en" else found.name) or found.name

    def seen_by(self, person: Person) -> dict[str, Contract]:
        """The contracts of the departments that the person may see."""
        return {
            name: contract
            for name, contract in self.contracts.items()
            if person.sees(contract.id.department)
        }

    def departments_of(self, person: Person) -> list[str]:
        """Ids of the departments that the person may see."""
        listed = [name for name in self.departments if person.sees(name)]
        others = {one.id.department for one in self.seen_by(person).values()} - set(listed)
        return [*listed, *sorted(others)]

    def _current(self) -> _Files:
        with self._lock:
            now = time.monotonic()
            if now - self._looked > _LOOK_AGAIN:
                self._files, self._looked = self._read(), now
            return self._files

    def _read(self) -> _Files:
        contracts = self._contracts.contracts()
        known = {contract.path for contract in contracts.values()}
        files = self._contracts_dir.glob(f"*/*{SUFFIX}")
        broken = sorted(path.name for path in files if path not in known)
        try:
            city = self._contracts.city()
        except ContractError:
            city, broken = None, [*broken, "city.yaml"]
        return _Files(city, contracts, self._read_cards(), tuple(broken))

    def _read_cards(self) -> dict[str, Card]:
        files = [(path, path.stat()) for path in sorted(self._cards.glob("*.yml"))]
        state = tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in files)
        if state != self._cards_state:
            self._known_cards, self._cards_state = read_cards(self._cards), state
        return self._known_cards
