"""Every metric: its name, its labels and what it says.

The one list that the exposition, the documentation, the dashboards and the alert rules are checked
against. A label takes its values from contracts, from code or from the dbt project, never from data
or from people, so the number of series is bounded by what a city has written down.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """How Prometheus may calculate with a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: As it is exposed (counters end in ``_total``, times in ``_seconds``).
        help: One sentence.
        labels: Names of its labels.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


def _counter(name: str, words: str, *labels: str) -> Metric:
    return Metric(f"cityledger_{name}", Kind.COUNTER, words, labels)


def _gauge(name: str, words: str, *labels: str) -> Metric:
    return Metric(f"cityledger_{name}", Kind.GAUGE, words, labels)


INFO: Final = _gauge("info", "1; the version is its label", "version")
PART_SECONDS: Final = _gauge(
    "exposition_seconds", "How long this part of the figures took to find", "part"
)
PART_FAILED: Final = _gauge(
    "exposition_failed", "1 when this part of the figures could not be found", "part"
)

DATABASE_UP: Final = _gauge("database_up", "1 when the database answers")
DATABASE_SECONDS: Final = _gauge("database_latency_seconds", "Time of one question to the database")
STORE_UP: Final = _gauge("store_up", "1 when the object store answers")
STORE_SECONDS: Final = _gauge("store_latency_seconds", "Time of one question to the object store")
FREE_BYTES: Final = _gauge("home_free_bytes", "Free space on the disk of the home folder")
DISK_BYTES: Final = _gauge("home_size_bytes", "Size of the disk of the home folder")

ATTEMPTS: Final = _counter(
    "stage_attempts_total", "Stage attempts by how they ended", "dataset", "stage", "status"
)
ERRORS: Final = _counter("stage_errors_total", "Failed stage attempts by error", "stage", "code")
SECONDS: Final = Metric(
    "cityledger_stage_duration_seconds",
    Kind.HISTOGRAM,
    "How long stage attempts took, those that found their work done left out",
    ("stage",),
)
ROWS: Final = _counter(
    "rows_total",
    "Records judged: validated, quarantined, rejected, or expected (totals, notes)",
    "dataset",
    "outcome",
)
REJECTS: Final = _counter(
    "rejected_rows_total", "Records that were none, by reason", "dataset", "reason"
)

LANDED_AT: Final = _gauge(
    "dataset_landed_timestamp_seconds", "When the newest partition first landed", "dataset"
)
PERIOD_END: Final = _gauge(
    "dataset_period_end_timestamp_seconds",
    "End of the newest period that has landed",
    "dataset",
)
OVERDUE: Final = _gauge(
    "dataset_overdue_partitions", "Promised partitions that are missing after their term", "dataset"
)
OVERDUE_SECONDS: Final = _gauge(
    "dataset_overdue_seconds", "Since when the oldest of them has been overdue", "dataset"
)
HELD: Final = _gauge("held_batches", "Held batches that wait for a steward", "dataset")
HELD_SINCE: Final = _gauge(
    "held_oldest_timestamp_seconds", "Since when the oldest of them waits", "dataset"
)
WAITING: Final = _gauge("releases_waiting", "Released deliveries that no build has taken in yet")
WAITING_SINCE: Final = _gauge(
    "releases_waiting_oldest_timestamp_seconds", "Since when the oldest of them waits"
)
ORDERS: Final = _gauge("orders", "Unfinished rectification orders", "department", "state")
ORDERS_OVERDUE: Final = _gauge(
    "orders_overdue", "Orders that a department has let pass their day", "department"
)

BUILT_AT: Final = _gauge("build_timestamp_seconds", "When the newest dbt build was kept")
NODES: Final = _gauge("build_nodes", "Nodes of the newest dbt build by status", "status")
MODEL_SECONDS: Final = _gauge(
    "model_duration_seconds", "How long each model of it took", "layer", "model"
)
PUBLISHED_AT: Final = _gauge("publication_timestamp_seconds", "When indicators were last published")

OUTBOX: Final = _gauge("outbox_events", "Lineage events that wait on this machine's disk")
OUTBOX_SINCE: Final = _gauge(
    "outbox_oldest_timestamp_seconds", "Since when the oldest of them waits"
)
OUTBOX_REFUSED: Final = _gauge("outbox_refused_events", "Lineage events put aside as refused")
UNINDEXED: Final = _gauge("ledger_unindexed_events", "Events that the lineage graph lacks")
UNSIGNED: Final = _gauge("ledger_unsigned_events", "Events that no checkpoint covers")
UNSIGNED_SINCE: Final = _gauge(
    "ledger_unsigned_oldest_timestamp_seconds", "When the oldest of them came in"
)
SIGNED: Final = _gauge("ledger_signed_events", "Events that the newest checkpoint covers")
SIGNED_AT: Final = _gauge("ledger_checkpoint_timestamp_seconds", "When it was signed")
VERIFIED_AT: Final = _gauge(
    "ledger_verified_timestamp_seconds", "When the log was last recomputed and compared"
)
FINDINGS: Final = _gauge("ledger_findings", "What that comparison found not to be as signed")
FORWARD: Final = _gauge(
    "lineage_target_waiting_events", "Events that another catalogue has not got yet", "target"
)

TASKS: Final = _gauge("airflow_tasks", "Airflow's task instances that are not done", "state")

METRICS: Final = tuple(one for one in list(globals().values()) if isinstance(one, Metric))
BY_NAME: Final = {one.name: one for one in METRICS}
