"""The statements behind the pages: each indexed, none slower for a longer history.

None of them reads rule results of more runs than it shows, or a whole validation record where a
narrow column says the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, CursorResult, text

from cityledger.contracts.scoring import ScoringConfig
from cityledger.ledger.deliveries import Arrival
from cityledger.ledger.sums import Sums

ALWAYS = datetime(9999, 12, 31, tzinfo=UTC)
"""Later than any score: the present state must not depend on whose clock is ahead."""
_KNOWN = {"known": ALWAYS}


@dataclass(frozen=True, slots=True)
class Daily:
    """Sums over partitions that ended on one day and count equally long."""

    span: int
    period_end: date
    sums: Sums


@dataclass(frozen=True, slots=True)
class Newest:
    """The score of a dataset's newest partition."""

    partition: str
    broken: int
    saved_at: datetime


@dataclass(frozen=True, slots=True)
class Checked:
    """The score of a table in the newest build."""

    subject: str
    sums: Sums
    broken: int


# The standard fixes how many indicators there are, so the arrays are added place by place, without
# a row for each of their elements: of 40 datasets and 60 days that were 40,000 rows.
_PLACES = range(1, len(ScoringConfig().indicators) + 1)


def _added(column: str) -> str:
    sums = (f"cast(sum({column}[{place}]) AS bigint)" for place in _PLACES)
    return f"ARRAY[{', '.join(sums)}] AS {column}"


_ADDED = ", ".join(map(_added, ("evaluated", "failed", "rules")))

# The newest score of each partition of datasets whose partitions count equally long: plain bounds
# tell the planner that the index leads to a small part of the history.
_NEWEST_SCORES = """
WITH newest AS MATERIALIZED (
    SELECT DISTINCT ON (s.subject, s.partition)
        s.subject, s.period_end, s.codes, s.evaluated, s.failed, s.rules
    FROM cityledger.score s
    WHERE s.subject = ANY(:subjects) AND s.validation_id IS NOT NULL
        AND s.period_end > :start AND s.period_end <= :day AND s.saved_at <= :known
    ORDER BY s.subject, s.partition, s.sequence DESC, s.validation_id DESC, s.id DESC
)
"""

_WINDOW = text(f"""{_NEWEST_SCORES}
SELECT subject, codes, {_ADDED} FROM newest GROUP BY subject, codes
""")

# By dataset over the window, and by day over as many days before it as a trend has points.
_WINDOWS = text(f"""{_NEWEST_SCORES}
SELECT subject, cast(NULL AS date) AS period_end, codes, {_ADDED}
FROM newest WHERE period_end > :inside GROUP BY subject, codes
UNION ALL
SELECT NULL, period_end, codes, {_ADDED} FROM newest GROUP BY period_end, codes
""")

_NEWEST = text("""
SELECT wanted.subject, newest.partition, newest.broken, newest.saved_at
FROM unnest(cast(:subjects AS text[]), cast(:spans AS integer[])) AS wanted (subject, span)
CROSS JOIN LATERAL (
    SELECT s.partition, s.broken, s.saved_at FROM cityledger.score s
    WHERE s.subject = wanted.subject AND s.validation_id IS NOT NULL
        AND s.period_end > cast(:day AS date) - wanted.span AND s.period_end <= :day
    ORDER BY s.period_end DESC, s.sequence DESC, s.validation_id DESC, s.id DESC LIMIT 1
) newest
""")

_TABLES = text("""
SELECT DISTINCT ON (s.subject) s.subject, s.codes, s.evaluated, s.failed, s.rules, s.broken
FROM cityledger.score s
WHERE s.standardisation_id = (
    SELECT max(id) FROM cityledger.standardisation WHERE saved_at <= :known
)
ORDER BY s.subject, s.id DESC
""")

