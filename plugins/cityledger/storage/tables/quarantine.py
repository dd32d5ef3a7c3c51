"""What people decide about quarantined rows, and who has looked at them: all append-only.

None of these tables holds a value of a row: corrected files lie in the landing bucket.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, ForeignKey, Index, Table, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from cityledger.storage.tables.base import (
    id_column,
    metadata,
    record_column,
    saved_at_column,
    text_column,
)

correction = Table(
    "correction",
    metadata,
    id_column(),
    text_column("dataset"),
    text_column("partition"),
    text_column("delivery"),
    text_column("sha256"),
    text_column("submitted_by"),
    Column("rows", BigInteger, nullable=False),
    record_column(),
    saved_at_column(),
    UniqueConstraint("dataset", "partition", "delivery", "sha256"),
)

waiver = Table(
    "waiver",
    metadata,
    id_column(),
    text_column("dataset"),
    text_column("rule"),
    text_column("partition", nullable=True),
    text_column("delivery", nullable=True),
    Column("row_ids", ARRAY(Text), nullable=False),
    text_column("approved_by"),
    text_column("reason"),
    Column("valid_until", Date, nullable=False),
    saved_at_column(),
    Index("waiver_dataset", "dataset", "rule", "id"),
)

waiver_revocation = Table(
    "waiver_revocation",
    metadata,
    id_column(),
    Column("waiver_id", ForeignKey(waiver.c.id), nullable=False, unique=True),
    text_column("revoked_by"),
    text_column("reason"),
    saved_at_column(),
)

quarantine_access = Table(
    "quarantine_access",
    metadata,
    id_column(),
    text_column("dataset"),
    text_column("partition"),
    text_column("delivery"),
    text_column("person"),
    text_column("action"),
    text_column("reason"),
    Column("rows", BigInteger, nullable=False),
    Column("detail", JSONB, nullable=False),
    saved_at_column(),
    Index("quarantine_access_place", "dataset", "partition", "delivery", "id"),
)
