"""What a department's monthly report says, before it is laid out."""

from __future__ import annotations

from datetime import date

from cityledger.contracts.model import Severity
from cityledger.ledger.quality_records import DatasetStanding, DeliveryCounts
from cityledger.orders.records import Order
from cityledger.records import Record
from quality_checks.scoring.records import ScoreCard


class DatasetMonth(Record):
    """One dataset's month.

    Attributes:
        runs: Partitions that were judged; the counts are sums over their newest verdicts.
    """

    standing: DatasetStanding
    runs: int
    extracted: int
    rejected: int
    parsed: int
    quarantined: int


class Problem(Record):
    """A rule that was broken in the month, over all its partitions.

    Attributes:
        zh, en: What is wrong, in a sentence.
    """

    dataset: str
    title: str
    key: str
    severity: Severity
    zh: str
    en: str
    evaluated: int
    failed: int


class Figure(Record):
    """An indicator that the department answers for, as published last."""

    code: str
    name: str
    name_en: str
    period: str
    value: str | None
    unit: str
    target: str | None
    status: str


class DepartmentReport(Record):
    """Everything that one report says.

    Attributes:
        start, end: First and last day of the month.
        before: The card of the month before.
        problems: Worst first; blocking ones before the others.
        orders: Opened in the month, or not finished at its end.
    """

    city: str
    city_en: str
    notice: str
    department: str
    name: str
    name_en: str
    start: date
    end: date
    made_on: date
    card: ScoreCard
    before: ScoreCard
    deliveries: DeliveryCounts
    datasets: tuple[DatasetMonth, ...]
    problems: tuple[Problem, ...]
    orders: tuple[Order, ...]
    figures: tuple[Figure, ...]
