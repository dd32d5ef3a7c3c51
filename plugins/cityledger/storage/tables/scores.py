"""Scores, and the results of checks on tables: journals like the others."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from cityledger.storage.tables.base import (
    id_column,
    metadata,
    record_column,
    saved_at_column,
    text_column,
)
from cityledger.storage.tables.journals import standardisation, validation

table_result = Table(
    "table_result",
    metadata,
    id_column(),
    Column("standardisation_id", ForeignKey(standardisation.c.id), nullable=False),
    text_column("subject"),
    text_column("key"),
    text_column("gb_code"),
    Column("evaluated", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    text_column("status"),
    record_column(),
    UniqueConstraint("standardisation_id", "key"),
    Index("table_result_subject", "subject", "standardisation_id"),
)
"""Verdicts on tables; ``subject`` is the dataset, or ``schema.table`` of the shared schema."""

score = Table(
    "score",
    metadata,
    id_column(),
    text_column("subject"),
    text_column("partition"),
    Column("period_end", Date, nullable=False),
    Column("sequence", Integer, nullable=False),
    text_column("delivery"),
    Column("validation_id", ForeignKey(validation.c.id)),
    Column("standardisation_id", ForeignKey(standardisation.c.id)),
    text_column("contract_sha256"),
    text_column("config_sha256"),
    Column("codes", ARRAY(Text), nullable=False),
    Column("evaluated", ARRAY(BigInteger), nullable=False),
    Column("failed", ARRAY(BigInteger), nullable=False),
    Column("rules", ARRAY(Integer), nullable=False),
    Column("broken", Integer, nullable=False),
    Column("scores", JSONB, nullable=False),
    Column("accounting", JSONB),
    Column("facts", JSONB, nullable=False),
    record_column(),
    saved_at_column(),
    CheckConstraint("num_nonnulls(validation_id, standardisation_id) = 1", name="score_of_one"),
    Index(
        "score_window",
        "subject",
        "period_end",
        postgresql_where=text("validation_id IS NOT NULL"),
    ),
    Index("score_validation", "validation_id", "id"),
    Index("score_run", "subject", "validation_id", "id"),
    Index("score_build", "standardisation_id", "subject", "id"),
)
"""One score of one validation, or of one table in one build.

``codes``, ``evaluated``, ``failed`` and ``rules`` are the sums by indicator, side by side, so that
a window over many deliveries is read from one narrow place; ``record`` is the whole card.
``sequence`` is that of the delivery (0 for a table): a corrected delivery counts, not the one that
happened to be judged last. ``broken`` counts rules failed or in error.
"""
