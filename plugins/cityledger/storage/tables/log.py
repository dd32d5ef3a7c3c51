"""The transparency log: its checkpoints, where its bundles start, and its keys."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Table, UniqueConstraint

from cityledger.storage.tables.base import (
    id_column,
    metadata,
    saved_at_column,
    text_column,
)

log_checkpoint = Table(
    "log_checkpoint",
    metadata,
    id_column(),
    Column("tree_size", BigInteger, nullable=False),
    text_column("root"),
    text_column("key_id"),
    text_column("note"),
    Column("last_event_id", BigInteger, nullable=False),
    text_column("object_version", nullable=True),
    saved_at_column(),
    UniqueConstraint("tree_size", "key_id"),
)

# A leaf's number follows from its bundle's first event: at most 256 rows are counted, however
# long the log is.
log_bundle = Table(
    "log_bundle",
    metadata,
    id_column(),
    Column("bundle", BigInteger, nullable=False, unique=True),
    Column("first_event_id", BigInteger, nullable=False, unique=True),
)

log_key = Table(
    "log_key",
    metadata,
    id_column(),
    text_column("key_id"),
    text_column("verifier"),
    text_column("state"),
    text_column("reason"),
    text_column("declared_by"),
    Column("trusted_size", BigInteger),
    saved_at_column(),
    UniqueConstraint("key_id", "state"),
)
