"""The tables of schema ``cityledger``.

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
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

SCHEMA = "cityledger"
metadata = MetaData(schema=SCHEMA)


def _id() -> Column[int]:
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def _saved_at() -> Column[object]:
    return Column(
        "saved_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()
    )


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _record() -> Column[object]:
    return Column("record", JSONB, nullable=False)


outcome = Table(
    "outcome",
    metadata,
    _id(),
    _text("run_id"),
    _text("stage"),
    _text("dataset"),
    _text("partition"),
    _text("status"),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True), nullable=False),
    _text("delivery", nullable=True),
    _text("error_code", nullable=True),
    _text("error", nullable=True),
    Column("detail", JSONB, nullable=False),
    _saved_at(),
    UniqueConstraint("run_id", "stage", "dataset", "partition"),
    Index("outcome_latest", "dataset", "partition", "stage", "id"),
)

delivery = Table(
    "delivery",
    metadata,
    _id(),
    _text("dataset"),
    _text("partition"),
    _text("delivery"),
    Column("sequence", Integer, nullable=False),
    Column("landed_at", DateTime(timezone=True), nullable=False),
    _record(),
    _saved_at(),
    UniqueConstraint("dataset", "partition", "delivery"),
    UniqueConstraint("dataset", "partition", "sequence"),
)

validation = Table(
    "validation",
    metadata,
    _id(),
    _text("dataset"),
    _text("partition"),
    _text("delivery"),
    _text("contract_sha256"),
    _record(),
    _saved_at(),
    Index("validation_latest", "dataset", "partition", "delivery", "contract_sha256", "id"),
)

rule_result = Table(
    "rule_result",
    metadata,
    _id(),
    Column("validation_id", ForeignKey(validation.c.id), nullable=False, index=True),
    _text("key"),
    _text("rule"),
    Column("columns", ARRAY(Text), nullable=False),
    _text("scope"),
    _text("severity"),
    _text("gb_code"),
    _text("dimension"),
    Column("evaluated", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    _text("status"),
    Column("threshold", Double),
    _text("threshold_unit", nullable=True),
    _text("message"),
    UniqueConstraint("validation_id", "key"),
)

release = Table(
    "release",
    metadata,
    _id(),
    _text("dataset"),
    _text("partition"),
    _text("delivery"),
    Column("released", Boolean, nullable=False),
    _text("validated_sha256"),
    _record(),
    _saved_at(),
    Index("release_latest", "dataset", "partition", "delivery", "id"),
)

standardisation = Table(
    "standardisation",
    metadata,
    _id(),
    Column("snapshot_id", BigInteger, nullable=False),
    _record(),
    _saved_at(),
    Index("standardisation_latest", "snapshot_id", "id"),
)

staged = Table(
    "staged",
    metadata,
    _id(),
    Column("standardisation_id", ForeignKey(standardisation.c.id), nullable=False, index=True),
    _text("dataset"),
    _text("partition"),
    _text("delivery"),
    _text("validated_sha256"),
    Column("rows", BigInteger, nullable=False),
    UniqueConstraint("standardisation_id", "dataset", "partition"),
    Index("staged_latest", "dataset", "partition", "id"),
)

model_result = Table(
    "model_result",
    metadata,
    _id(),
    Column("standardisation_id", ForeignKey(standardisation.c.id), nullable=False, index=True),
    _text("name"),
    _text("layer"),
    _text("status"),
    Column("rows", BigInteger),
    Column("seconds", Double, nullable=False),
    _text("message"),
)

publication = Table(
    "publication",
    metadata,
    _id(),
    Column("snapshot_id", BigInteger, nullable=False),
    _text("content_sha256"),
    Column("rows", BigInteger, nullable=False),
    _record(),
    _saved_at(),
    Index("publication_latest", "snapshot_id", "id"),
)

indicator_value = Table(
    "indicator_value",
    metadata,
    _id(),
    Column("publication_id", ForeignKey(publication.c.id), nullable=False, index=True),
    _text("code"),
    _text("area"),
    _text("period"),
    _text("value", nullable=True),
    _text("unit"),
    _text("target", nullable=True),
    _text("status"),
)

lineage_event = Table(
    "lineage_event",
    metadata,
    _id(),
    Column("sha256", Text, nullable=False, unique=True),
    Column("raw", LargeBinary, nullable=False),
    Column(
        "received_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.clock_timestamp(),
    ),
    Column("event_time", DateTime(timezone=True)),
    _text("event_type", nullable=True),
    _text("run_id", nullable=True),
    _text("job_namespace", nullable=True),
    _text("job_name", nullable=True),
    _text("producer", nullable=True),
    Index("lineage_event_run", "run_id"),
    Index("lineage_event_job", "job_namespace", "job_name", "event_time"),
)
