"""Windows over stored scores: what a dataset, a department and the city stand at on a day.

The rule is the same at every level. Of each partition in the window the newest score counts; its
sums of A and B are added up, and so are the promised deliveries: one that came satisfies 0202, one
that is missing after its due time breaks 0202 and 0502. (Whether one that came was in time is a
fact of its own score.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from cityledger.ledger.deliveries import SPANS, ZONE, Arrival, Promised
from cityledger.ledger.quality_queries import Scored
from cityledger.ledger.quality_records import TrendPoint
from quality_checks.scoring import Count, ScoringConfig, Tally, brief

RECORDS, TIMELY = "0202", "0502"
_DAY = timedelta(days=1)


@dataclass(slots=True)
class Sums:
    """Sums of elements by indicator, to be added to."""

    counts: dict[str, list[int]] = field(default_factory=dict)

    def add(self, code: str, evaluated: int, failed: int, rules: int) -> None:
        """Add elements of one indicator."""
        count = self.counts.setdefault(code, [0, 0, 0])
        count[0] += evaluated
        count[1] += failed
        count[2] += rules

    def add_score(self, one: Scored) -> None:
        """Add all sums of a stored score."""
        for sums in zip(one.codes, one.evaluated, one.failed, one.rules, strict=True):
            self.add(*sums)

    def add_promise(self, missing: bool) -> None:
        """Add one promised delivery that came, or one that is missing after its due time."""
        self.add(RECORDS, 1, int(missing), 1)
        if missing:
            self.add(TIMELY, 1, 1, 1)

    def add_all(self, other: Sums) -> None:
        """Add all of other sums."""
        for code, count in other.counts.items():
            self.add(code, *count)

    def tally(self) -> Tally:
        """The sums for scoring."""
        return Tally(
            counts={
                code: Count(evaluated=evaluated, failed=failed, rules=rules)
                for code, (evaluated, failed, rules) in self.counts.items()
                if evaluated > 0
            }
        )


@dataclass(slots=True)
class Standing:
    """All that is known about one dataset.

    Attributes:
        span: Days after its end for which a partition counts.
        scored: Newest score of each partition, any order.
        table: Score of its table over all partitions, if it has such rules.
        promises: What the contract promises, oldest first.
        arrivals: Partition → what landed.
    """

    span: int = SPANS["day"]
    scored: list[Scored] = field(default_factory=list)
    table: Scored | None = None
    promises: Sequence[Promised] = ()
    arrivals: Mapping[str, Arrival] = field(default_factory=dict)

    def promises_on(self, day: date) -> list[Promised]:
        """The promises that count in the window which ends on a day."""
        start = day - timedelta(days=self.span)
        return [one for one in self.promises if start < one.period_end <= day]

    def scored_on(self, day: date) -> list[Scored]:
        """The scores that count in the window which ends on a day."""
        start = day - timedelta(days=self.span)
        return [one for one in self.scored if start < one.period_end <= day]

    def sums(self, day: date, now: datetime) -> Sums:
        """The sums of the window that ends on a day, as of a moment."""
        total = Sums()
        for one in self.scored_on(day):
            total.add_score(one)
        if self.table is not None:
            total.add_score(self.table)
        for promise in self.promises_on(day):
            arrival = self.arrivals.get(promise.partition)
            if arrival is not None and arrival.first_at <= now:
                total.add_promise(missing=False)
            elif now > promise.due:
                total.add_promise(missing=True)
        return total


def trend(
    standings: Iterable[Standing], days: Sequence[date], now: datetime, config: ScoringConfig
) -> tuple[TrendPoint, ...]:
    """The scores of the windows that end on each of the days, as known at one moment.

    Each window would add up a month of sums; here every sum is added where it enters and taken away
    where it leaves, so the work does not grow with the window.

    Args:
        standings: Datasets, with scores and promises that reach back a span before the first day.
        days: Consecutive, oldest first.
        now: The moment.
        config: Weights and grades.
    """
    steps = [Sums() for _ in range(len(days) + 1)]
    for standing in standings:
        _enter(standing, days, now, steps)
    points, current = [], Sums()
    for day, step in zip(days, steps, strict=False):
        current.add_all(step)
        points.append(TrendPoint(day=day, scores=brief(current.tally(), config)))
    return tuple(points)


def _enter(standing: Standing, days: Sequence[date], now: datetime, steps: list[Sums]) -> None:
    for one in standing.scored:
        sums = Sums()
        sums.add_score(one)
        _between(sums, one.period_end, one.period_end, standing.span, days, steps)
    if standing.table is not None:
        steps[0].add_score(standing.table)
    for promise in standing.promises:
        arrived = promise.partition in standing.arrivals
        if arrived or now > promise.due:
            sums = Sums()
            sums.add_promise(missing=not arrived)
            since = promise.period_end if arrived else promise.due.astimezone(ZONE).date()
            _between(sums, promise.period_end, since, standing.span, days, steps)


def _between(
    sums: Sums, end: date, since: date, span: int, days: Sequence[date], steps: list[Sums]
) -> None:
    """Let sums count from ``since`` until ``span`` days after the period's end."""
    first = min(max((since - days[0]).days, 0), len(days))
    last = min(max((end - days[0]).days + span, 0), len(days))
    if first < last:
        steps[first].add_all(sums)
        for code, (evaluated, failed, rules) in sums.counts.items():
            steps[last].add(code, -evaluated, -failed, -rules)


def last_days(day: date, number: int) -> list[date]:
    """So many days up to a day, oldest first."""
    return [day - _DAY * back for back in range(number - 1, -1, -1)]