_ARRIVALS = text("""
WITH landed AS (
    SELECT d.dataset, d.partition, min(d.landed_at) AS first_at, max(d.landed_at) AS newest_at,
        (array_agg(d.delivery ORDER BY d.sequence DESC))[1] AS delivery, count(*) AS deliveries
    FROM unnest(cast(:datasets AS text[]), cast(:firsts AS text[]), cast(:lasts AS text[]))
        AS wanted (dataset, first, last)
    JOIN cityledger.delivery d
        ON d.dataset = wanted.dataset AND d.partition BETWEEN wanted.first AND wanted.last
    GROUP BY d.dataset, d.partition
)
SELECT landed.*, coalesce((
    SELECT NOT r.released FROM cityledger.release r
    WHERE r.dataset = landed.dataset AND r.partition = landed.partition
        AND r.delivery = landed.delivery
    ORDER BY r.id DESC LIMIT 1
), false) AS held
FROM landed
""")

_FIRST = text("""
SELECT wanted.dataset, (
    SELECT d.partition FROM cityledger.delivery d
    WHERE d.dataset = wanted.dataset ORDER BY d.partition LIMIT 1
) AS partition
FROM unnest(cast(:datasets AS text[])) AS wanted (dataset)
""")

_RUNS = text("""
SELECT s.*, v.saved_at AS at, (
    SELECT r.released FROM cityledger.release r
    WHERE r.dataset = s.subject AND r.partition = s.partition AND r.delivery = s.delivery
    ORDER BY r.id DESC LIMIT 1
) AS released
FROM (
    SELECT DISTINCT ON (validation_id) subject, partition, delivery, sequence, validation_id,
        contract_sha256, scores, accounting
    FROM cityledger.score
    WHERE subject = :dataset AND validation_id IS NOT NULL
    ORDER BY validation_id DESC, id DESC
    LIMIT :limit
) s
JOIN cityledger.validation v ON v.id = s.validation_id
ORDER BY s.validation_id DESC
""")

_RESULTS = text("SELECT record -> 'results' FROM cityledger.validation WHERE id = :run")

_HISTORY = text("""
SELECT key, validation_id, status, evaluated, failed
FROM cityledger.rule_result WHERE validation_id = ANY(:runs) ORDER BY validation_id
""")

_RULE_HISTORY = text("""
SELECT key, validation_id, status, evaluated, failed
FROM cityledger.rule_result
WHERE validation_id = ANY(:runs) AND key = :key ORDER BY validation_id
""")

_BROKEN = text("""
WITH fresh AS (
    SELECT v.dataset AS subject, v.partition, v.id AS validation_id
    FROM cityledger.validation v
    WHERE v.saved_at > :since AND v.saved_at <= :until AND v.dataset = ANY(:datasets)
        AND EXISTS (
            SELECT FROM cityledger.score s WHERE s.validation_id = v.id AND s.broken > 0
        )
), run AS (
    SELECT fresh.*, (
        SELECT s.validation_id FROM cityledger.score s
        WHERE s.subject = fresh.subject AND s.validation_id < fresh.validation_id
        ORDER BY s.validation_id DESC LIMIT 1
    ) AS before_id
    FROM fresh
)
SELECT run.subject AS dataset, run.partition, run.validation_id AS run, r.key, r.gb_code,
    r.severity, r.status, r.evaluated, r.failed, b.status AS before
FROM run
JOIN cityledger.rule_result r
    ON r.validation_id = run.validation_id AND r.status IN ('failed', 'error')
LEFT JOIN cityledger.rule_result b ON b.validation_id = run.before_id AND b.key = r.key
WHERE b.status IS NULL OR b.status NOT IN ('failed', 'error')
ORDER BY run.validation_id DESC, r.id
""")

_TABLE_RESULTS = text("""
SELECT t.subject, b.snapshot_id, b.saved_at, t.record
FROM cityledger.table_result t JOIN cityledger.standardisation b ON b.id = t.standardisation_id
WHERE t.subject = :subject
    AND t.standardisation_id = (SELECT max(id) FROM cityledger.standardisation)
ORDER BY t.id
""")

