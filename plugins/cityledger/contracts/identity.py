"""The two names that everything else is called by: a dataset and a partition."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

from cityledger.errors import BadInputError

_NAME = r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*"
_DATASET = re.compile(rf"({_NAME})\.({_NAME})")
_PARTITION = re.compile(
    r"(?P<year>\d{4})(?:-(?:Q(?P<quarter>[1-4])|(?P<month>\d{2})(?:-(?P<day>\d{2}))?))?",
    re.ASCII,
)


@dataclass(frozen=True, order=True, slots=True)
class DatasetId:
    """``<department>.<dataset>``: contract path, object prefix, dbt source, DAG suffix, suite."""

    department: str
    name: str

    @classmethod
    def parse(cls, text: str) -> DatasetId:
        """Read ``department.dataset``.

        Raises:
            BadInputError: the text is not two lower-snake-case names joined by a dot.
        """
        match = _DATASET.fullmatch(text)
        if match is None:
            raise BadInputError(
                f"'{text}' is not a dataset id",
                fix="write <department>.<dataset> in lower snake case, e.g. transport.metro_trips",
                code="bad_dataset_id",
            )
        return cls(match[1], match[2])

    def __str__(self) -> str:
        return f"{self.department}.{self.name}"

    @property
    def prefix(self) -> str:
        """``department/dataset``: the prefix of the dataset's keys in every bucket."""
        return f"{self.department}/{self.name}"

    @property
    def model(self) -> str:
        """``department__dataset``: how dbt models and DAG ids spell the dataset."""
        return f"{self.department}__{self.name}"

    @property
    def dag_id(self) -> str:
        """``dataset__department__dataset``: the id of the dataset's Airflow DAG."""
        return f"dataset__{self.model}"


@dataclass(frozen=True, slots=True)
class Partition:
    """A period that one delivery covers: a day, a month, a quarter or a year.

    Attributes:
        key: ISO key: ``2026-11-21``, ``2026-11``, ``2026-Q4`` or ``2026``.
        start: First day of the period.
        end: Last day of the period, inclusive.
    """

    key: str
    start: date
    end: date

    @classmethod
    def parse(cls, key: str) -> Partition:
        """Read an ISO partition key.

        Raises:
            BadInputError: the key is no ISO day, month, quarter or year.
        """
        match = _PARTITION.fullmatch(key)
        if match is None:
            raise _bad_partition(key)
        try:
            year = int(match["year"])
            if match["day"]:
                day = date(year, int(match["month"]), int(match["day"]))
                return cls(key, day, day)
            first, last = 1, 12
            if match["quarter"]:
                first = int(match["quarter"]) * 3 - 2
                last = first + 2
            elif match["month"]:
                first = last = int(match["month"])
            return cls(key, date(year, first, 1), date(year, last, monthrange(year, last)[1]))
        except ValueError:
            raise _bad_partition(key) from None

    def __str__(self) -> str:
        return self.key

    @property
    def grain(self) -> str:
        """``day``, ``month``, ``quarter`` or ``year``."""
        if "Q" in self.key:
            return "quarter"
        return {4: "year", 7: "month", 10: "day"}[len(self.key)]

    @classmethod
    def covering(cls, day: date, grain: str) -> Partition:
        """The partition of a grain that contains a day."""
        keys = {
            "day": day.isoformat(),
            "month": f"{day:%Y-%m}",
            "quarter": f"{day:%Y}-Q{(day.month + 2) // 3}",
            "year": f"{day:%Y}",
        }
        return cls.parse(keys[grain])

    def previous(self) -> Partition:
        """The partition of the same grain just before this one."""
        return Partition.covering(self.start - timedelta(days=1), self.grain)


def _bad_partition(key: str) -> BadInputError:
    return BadInputError(
        f"'{key}' is not a partition key",
        fix="use 2026-11-21 (day), 2026-11 (month), 2026-Q4 (quarter) or 2026 (year)",
        code="bad_partition",
    )
