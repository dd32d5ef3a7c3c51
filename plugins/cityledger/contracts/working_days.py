"""Working days: what a deadline "in five working days" means.

The State Council announces next year's holidays, and the weekends that are worked for them (调休),
in November. `chinesecalendar` carries the announcements of its own range of years;
``contracts/working_days.yaml`` says the years after that, and single days on which a city differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

from chinese_calendar import is_workday

from cityledger.contracts.document import read_document
from cityledger.contracts.node import Findings, Node
from cityledger.contracts.violations import ContractError, Violation

FILE = "working_days.yaml"
_DAY = timedelta(days=1)
_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class WorkingDays:
    """Which days are worked.

    Attributes:
        years: Years that ``working_days.yaml`` announces.
        exceptions: Day → whether it is worked, where the file says so.
    """

    years: frozenset[int] = frozenset()
    exceptions: Mapping[date, bool] = field(default_factory=dict)

    @classmethod
    def load(cls, contracts_dir: Path) -> WorkingDays:
        """Read ``working_days.yaml`` of a contracts directory; without the file, the library alone.

        Raises:
            ContractError: with all violations of the file.
        """
        path = contracts_dir / FILE
        if not path.exists():
            return cls()
        days, violations = examine_working_days(path)
        if violations:
            raise ContractError(violations)
        return days

    def knows(self, year: int) -> bool:
        """Whether the holidays of a year have been announced to us; else weekends only are off."""
        return year in self.years or _announced(year) is not None

    def is_working(self, day: date) -> bool:
        """Whether a day is worked: the file's word, else the library's, else Monday to Friday."""
        if day in self.exceptions:
            return self.exceptions[day]
        announced = _announced(day.year)
        return day in announced if announced is not None else day.weekday() < _SATURDAY

    def add(self, day: date, n: int) -> date:
        """The n-th working day after a day (before it, if n is negative).

        With n = 0 it is the day itself, or the next working day if it is not worked.
        """
        step = -_DAY if n < 0 else _DAY
        if n == 0:
            day -= _DAY
        for _ in range(abs(n) or 1):
            day += step
            while not self.is_working(day):
                day += step
        return day

    def between(self, start: date, end: date) -> int:
        """Working days after ``start``, up to and including ``end``; negative if it lies before.

        ``between(day, add(day, n))`` is n for every n ≥ 1.
        """
        if end < start:
            return -self.between(end, start)
        days = (start + timedelta(days=n) for n in range(1, (end - start).days + 1))
        return sum(map(self.is_working, days))


@lru_cache(maxsize=64)
def _announced(year: int) -> frozenset[date] | None:
    """The working days of a year by the library; None outside its range.

    Kept for the year, because the library searches all its tables to validate each date.
    """
    first = date(year, 1, 1)
    days = [first + timedelta(days=n) for n in range((date(year, 12, 31) - first).days + 1)]
    try:
        return frozenset(day for day in days if is_workday(day))
    except NotImplementedError:
        return None


def examine_working_days(path: Path) -> tuple[WorkingDays, list[Violation]]:
    """Read ``working_days.yaml`` as far as possible, with what is wrong with it.

    Raises:
        ContractError: the file can't be read as YAML at all.
    """
    document = read_document(path)
    root = Node(Findings(document), document.data)
    root.only(("years",))
    years: set[int] = set()
    exceptions: dict[date, bool] = {}
    for node in root["years"].items():
        node.only(("year", "source", "off", "working"))
        year = _year(node["year"])
        node["source"].text(required=True, what="who announced it, e.g. the notice's title")
        if year in years:
            node["year"].add(f"year {year} is given twice", "keep one")
        if year is not None:
            years.add(year)
            _take_days(node["off"], year, worked=False, into=exceptions)
            _take_days(node["working"], year, worked=True, into=exceptions)
    return WorkingDays(frozenset(years), exceptions), root.findings.violations


def _year(node: Node) -> int | None:
    if not node.present:
        node.add("'year' is missing", "add year: 2027")
    year = node.integer(minimum=1)
    if year is None or year <= date.max.year:
        return year
    node.add(f"{year} is no year", "write four digits")
    return None


def _take_days(nodes: Node, year: int, *, worked: bool, into: dict[date, bool]) -> None:
    for node in nodes.items():
        day = node.day()
        if not node.present:
            node.add("a date is expected here", "write YYYY-MM-DD")
        elif day is not None and day.year != year:
            node.add(f"{day} is not in {year}", "move it to its year")
        elif day in into:
            node.add(f"{day} is given twice", "keep one")
        elif day is not None:
            into[day] = worked