_BUILD = text("""
SELECT snapshot_id, saved_at FROM cityledger.standardisation ORDER BY id DESC LIMIT 1
""")

_NEWEST_DAY = text("""
SELECT max((
    SELECT max(s.period_end) FROM cityledger.score s
    WHERE s.subject = wanted.dataset AND s.validation_id IS NOT NULL
))
FROM unnest(cast(:datasets AS text[])) AS wanted (dataset)
""")

_RUN = text("""
SELECT v.id, v.saved_at, v.record, s.record AS card, s.facts, d.record AS receipt, (
    SELECT r.record FROM cityledger.release r
    WHERE r.dataset = v.dataset AND r.partition = v.partition AND r.delivery = v.delivery
    ORDER BY r.id DESC LIMIT 1
) AS release
FROM cityledger.validation v
LEFT JOIN LATERAL (
    SELECT record, facts FROM cityledger.score WHERE validation_id = v.id ORDER BY id DESC LIMIT 1
) s ON true
LEFT JOIN cityledger.delivery d
    ON d.dataset = v.dataset AND d.partition = v.partition AND d.delivery = v.delivery
WHERE v.id = :run
""")

_CARDS = text("""
SELECT DISTINCT ON (s.subject) s.record FROM cityledger.score s
WHERE s.subject = :dataset AND s.validation_id IS NOT NULL AND s.partition = :partition
ORDER BY s.subject, s.sequence DESC, s.validation_id DESC, s.id DESC
""")


def window(
    connection: Connection, spans: Mapping[str, int], day: date, *, known: datetime = ALWAYS
) -> dict[str, Sums]:
    """What the newest scores of the partitions in a window add up to, by dataset.

    Args:
        connection: Open transaction.
        spans: Dataset → days after its end for which a partition counts.
        day: Last day of the window.
        known: Scores stored later don't count.
    """
    sums: dict[str, Sums] = {dataset: Sums() for dataset in spans}
    for span, subjects in _by_span(spans):
        start = day - timedelta(days=span)
        bound = {"subjects": subjects, "start": start, "day": day, "known": known}
        for subject, *columns in _rows(connection.execute(_WINDOW, bound)):
            sums[subject].add_columns(*columns)
    return sums


def windows(
    connection: Connection, spans: Mapping[str, int], day: date, days: int
) -> tuple[dict[str, Sums], list[Daily]]:
    """The sums of the window that ends on a day, and what windows before it add up from.

    Args:
        connection: Open transaction.
        spans: Dataset → days after its end for which a partition counts.
        day: Last day of the window.
        days: How many windows, the last of which ends on the day, the daily sums are to reach.

    Returns:
        The sums of the window by dataset, and of all the windows by day.
    """
    sums: dict[str, Sums] = {dataset: Sums() for dataset in spans}
    daily: list[Daily] = []
    for span, subjects in _by_span(spans):
        inside = day - timedelta(days=span)
        start = inside - timedelta(days=days - 1)
        bound = {"subjects": subjects, "start": start, "inside": inside, "day": day}
        for subject, end, *columns in _rows(connection.execute(_WINDOWS, bound | _KNOWN)):
            if subject is None:
                daily.append(Daily(span, end, Sums.of(*columns)))
            else:
                sums[subject].add_columns(*columns)
    return sums, daily


def _by_span(spans: Mapping[str, int]) -> Iterable[tuple[int, list[str]]]:
    found: dict[int, list[str]] = {}
    for dataset, span in spans.items():
        found.setdefault(span, []).append(dataset)
    return found.items()


def newest(connection: Connection, spans: Mapping[str, int], day: date) -> dict[str, Newest]:
    """The newest partition with a score in each dataset's window."""
    bound = {"subjects": list(spans), "spans": list(spans.values()), "day": day}
    return {
        subject: Newest(*found) for subject, *found in _rows(connection.execute(_NEWEST, bound))
    }


