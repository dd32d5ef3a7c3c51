"""What has happened since the beginning, counted from the journal of stage attempts.

Counters must not fall when a process starts anew, so they are sums over the journal. It grows for
years: what was added up once is kept, and a later look reads only the rows that came since. A row
counts as settled some minutes after it was stored; until then it is read each time, because an
attempt of another process with a smaller id may still be on its way.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, text

from cityledger.observability.metrics import catalogue
from cityledger.observability.metrics.families import Distribution, Figures
from cityledger.storage.database import Database

#: Upper bounds of the durations of stages, in seconds.
BOUNDS: Final = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)

#: Words of code become label values; anything else could be a value of somebody's data.
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,47}")
_OTHER: Final = "other"
_MOST_CODES: Final = 60

_SETTLED: Final = text(
    "SELECT coalesce(max(id), :since) FROM cityledger.outcome"
    " WHERE id > :since AND saved_at < clock_timestamp() - interval '2 minutes'"
)
_COUNTED: Final = ("validated", "quarantined", "rejected", "expected_rejects")
_SUMS: Final = ", ".join(
    f"sum(CASE WHEN stage = 'validate' THEN (detail #>> '{{accounting,{name}}}')::bigint END)"
    for name in _COUNTED
)
_ATTEMPTS: Final = text(
    "SELECT dataset, stage, status, coalesce(error_code, ''),"
    " width_bucket(extract(epoch FROM ended_at - started_at)::float8, cast(:bounds AS float8[])),"
    f" count(*), sum(extract(epoch FROM ended_at - started_at))::float8, {_SUMS}"
    " FROM cityledger.outcome WHERE id > :since AND id <= :upto GROUP BY 1, 2, 3, 4, 5"
)
_REJECTS: Final = text(
    "SELECT o.dataset, r.key, sum(r.value::bigint) FROM cityledger.outcome o"
    " CROSS JOIN jsonb_each_text(o.detail -> 'rejects') r"
    " WHERE o.id > :since AND o.id <= :upto AND o.stage = 'parse'"
    " AND jsonb_typeof(o.detail -> 'rejects') = 'object' GROUP BY 1, 2"
)
_NO_END: Final = 2**62
_ALWAYS: Final = ("success", "failure")


@dataclass
class _Sums:
    """What a part of the journal adds up to."""

    attempts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    rows: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejects: Counter[tuple[str, str]] = field(default_factory=Counter)
    buckets: Counter[tuple[str, int]] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)

    def plus(self, other: _Sums) -> _Sums:
        return _Sums(*(mine + its for mine, its in zip(self.all(), other.all(), strict=True)))

    def all(self) -> tuple[Counter[Any], ...]:
        return (
            self.attempts,
            self.errors,
            self.rows,
            self.rejects,
            self.buckets,
            self.seconds,
        )


class Totals:
    """Adds the journal of stage attempts up; safe for several threads."""

    def __init__(self, database: Database) -> None:
        self._database, self._lock = database, threading.Lock()
        self._upto, self._settled = 0, _Sums()

    def figures(self) -> Figures:
        """The counters as of now."""
        with self._lock, self._database.begin() as connection:
            settled: Any = connection.scalar(_SETTLED, {"since": self._upto})
            if settled > self._upto:
                self._settled = self._settled.plus(_read(connection, self._upto, settled))
                self._upto = settled
            return _figures(self._settled.plus(_read(connection, self._upto, _NO_END)))


def _read(connection: Connection, since: int, upto: int) -> _Sums:
    sums, span = _Sums(), {"since": since, "upto": upto}
    attempts: Any = connection.execute(_ATTEMPTS, {**span, "bounds": list(BOUNDS)}).all()
    for dataset, stage, status, code, bucket, count, seconds, *counted in attempts:
        sums.attempts[dataset, stage, status] += count
        if code:
            sums.errors[stage, _word(code)] += count
        if status != "skipped":
            sums.buckets[stage, bucket] += count
            sums.seconds[stage] += seconds
        for name, value in zip(_COUNTED, counted, strict=True):
            sums.rows[dataset, name] += int(value or 0)
    rejects: Any = connection.execute(_REJECTS, span).all()
    for dataset, reason, count in rejects:
        sums.rejects[dataset, _word(reason)] += int(count)
    return sums


def _word(found: str) -> str:
    return found if _WORD.fullmatch(found) else _OTHER


def _figures(sums: _Sums) -> Figures:
    figures = Figures()
    _set_attempts(figures, sums)
    for where, count in _bounded(sums.errors).items():
        figures.set(catalogue.ERRORS, count, *where)
    for why, count in sums.rejects.items():
        figures.set(catalogue.REJECTS, count, *why)
    for stage in sums.seconds:
        counts = [sums.buckets[stage, bucket] for bucket in range(len(BOUNDS) + 1)]
        figures.set(catalogue.SECONDS, Distribution(counts, sums.seconds[stage]), stage)
    for dataset, name in list(sums.rows):
        if name == "validated":
            _set_rows(figures, sums, dataset)
    return figures


def _set_attempts(figures: Figures, sums: _Sums) -> None:
    # With its zero before it: the growth of a counter that first shows as 1 is not seen.
    for dataset, stage in {(dataset, stage) for dataset, stage, _ in sums.attempts}:
        for status in _ALWAYS:
            figures.set(catalogue.ATTEMPTS, 0, dataset, stage, status)
    for labels, count in sums.attempts.items():
        figures.set(catalogue.ATTEMPTS, count, *labels)


def _set_rows(figures: Figures, sums: _Sums, dataset: str) -> None:
    expected = sums.rows[dataset, "expected_rejects"]
    outcomes = {
        "validated": sums.rows[dataset, "validated"],
        "quarantined": sums.rows[dataset, "quarantined"],
        "rejected": sums.rows[dataset, "rejected"] - expected,
        "expected": expected,
    }
    if any(outcomes.values()):
        for outcome, count in outcomes.items():
            figures.set(catalogue.ROWS, count, dataset, outcome)


def _bounded(errors: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """The most frequent errors by name, the rest together: exceptions come from many libraries."""
    kept = Counter(dict(errors.most_common(_MOST_CODES)))
    for (stage, code), count in errors.items():
        if (stage, code) not in kept:
            kept[stage, _OTHER] += count
    return kept
