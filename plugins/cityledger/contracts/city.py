"""The city (``contracts/city.yaml``): its areas, effective-dated, and its departments."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from cityledger.contracts.columns import NAME
from cityledger.contracts.document import read_document
from cityledger.contracts.node import Findings, Node
from cityledger.contracts.period import Code, check_periods, read_period
from cityledger.contracts.rectification import Rectification, read_rectification
from cityledger.contracts.violations import ContractError, Violation

AREA_LIST = "area"
"""Name under which the areas are a code list."""

LEVELS = ("city", "district", "county", "county_city")
_AREA_CODE = re.compile(r"[1-9][0-9]{5}")


@dataclass(frozen=True, slots=True)
class Area:
    """A district, county or county-level city, in one period of its code.

    Attributes:
        code: Six digits (GB/T 2260).
        parent: Code of the area above.
        population: Residents; None if it is not known.
        valid_from: First day; None for always.
        valid_to: Last day, inclusive; None while it is in force.
        successors: Codes that took over.
    """

    code: str
    name: str
    level: str
    parent: str
    english: str = ""
    population: int | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    successors: tuple[str, ...] = ()

    def valid_on(self, day: date) -> bool:
        """Whether the code is in force on a day."""
        return (self.valid_from or date.min) <= day <= (self.valid_to or date.max)


@dataclass(frozen=True, slots=True)
class Department:
    """A department that hands in data.

    Attributes:
        id: Lower snake case; the folder of its contracts.
    """

    id: str
    name: str
    english: str = ""
    contact: str = ""


@dataclass(frozen=True, slots=True)
class City:
    """The municipality that this installation serves.

    Attributes:
        code: Six digits (GB/T 2260).
        notice: Shown beside the city's name, e.g. that it is fictional.
        areas: Every period of every area.
        rectification: Terms of rectification orders, where a contract does not say others.
    """

    name: str
    code: str
    areas: tuple[Area, ...]
    departments: tuple[Department, ...]
    english: str = ""
    notice: str = ""
    rectification: Rectification = field(default_factory=Rectification)

    def areas_on(self, day: date) -> tuple[Area, ...]:
        """The areas whose codes are in force on a day."""
        return tuple(area for area in self.areas if area.valid_on(day))

    def population_on(self, day: date) -> int:
        """Residents of the areas in force on a day; areas without a figure count 0."""
        return sum(area.population or 0 for area in self.areas_on(day))

    def department(self, name: str) -> Department | None:
        """The department of that id."""
        return next((known for known in self.departments if known.id == name), None)


def read_city(path: Path) -> City:
    """Read ``city.yaml``.

    Raises:
        ContractError: with all violations of the file.
    """
    city, violations = examine_city(path)
    if violations:
        raise ContractError(violations)
    return city


def examine_city(path: Path) -> tuple[City, list[Violation]]:
    """Read ``city.yaml`` as far as possible, with what is wrong with it.

    Raises:
        ContractError: the file can't be read as YAML at all.
    """
    document = read_document(path)
    root = Node(Findings(document), document.data)
    root.only(("name", "english", "code", "notice", "areas", "departments", "rectification"))
    areas = [_area(node) for node in root["areas"].items()]
    check_periods(root["areas"], _as_codes(areas))
    code = root["code"].text(required=True, what="six digits, quoted") or ""
    _check_references(root["areas"], areas, code)
    departments = [_department(node) for node in root["departments"].items()]
    _check_departments(root["departments"], departments)
    if not departments:
        root.add("no departments", "list who hands in data under 'departments'")
    city = City(
        name=root["name"].text(required=True, what="the city's name") or "",
        code=code,
        areas=tuple(areas),
        departments=tuple(departments),
        english=root["english"].text() or "",
        notice=root["notice"].text() or "",
        rectification=Rectification().but(read_rectification(root["rectification"])),
    )
    return city, root.findings.violations


def areas_as_codes(city: City) -> tuple[Code, ...]:
    """The city itself and its areas as a code list."""
    whole = Code(city.code, city.name, city.english, attributes={"level": "city"})
    return (whole, *_as_codes(city.areas))


def _as_codes(areas: tuple[Area, ...] | list[Area]) -> tuple[Code, ...]:
    return tuple(
        Code(
            area.code,
            area.name,
            area.english,
            valid_from=area.valid_from,
            valid_to=area.valid_to,
            successors=area.successors,
            attributes={"level": area.level, "parent": area.parent},
        )
        for area in areas
    )


def _area(node: Node) -> Area:
    node.only(
        (
            "code",
            "name",
            "english",
            "level",
            "parent",
            "population",
            "valid_from",
            "valid_to",
            "successors",
        )
    )
    code = node["code"].text(required=True, what="six digits, quoted")
    if code is not None and not _AREA_CODE.fullmatch(code):
        node["code"].add(f"'{code}' is no area code", "write six digits, quoted")
    valid_from, valid_to = read_period(node)
    successors = node["successors"].texts()
    if valid_to is not None and not successors:
        node.add("an area that ended without successors", "add successors: ['…']")
    return Area(
        code=code or "",
        name=node["name"].text(required=True, what="the area's name") or "",
        level=node["level"].choice(LEVELS, required=True) or "district",
        parent=node["parent"].text(required=True, what="code of the area above") or "",
        english=node["english"].text() or "",
        population=node["population"].integer(minimum=0),
        valid_from=valid_from,
        valid_to=valid_to,
        successors=successors,
    )


def _check_references(nodes: Node, areas: list[Area], city: str) -> None:
    known = {area.code for area in areas} | {city}
    for index, area in enumerate(areas):
        if area.parent and area.parent not in known:
            nodes[index]["parent"].add(
                f"parent '{area.parent}' is no area of the city", "correct the code"
            )
        for successor in area.successors:
            if successor not in known:
                nodes[index]["successors"].add(
                    f"successor '{successor}' is no area of the city", "add it to the areas"
                )


def _department(node: Node) -> Department:
    node.only(("id", "name", "english", "contact"))
    name = node["id"].text(required=True, what="lower_snake_case")
    if name is not None and not NAME.fullmatch(name):
        node["id"].add(f"'{name}' is not lower snake case", "write it like gov_services")
    return Department(
        id=name or "",
        name=node["name"].text(required=True, what="the department's name") or "",
        english=node["english"].text() or "",
        contact=node["contact"].text() or "",
    )


def _check_departments(nodes: Node, departments: list[Department]) -> None:
    seen: set[str] = set()
    for index, department in enumerate(departments):
        if department.id in seen:
            nodes[index]["id"].add(f"department '{department.id}' is given twice", "keep one")
        seen.add(department.id)
