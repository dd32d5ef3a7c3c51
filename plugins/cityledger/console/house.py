"""The contracts, the city and the indicator cards, read once and again when a file changes."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from cityledger.contracts.city import City, Department, read_city
from cityledger.contracts.lint import examine
from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError
from cityledger.people import Person
from cityledger.settings import Settings

_LOOK_AGAIN = 2.0  # seconds between two looks at the files' times


@dataclass(frozen=True, slots=True)
class Card:
    """What an indicator is, by its card in the dbt project.

    Attributes:
        direction: ``higher`` or ``lower`` is better.
        target: ``kind``, ``value`` and ``due`` as written on the card.
        datasets: Those that it is computed from.
    """

    code: str
    name: str
    name_en: str
    unit: str
    unit_en: str
    definition: str
    definition_en: str
    numerator: str
    denominator: str
    frequency: str
    department: str
    direction: str
    baseline: float | None
    target: dict[str, Any]
    standard: str
    version: str
    valid_from: date | None
    valid_to: date | None
    datasets: tuple[str, ...]
    model: str


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
        self._files, self._looked = _Files(), float("-inf")
        self._state: tuple[tuple[str, int, int], ...] = ()

    @property
    def contracts(self) -> dict[str, Contract]:
        """By ``department.dataset``, in that order; a broken contract is left out."""
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
                state = self._stamps()
                if state != self._state:
                    self._files, self._state = self._read(), state
                self._looked = now
            return self._files

    def _stamps(self) -> tuple[tuple[str, int, int], ...]:
        files = [*self._contracts_dir.rglob("*.yaml"), *self._cards.glob("*.yml")]
        found = [(str(path), path.stat()) for path in sorted(files)]
        return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in found)

    def _read(self) -> _Files:
        broken: set[str] = set()
        city = None
        contracts: dict[str, Contract] = {}
        try:
            city = read_city(self._contracts_dir / "city.yaml")
            report = examine(self._contracts_dir)
            broken |= {one.file.name for one in report.violations}
            contracts = {
                name: contract
                for name, contract in sorted(report.contracts.items())
                if contract.path.name not in broken
            }
        except BadInputError:
            broken.add("city.yaml")
        return _Files(city, contracts, read_cards(self._cards), tuple(sorted(broken)))


def read_cards(folder: Path) -> dict[str, Card]:
    """The indicator cards of a dbt project, by code."""
    cards: dict[str, Card] = {}
    for file in sorted(folder.glob("*.yml")):
        models = (yaml.safe_load(file.read_text("utf-8")) or {}).get("models") or []
        for model in models:
            meta = model.get("config", {}).get("meta", {}).get("indicator")
            if meta:
                cards[meta["code"]] = _card(meta, model["name"])
    return cards


def _card(meta: dict[str, Any], model: str) -> Card:
    name, unit, definition = (_both(meta.get(key)) for key in ("name", "unit", "definition"))
    return Card(
        code=meta["code"],
        name=name[0],
        name_en=name[1],
        unit=unit[0],
        unit_en=unit[1],
        definition=definition[0],
        definition_en=definition[1],
        numerator=meta.get("numerator") or "",
        denominator=meta.get("denominator") or "",
        frequency=meta.get("frequency") or "",
        department=meta.get("responsible_department") or "",
        direction=meta.get("direction") or "",
        baseline=meta.get("baseline"),
        target=meta.get("target") or {},
        standard=meta.get("standard") or "",
        version=str(meta.get("version") or ""),
        valid_from=meta.get("valid_from"),
        valid_to=meta.get("valid_to"),
        datasets=tuple(meta.get("datasets") or ()),
        model=model,
    )


def _both(value: Any) -> tuple[str, str]:
    if isinstance(value, dict):
        zh, en = str(value.get("zh") or ""), str(value.get("en") or "")
        return zh or en, en or zh
    return str(value or ""), str(value or "")
