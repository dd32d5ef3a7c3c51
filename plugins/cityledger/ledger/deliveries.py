"""Which deliveries a contract promises, when they are due, and how each stands.

A partition is due ``latency`` after its period has ended, at midnight of Asia/Shanghai. A latency
in hours or days counts calendar time; one in working days (unit ``wd``) ends with the n-th working
day after the period.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cityledger.contracts.identity import Partition
from cityledger.contracts.model import ServiceLevel
from cityledger.contracts.working_days import WorkingDays
from cityledger.ledger.quality_records import Delivery, DeliveryCounts, DeliveryState

ZONE = ZoneInfo("Asia/Shanghai")
_DAY = timedelta(days=1)

SPANS: Mapping[str, int] = {"day": 31, "month": 62, "quarter": 184, "year": 732}
"""Days after its end for which a partition counts in the window of a page, by grain.

About a month of daily deliveries, and for coarser ones two periods, so that the newest delivery
counts until the next one can be there.
"""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What has landed for a partition.

    Attributes:
        delivery: The newest delivery.
        held: The gate's newest verdict on it says so.
    """

    first_at: datetime
    newest_at: datetime
    delivery: str
    deliveries: int
    held: bool


def due_at(period_end: date, promise: ServiceLevel, working_days: WorkingDays) -> datetime:
    """When the delivery for a period is due, with zone Asia/Shanghai."""
    if promise.latency_working_days is None:
        return datetime.combine(period_end + _DAY, time(), ZONE) + promise.latency
    last = working_days.add(period_end, promise.latency_working_days)
    return datetime.combine(last + _DAY, time(), ZONE)


@lru_cache(maxsize=256)
def expected(grain: str, start: date, end: date) -> tuple[Partition, ...]:
    """The partitions of a grain whose periods end from ``start`` to ``end``, oldest first."""
    found: list[Partition] = []
    partition = Partition.covering(end, grain)
    if partition.end > end:
        partition = partition.previous()
    while partition.end >= start:
        found.append(partition)
        partition = partition.previous()
    return tuple(reversed(found))


@dataclass(frozen=True, slots=True)
class Promised:
    """A partition that a contract promises.

    Attributes:
        due: With zone Asia/Shanghai.
        certain: False when ``due`` counts working days of a year that was not announced.
    """

    partition: str
    period_end: date
    due: datetime
    certain: bool


def promised(
    promise: ServiceLevel, working_days: WorkingDays, *, start: date, end: date
) -> tuple[Promised, ...]:
    """The partitions whose periods end from ``start`` to ``end``, oldest first."""
    found = []
    for partition in expected(promise.grain, start, end):
        due = due_at(partition.end, promise, working_days)
        certain = promise.latency_working_days is None or all(
            working_days.knows(year) for year in range(partition.end.year, due.year + 1)
        )
        found.append(Promised(partition.key, partition.end, due, certain))
    return tuple(found)


def state(one: Promised, arrival: Arrival | None, now: datetime) -> DeliveryState:
    """How a promised delivery stands at a moment."""
    if arrival is None:
        return DeliveryState.MISSING if now > one.due else DeliveryState.NOT_DUE
    if arrival.held:
        return DeliveryState.HELD
    return DeliveryState.LATE if arrival.first_at > one.due else DeliveryState.ON_TIME


def delivery(dataset: str, one: Promised, arrival: Arrival | None, now: datetime) -> Delivery:
    """A promised delivery and what came of it, as pages show it."""
    return Delivery(
        dataset=dataset,
        partition=one.partition,
        period_end=one.period_end,
        due_at=one.due,
        state=state(one, arrival, now),
        late=(arrival.first_at if arrival else now) > one.due,
        first_at=arrival.first_at if arrival else None,
        newest_at=arrival.newest_at if arrival else None,
        delivery=arrival.delivery if arrival else None,
        deliveries=arrival.deliveries if arrival else 0,
        certain=one.certain,
    )


def count(
    promises: Iterable[Promised], arrivals: Mapping[str, Arrival], now: datetime
) -> DeliveryCounts:
    """Promised deliveries by state."""
    counts = dict.fromkeys(DeliveryCounts.model_fields, 0)
    for one in promises:
        arrival = arrivals.get(one.partition)
        counts[state(one, arrival, now)] += 1
        counts["repeated"] += arrival.deliveries - 1 if arrival else 0
    return DeliveryCounts(**counts)