def tables(connection: Connection, known: datetime = ALWAYS) -> list[Checked]:
    """The scores of the newest build, one for each dataset or table that it checked."""
    found = []
    for subject, *columns, broken in _rows(connection.execute(_TABLES, {"known": known})):
        found.append(Checked(subject, Sums.of(*columns), broken))
    return found


def _rows(result: CursorResult[Any]) -> Sequence[Any]:
    """All rows at once: the driver then loads them in C, one by one in Python."""
    return result.all()


def arrivals(
    connection: Connection, ranges: Mapping[str, tuple[str, str]]
) -> dict[str, dict[str, Arrival]]:
    """What landed: dataset → partition → arrival.

    Args:
        connection: Open transaction.
        ranges: Dataset → first and last partition key.
    """
    bound = {
        "datasets": list(ranges),
        "firsts": [first for first, _ in ranges.values()],
        "lasts": [last for _, last in ranges.values()],
    }
    found: dict[str, dict[str, Arrival]] = {dataset: {} for dataset in ranges}
    for dataset, partition, *arrival in _rows(connection.execute(_ARRIVALS, bound)):
        found[dataset][partition] = Arrival(*arrival)
    return found


def first_partitions(connection: Connection, datasets: Sequence[str]) -> dict[str, str]:
    """Dataset → the first partition that ever landed; datasets that never delivered are missing."""
    rows = connection.execute(_FIRST, {"datasets": list(datasets)})
    return {row.dataset: row.partition for row in rows if row.partition is not None}


def newest_day(connection: Connection, datasets: Sequence[str]) -> date | None:
    """Last day of the newest period that has a score."""
    found: date | None = connection.scalar(_NEWEST_DAY, {"datasets": list(datasets)})
    return found


def runs(connection: Connection, dataset: str, limit: int) -> list[dict[str, Any]]:
    """The newest validations of a dataset with their scores, newest first."""
    rows = connection.execute(_RUNS, {"dataset": dataset, "limit": limit}).mappings()
    return [dict(row) for row in rows]


def results(connection: Connection, number: int) -> list[Any]:
    """The rule results of a validation, in the contract's order."""
    found: list[Any] = connection.execute(_RESULTS, {"run": number}).scalar_one()
    return found


def history(connection: Connection, run_ids: Sequence[int], key: str | None = None) -> list[Any]:
    """Key, run, status, evaluated, failed of all rules, or of one, in some runs; oldest first."""
    if key is None:
        return [*_rows(connection.execute(_HISTORY, {"runs": list(run_ids)}))]
    return [*_rows(connection.execute(_RULE_HISTORY, {"runs": list(run_ids), "key": key}))]


def broken(
    connection: Connection, datasets: Sequence[str], since: datetime, until: datetime
) -> list[dict[str, Any]]:
    """Rules that a run within the time broke and the run before had not."""
    bound = {"datasets": list(datasets), "since": since, "until": until}
    return [dict(row) for row in connection.execute(_BROKEN, bound).mappings()]


def table_results(connection: Connection, subject: str) -> list[dict[str, Any]]:
    """Verdicts of the newest build on a table."""
    rows = connection.execute(_TABLE_RESULTS, {"subject": subject}).mappings()
    return [dict(row) for row in rows]


def newest_build(connection: Connection) -> tuple[int, datetime] | None:
    """Snapshot and time of the newest build."""
    row = connection.execute(_BUILD).first()
    return None if row is None else (row.snapshot_id, row.saved_at)


def run(connection: Connection, number: int) -> dict[str, Any] | None:
    """A validation with what belongs to it; None when there is no such one."""
    row = connection.execute(_RUN, {"run": number}).mappings().first()
    return None if row is None else dict(row)


def partition_card(connection: Connection, dataset: str, partition: str) -> Any:
    """The stored card of a partition's newest delivery; None when it has none."""
    return connection.scalar(_CARDS, {"dataset": dataset, "partition": partition})
