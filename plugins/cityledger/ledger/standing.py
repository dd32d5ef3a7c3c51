"""Windows over stored scores: what a dataset, a department and the city stand at on a day.

The rule is the same at every level. Of each partition in the window the newest score counts; its
sums of A and B are added up, and so are the promised deliveries: one that came satisfies 0202, one
that is missing after its due time breaks 0202 and 0502. (Whether one that came was in time is a
fact of its own score.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from cityledger.ledger.deliveries import SPANS, Arrival, Promised
from cityledger.ledger.quality_queries import Daily, Newest
from cityledger.ledger.quality_records import TrendPoint
from cityledger.ledger.sums import Sums
from quality_checks.scoring import ScoringConfig, brief

RECORDS, TIMELY = "0202", "0502"
_DAY = timedelta(days=1)


@dataclass(slots=True)
class Standing:
    """All that is known about one dataset.

    Attributes:
        span: Days after its end for which a partition counts.
        window: Of the newest score of each partition in the window.
        table: Of its table over all partitions, if it has such rules.
        newest: Its newest partition with a score in the window.
        promises: What the contract promises, oldest first; may reach further back than the window.
        arrivals: Partition → what landed.
    """

    span: int = SPANS["day"]
    window: Sums = field(default_factory=Sums)
    table: Sums = field(default_factory=Sums)
    newest: Newest | None = None
    promises: Sequence[Promised] = ()
    arrivals: Mapping[str, Arrival] = field(default_factory=dict)

    def promises_on(self, day: date) -> list[Promised]:
        """The promises that count in the window which ends on a day."""
        start = day - timedelta(days=self.span)
        return [one for one in self.promises if start < one.period_end <= day]

    def sums(self, day: date, now: datetime) -> Sums:
        """The sums of the window, which ends on that day, as of a moment."""
        total, came, missing = Sums(), 0, 0
        total.add_all(self.window)
        total.add_all(self.table)
        for promise in self.promises_on(day):
            arrival = self.arrivals.get(promise.partition)
            if arrival is not None and arrival.first_at <= now:
                came += 1
            elif now > promise.due:
                missing += 1
        _add_promises(total, came, missing)
        return total


def _add_promises(sums: Sums, came: int, missing: int) -> None:
    if came or missing:
        sums.add(RECORDS, came + missing, missing, came + missing)
    if missing:
        sums.add(TIMELY, missing, missing, missing)


@dataclass(slots=True)
class Picture:
    """Several datasets, and what their scores add up to by the day on which a period ended."""

    standings: dict[str, Standing]
    daily: Sequence[Daily] = ()

    def trend(
        self, days: Sequence[date], now: datetime, config: ScoringConfig
    ) -> tuple[TrendPoint, ...]:
        """The scores of the windows that end on each of the days, as known at one moment.

        Each window would add up a month of sums; here every sum is added where it enters and taken
        away where it leaves, so the work does not grow with the window.

        Args:
            days: Consecutive, oldest first, ending with the windows' own day.
            now: The moment.
            config: Weights and grades.
        """
        steps = [Sums() for _ in range(len(days) + 1)]
        for one in self.daily:
            for place, sign in _places(one.period_end, one.span, days):
                steps[place].add_all(one.sums, sign)
        for standing in self.standings.values():
            steps[0].add_all(standing.table)
            _enter_promises(standing, days, now, steps)
        points, current = [], Sums()
        for day, step in zip(days, steps, strict=False):
            current.add_all(step)
            points.append(TrendPoint(day=day, scores=brief(current.tally(), config)))
        return tuple(points)


def _enter_promises(
    standing: Standing, days: Sequence[date], now: datetime, steps: Sequence[Sums]
) -> None:
    for promise in standing.promises:
        came = promise.partition in standing.arrivals
        if came or now > promise.due:
            for place, sign in _places(promise.period_end, standing.span, days):
                _add_promises(steps[place], sign * came, sign * (not came))


def _places(end: date, span: int, days: Sequence[date]) -> Iterator[tuple[int, int]]:
    """Where the sums of a period enter and leave: with its end, and a span later."""
    after = (end - days[0]).days
    first, last = (min(max(one, 0), len(days)) for one in (after, after + span))
    if first < last:
        yield first, 1
        yield last, -1


def last_days(day: date, number: int) -> list[date]:
    """So many days up to a day, oldest first."""
    return [day - _DAY * back for back in range(number - 1, -1, -1)]


def total(sums: Iterable[Sums]) -> Sums:
    """Several sums as one."""
    added = Sums()
    for one in sums:
        added.add_all(one)
    return added
