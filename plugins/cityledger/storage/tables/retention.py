"""What was removed when its retention had ended, and what may not be removed."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Table, UniqueConstraint

from cityledger.storage.tables.base import (
    id_column,
    metadata,
    record_column,
    saved_at_column,
    text_column,
)

legal_hold = Table(
    "legal_hold",
    metadata,
    id_column(),
    text_column("dataset"),
    text_column("partition", nullable=True),
    text_column("reason"),
    text_column("placed_by"),
    saved_at_column(),
    Index("legal_hold_dataset", "dataset"),
)

legal_hold_end = Table(
    "legal_hold_end",
    metadata,
    id_column(),
    Column("hold_id", ForeignKey(legal_hold.c.id), nullable=False, unique=True),
    text_column("reason"),
    text_column("released_by"),
    saved_at_column(),
)

removal = Table(
    "removal",
    metadata,
    id_column(),
    text_column("dataset"),
    text_column("partition"),
    text_column("delivery"),
    text_column("reason"),
    text_column("removed_by"),
    text_column("run_id"),
    record_column(),
    saved_at_column(),
    UniqueConstraint("dataset", "partition", "delivery"),
)
