"""What datasets owe, by their contracts and by when they began to deliver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from cityledger.contracts.identity import Partition
from cityledger.contracts.model import Contract, ServiceLevel
from cityledger.contracts.working_days import WorkingDays
from cityledger.ledger import quality_queries as queries
from cityledger.ledger.deliveries import Promised, due_at, promised

_DAY = timedelta(days=1)


def promises_of(
    connection: Connection,
    contracts: Mapping[str, Contract],
    starts: Mapping[str, date],
    end: date,
    now: datetime,
    days: WorkingDays,
) -> dict[str, Sequence[Promised]]:
    """What each dataset promises, from its first delivery on.

    A dataset that has never delivered owes the newest partition that is due by now: since when
    it owes older ones, nobody has said.

    Args:
        connection: Open transaction.
        contracts: By dataset.
        starts: Dataset → the day from which its periods count.
        end: The last day on which a period may end.
        now: The moment that decides what is due.
        days: For promises in working days.
    """
    begun = queries.first_partitions(connection, list(contracts))
    made: dict[object, tuple[Promised, ...]] = {}
    found: dict[str, Sequence[Promised]] = {}
    for dataset, contract in contracts.items():
        level = contract.service_level
        start = starts[dataset]
        key = (level.grain, level.latency, level.latency_working_days, start)
        if key not in made:
            made[key] = promised(level, days, start=start, end=end)
        first = begun.get(dataset)
        found[dataset] = (
            _from_the_first(made[key], first) if first else _owed(made[key], level, days, now)
        )
    return found


def ranges(promises: Mapping[str, Sequence[Promised]]) -> dict[str, tuple[str, str]]:
    """Dataset → first and last partition promised; datasets without promises are missing."""
    return {
        dataset: (made[0].partition, made[-1].partition)
        for dataset, made in promises.items()
        if made
    }


def _from_the_first(promises: Sequence[Promised], begun: str) -> Sequence[Promised]:
    first = Partition.parse(begun).end
    return [one for one in promises if one.period_end >= first]


def _owed(
    promises: Sequence[Promised], level: ServiceLevel, days: WorkingDays, now: datetime
) -> Sequence[Promised]:
    """The newest of all partitions that are due by now, if it is among the promises."""
    due = [one for one in promises if one.due < now]
    if not due:
        return ()
    following = Partition.covering(due[-1].period_end + _DAY, level.grain)
    return () if due_at(following.end, level, days) < now else due[-1:]
