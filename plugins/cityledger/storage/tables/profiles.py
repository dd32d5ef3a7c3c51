"""What taking stock found: profiles of deliveries, inventories of folders."""

from __future__ import annotations

from sqlalchemy import Index, Table

from cityledger.storage.tables.base import (
    id_column,
    metadata,
    record_column,
    saved_at_column,
    text_column,
)

profile = Table(
    "profile",
    metadata,
    id_column(),
    text_column("dataset"),
    text_column("partition"),
    text_column("delivery"),
    text_column("validated_sha256"),
    record_column(),
    saved_at_column(),
    Index("profile_latest", "dataset", "partition", "id"),
)

inventory = Table(
    "inventory",
    metadata,
    id_column(),
    text_column("root"),
    record_column(),
    saved_at_column(),
    Index("inventory_latest", "root", "id"),
)
