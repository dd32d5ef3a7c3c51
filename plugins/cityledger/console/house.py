"""The house of the ledger, as a person sees it: names by language, departments, indicator cards."""

from __future__ import annotations

from cityledger.contracts.cards import Card, read_cards
from cityledger.contracts.city import City, Department
from cityledger.contracts.model import Contract
from cityledger.contracts.violations import ContractError
from cityledger.ledger.house import NOWHERE, Stamp, stamp
from cityledger.ledger.house import House as Contracts
from cityledger.people import Person
from cityledger.settings import Settings


class House(Contracts):
    """Contracts, city and cards of an installation."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.contracts_dir)
        self._cards_dir = settings.dbt_project_dir / "models" / "indicators"
        self._cards: tuple[tuple[Stamp, ...], dict[str, Card]] = ((), {})

    @property
    def cards(self) -> dict[str, Card]:
        """By indicator code."""
        state = tuple(map(stamp, sorted(self._cards_dir.glob("*.yml"))))
        known, cards = self._cards
        if state != known:
            cards = read_cards(self._cards_dir)
            self._cards = (state, cards)
        return cards

    @property
    def departments(self) -> dict[str, Department]:
        """By id, in the city's order."""
        return {one.id: one for one in self._city().departments}

    def city_name(self, language: str) -> str:
        """The city's name."""
        city = self._city()
        return (city.english if language == "en" else city.name) or city.name

    @property
    def notice(self) -> str:
        """What must be said beside the name, e.g. that the city is fictional."""
        return self._city().notice

    def department_name(self, department: str, language: str) -> str:
        """A department's name, or its id when the city does not list it."""
        found = self._city().department(department)
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

    def _city(self) -> City:
        """Names only: a page whose city cannot be read must still say so (``broken``)."""
        try:
            return self.city()
        except ContractError:
            return NOWHERE
