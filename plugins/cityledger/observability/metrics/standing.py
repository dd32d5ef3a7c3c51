"""How things stand now: what is late, what waits for whom, what the newest build came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text

from cityledger.contracts.identity import Partition
from cityledger.contracts.model import Contract
from cityledger.ledger import quality_queries as queries
from cityledger.ledger.deliveries import SPANS, ZONE
from cityledger.ledger.house import House
from cityledger.ledger.promises import promises_of, ranges
from cityledger.observability.metrics import catalogue
from cityledger.observability.metrics.families import Figures
from cityledger.orders.records import FINAL
from cityledger.orders.store import EventStore
from cityledger.storage.database import Database

# The newest partition by its key, which sorts by time within a grain; through the index of places.
_NEWEST: Final = text(
    "SELECT wanted.dataset, landed.partition, landed.landed_at"
    " FROM unnest(cast(:datasets AS text[])) AS wanted (dataset) CROSS JOIN LATERAL ("
    " SELECT d.partition, d.landed_at FROM cityledger.delivery d WHERE d.dataset = wanted.dataset"
    " ORDER BY d.partition DESC, d.sequence LIMIT 1) AS landed"
)
# Held by the newest verdict on the newest delivery, and no steward has said anything yet. (What a
# steward rejected waits for the department; it has an order.)
_HELD: Final = text(
    "SELECT r.dataset, count(*), min(r.saved_at) FROM cityledger.release r"
    " JOIN cityledger.delivery d USING (dataset, partition, delivery)"
    " WHERE NOT r.released"
    " AND coalesce(r.record #>> '{decision,channel}', 'timeout') = 'timeout'"
    " AND NOT EXISTS (SELECT FROM cityledger.release n WHERE n.dataset = r.dataset"
    "  AND n.partition = r.partition AND n.delivery = r.delivery AND n.id > r.id)"
    " AND NOT EXISTS (SELECT FROM cityledger.delivery n WHERE n.dataset = r.dataset"
    "  AND n.partition = r.partition AND n.sequence > d.sequence)"
    " GROUP BY r.dataset"
)
# Whatever was released since the newest build began to be kept, and whatever that build left out.
_WAITING: Final = text(
    "WITH released AS (SELECT DISTINCT ON (r.dataset, r.partition) r.dataset, r.partition,"
    "  r.delivery, r.validated_sha256, r.saved_at FROM (SELECT DISTINCT ON"
    "   (dataset, partition, delivery) dataset, partition, delivery, validated_sha256, released,"
    "   saved_at, id FROM cityledger.release ORDER BY dataset, partition, delivery, id DESC) r"
    "  LEFT JOIN cityledger.delivery d USING (dataset, partition, delivery) WHERE r.released"
    "  ORDER BY r.dataset, r.partition, d.sequence DESC NULLS LAST, r.id DESC),"
    " staged AS (SELECT DISTINCT ON (dataset, partition) dataset, partition, delivery,"
    "  validated_sha256 FROM cityledger.staged ORDER BY dataset, partition, id DESC)"
    " SELECT count(*), min(saved_at) FROM released LEFT JOIN staged"
    " USING (dataset, partition, delivery, validated_sha256) WHERE staged.dataset IS NULL"
)
_BUILD: Final = text("SELECT id, saved_at FROM cityledger.standardisation ORDER BY id DESC LIMIT 1")
_MODELS: Final = text(
    "SELECT name, layer, status, seconds FROM cityledger.model_result"
    " WHERE standardisation_id = :build"
)
_PUBLISHED: Final = text("SELECT max(saved_at) FROM cityledger.publication")
_NO_TABLES: Final = frozenset({"test", "unit_test", "operation", "source", "snapshot", ""})


class Datasets:
    """Whether departments keep their terms."""

    def __init__(self, database: Database, house: House, clock: Callable[[], datetime]) -> None:
        self._database, self._house, self._clock = database, house, clock

    def figures(self) -> Figures:
        """As of now; of datasets that have a contract."""
        figures, contracts = Figures(), self._house.contracts
        with self._database.begin() as connection:
            _landed(connection, figures, contracts)
            self._overdue(connection, figures, contracts)
        return figures

    def _overdue(
        self, connection: Connection, figures: Figures, contracts: Mapping[str, Contract]
    ) -> None:
        now = self._clock()
        today = now.astimezone(ZONE).date()
        starts = {
            dataset: today - timedelta(days=SPANS[contract.service_level.grain] - 1)
            for dataset, contract in contracts.items()
        }
        days = self._house.working_days()
        promises = promises_of(connection, contracts, starts, today, now, days)
        arrivals = queries.arrivals(connection, ranges(promises))
        for dataset, promised in promises.items():
            landed = arrivals.get(dataset, {})
            late = [one.due for one in promised if one.due < now and one.partition not in landed]
            figures.set(catalogue.OVERDUE, len(late), dataset)
            longest = (now - min(late)).total_seconds() if late else 0.0
            figures.set(catalogue.OVERDUE_SECONDS, longest, dataset)


def _landed(connection: Connection, figures: Figures, contracts: Mapping[str, Contract]) -> None:
    rows: Any = connection.execute(_NEWEST, {"datasets": list(contracts)}).all()
    for dataset, partition, landed_at in rows:
        figures.set_time(catalogue.LANDED_AT, landed_at, dataset)
        figures.set_time(catalogue.PERIOD_END, _end(Partition.parse(partition).end), dataset)


def _end(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), ZONE)


class Work:
    """What waits for a steward, a department or the next build."""

    def __init__(self, database: Database) -> None:
        self._database, self._orders = database, EventStore(database)

    def figures(self) -> Figures:
        """As of now."""
        figures = Figures()
        with self._database.begin() as connection:
            held: Any = connection.execute(_HELD).all()
            waiting: Any = connection.execute(_WAITING).one()
        for dataset, count, since in held:
            figures.set(catalogue.HELD, count, dataset)
            figures.set_time(catalogue.HELD_SINCE, since, dataset)
        count, since = waiting
        figures.set(catalogue.WAITING, count)
        figures.set_time(catalogue.WAITING_SINCE, since)
        self._count_orders(figures)
        return figures

    def _count_orders(self, figures: Figures) -> None:
        counts: dict[tuple[str, str], int] = {}
        overdue: dict[str, int] = {}
        for tally in self._orders.tally(None, datetime.now(UTC).astimezone(ZONE).date()):
            if tally.state not in FINAL:
                key = (tally.department, tally.state.value)
                counts[key] = counts.get(key, 0) + tally.count
            overdue[tally.department] = overdue.get(tally.department, 0) + tally.overdue
        for labels, count in counts.items():
            figures.set(catalogue.ORDERS, count, *labels)
        for department, count in overdue.items():
            figures.set(catalogue.ORDERS_OVERDUE, count, department)


class Builds:
    """The newest dbt build, and the newest publication."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def figures(self) -> Figures:
        """As of now; empty before the first build."""
        figures, nodes = Figures(), dict[str, int]()
        with self._database.begin() as connection:
            figures.set_time(catalogue.PUBLISHED_AT, connection.scalar(_PUBLISHED))
            build: Any = connection.execute(_BUILD).one_or_none()
            if build is None:
                return figures
            figures.set_time(catalogue.BUILT_AT, build.saved_at)
            results: Any = connection.execute(_MODELS, {"build": build.id}).all()
        for name, layer, status, seconds in results:
            nodes[status] = nodes.get(status, 0) + 1
            if layer not in _NO_TABLES:
                figures.set(catalogue.MODEL_SECONDS, seconds, layer, name)
        for status, count in nodes.items():
            figures.set(catalogue.NODES, count, status)
        return figures
