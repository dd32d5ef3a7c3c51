"""Rectification orders: their events, and the messages that were sent about them.

Both are journals. What an order is follows from its events; ``state`` and ``result`` repeat what it
was after the event, so that lists and counts need the newest row of each order only.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Date, Index, Integer, Table, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB

from cityledger.storage.tables.base import (
    id_column,
    metadata,
    record_column,
    saved_at_column,
    text_column,
)

rectification_event = Table(
    "rectification_event",
    metadata,
    id_column(),
    text_column("number"),
    Column("sequence", Integer, nullable=False),
    text_column("kind"),
    text_column("state"),
    text_column("dataset"),
    text_column("department"),
    text_column("partition"),
    Column("day", Date, nullable=False),
    record_column(),
    Column("result", JSONB, nullable=False),
    saved_at_column(),
    UniqueConstraint("number", "sequence"),
    Index("rectification_event_place", "dataset", "partition", "id"),
    Index("rectification_event_state", "state", "department"),
)

rectification_notice = Table(
    "rectification_notice",
    metadata,
    id_column(),
    text_column("number"),
    text_column("kind"),
    Column("round", Integer, nullable=False),
    text_column("channel"),
    Column("sent", Boolean, nullable=False),
    text_column("error", nullable=True),
    saved_at_column(),
    Index(
        "rectification_notice_once",
        "number",
        "kind",
        "round",
        "channel",
        unique=True,
        postgresql_where=text("sent"),
    ),
)
