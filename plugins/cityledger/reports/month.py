"""What a month's verdicts add up to: one query for the counts, one for the broken rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Select, and_, func, select
from sqlalchemy.dialects.postgresql import distinct_on

from cityledger.storage import tables
from cityledger.storage.database import Database
from cityledger.storage.tables import scores


@dataclass(frozen=True, slots=True)
class Counts:
    """Sums of a dataset's accounting over the newest verdicts of its partitions."""

    runs: int = 0
    extracted: int = 0
    rejected: int = 0
    parsed: int = 0
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class Broken:
    """Sums of a rule's results over the same verdicts."""

    dataset: str
    key: str
    severity: str
    evaluated: int
    failed: int


def month_counts(
    database: Database, datasets: Sequence[str], start: date, end: date
) -> dict[str, Counts]:
    """Accounting by dataset, of the partitions whose period ends from ``start`` to ``end``."""
    newest = _newest(datasets, start, end).subquery()
    names = ("extracted", "rejected", "parsed", "quarantined")
    sums = [func.sum(newest.c.accounting[name].as_integer()) for name in names]
    query = select(newest.c.subject, func.count(), *sums).group_by(newest.c.subject)
    with database.begin() as connection:
        return {row[0]: Counts(*map(int, row[1:])) for row in connection.execute(query)}


def broken_rules(
    database: Database, datasets: Sequence[str], start: date, end: date
) -> list[Broken]:
    """Rules that something broke, blocking ones first, then by how much they broke."""
    newest, result = _newest(datasets, start, end).subquery(), tables.rule_result
    failed = func.sum(result.c.failed)
    query = (
        select(
            newest.c.subject,
            result.c.key,
            func.min(result.c.severity),
            func.sum(result.c.evaluated),
            failed,
        )
        .join(result, result.c.validation_id == newest.c.validation_id)
        .where(result.c.failed > 0)
        .group_by(newest.c.subject, result.c.key)
        .order_by(func.min(result.c.severity) != "block", failed.desc(), result.c.key)
    )
    with database.begin() as connection:
        rows: Iterable[Any] = connection.execute(query)
        return [
            Broken(dataset, key, severity, int(evaluated), int(count))
            for dataset, key, severity, evaluated, count in rows
        ]


def _newest(datasets: Sequence[str], start: date, end: date) -> Select[Any]:
    table = scores.score
    place = (table.c.subject, table.c.partition)
    return (
        select(*place, table.c.validation_id, table.c.accounting)
        .ext(distinct_on(*place))
        .where(
            and_(
                table.c.subject.in_(datasets),
                table.c.validation_id.is_not(None),
                table.c.period_end.between(start, end),
            )
        )
        .order_by(*place, table.c.sequence.desc(), table.c.id.desc())
    )
