"""The journals: what every stage leaves behind.

All are journals: rows are added, never changed or removed (triggers see to it), and where a later
row supersedes an earlier one, the newest counts. ``record`` holds the whole record as JSON; the
columns beside it are what queries look for.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from cityledger.storage.tables.base import (
    id_column,
    metadata,
    record_column,
    saved_at_column,
    text_column,
)

outcome = Table(
    "outcome",
    metadata,
    id_column(),
    text_column("run_id"),
    text_column("stage"),
    text_column("dataset"),
    text_column("partition"),
    text_column("status"),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True), nullable=False),
    text_column("delivery", nullable=True),
    text_column("error_code", nullable=True),
    text_column("error", nullable=True),
    Column("detail", JSONB, nullable=False),
    saved_at_column(),
    UniqueConstraint("run_id", "stage", "dataset", "partition"),
    Index("outcome_latest", "dataset", "partition", "stage", "id"),
)

delivery = Table(
    "delivery",
    metadata,
    id_column(),
    text_column("dataset"),
    text_column("partition"),
    text_column("delivery"),
    Column("sequence", Integer, nullable=False),
    Column("landed_at", DateTime(timezone=True), nullable=False),
    record_column(),
    saved_at_column(),
    UniqueConstraint("dataset", "partition", "delivery"),
    UniqueConstraint("dataset", "partition", "sequence"),
)

validation = Table(
    "validation",
    metadata,
    id_column(),
    text_column("dataset"),
    text_column("partition"),
    text_column("delivery"),
    text_column("contract_sha256"),
    record_column(),
    saved_at_column(),
    Index("validation_latest", "dataset", "partition", "delivery", "contract_sha256", "id"),
    Index("validation_saved", "saved_at"),
)

rule_result = Table(
    "rule_result",
    metadata,
    id_column(),
    Column("validation_id", ForeignKey(validation.c.id), nullable=False, index=True),
    text_column("key"),
    text_column("rule"),
    Column("columns", ARRAY(Text), nullable=False),
    text_column("scope"),
    text_column("severity"),
    text_column("gb_code"),
    text_column("dimension"),
    Column("evaluated", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    text_column("status"),
    Column("threshold", Double),
    text_column("threshold_unit", nullable=True),
    text_column("message"),
    UniqueConstraint("validation_id", "key"),
)

release = Table(
    "release",
    metadata,
    id_column(),
    text_column("dataset"),
    text_column("partition"),
    text_column("delivery"),
    Column("released", Boolean, nullable=False),
    text_column("validated_sha256"),
    record_column(),
    saved_at_column(),
    Index("release_latest", "dataset", "partition", "delivery", "id"),
)

standardisation = Table(
    "standardisation",
    metadata,
    id_column(),
    Column("snapshot_id", BigInteger, nullable=False),
    record_column(),
    saved_at_column(),
    Index("standardisation_latest", "snapshot_id", "id"),
)

staged = Table(
    "staged",
    metadata,
    id_column(),
    Column("standardisation_id", ForeignKey(standardisation.c.id), nullable=False, index=True),
    text_column("dataset"),
    text_column("partition"),
    text_column("delivery"),
    text_column("validated_sha256"),
    Column("rows", BigInteger, nullable=False),
    UniqueConstraint("standardisation_id", "dataset", "partition"),
    Index("staged_latest", "dataset", "partition", "id"),
)

model_result = Table(
    "model_result",
    metadata,
    id_column(),
    Column("standardisation_id", ForeignKey(standardisation.c.id), nullable=False, index=True),
    text_column("name"),
    text_column("layer"),
    text_column("status"),
    Column("rows", BigInteger),
    Column("seconds", Double, nullable=False),
    text_column("message"),
)

publication = Table(
    "publication",
    metadata,
    id_column(),
    Column("snapshot_id", BigInteger, nullable=False),
    text_column("content_sha256"),
    Column("rows", BigInteger, nullable=False),
    record_column(),
    saved_at_column(),
    Index("publication_latest", "snapshot_id", "id"),
)

indicator_value = Table(
    "indicator_value",
    metadata,
    id_column(),
    Column("publication_id", ForeignKey(publication.c.id), nullable=False, index=True),
    text_column("code"),
    text_column("area"),
    text_column("period"),
    text_column("value", nullable=True),
    text_column("unit"),
    text_column("target", nullable=True),
    text_column("status"),
)

lineage_event = Table(
    "lineage_event",
    metadata,
    id_column(),
    Column("sha256", Text, nullable=False, unique=True),
    Column("raw", LargeBinary, nullable=False),
    Column(
        "received_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    Column("event_time", DateTime(timezone=True)),
    text_column("event_type", nullable=True),
    text_column("run_id", nullable=True),
    text_column("job_namespace", nullable=True),
    text_column("job_name", nullable=True),
    text_column("producer", nullable=True),
    Index("lineage_event_run", "run_id"),
    Index("lineage_event_job", "job_namespace", "job_name", "event_time"),
)
