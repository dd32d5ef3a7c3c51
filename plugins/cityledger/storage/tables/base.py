"""What all table modules share: the schema, its metadata and the columns that recur."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Identity, MetaData, Text, func
from sqlalchemy.dialects.postgresql import JSONB

SCHEMA = "cityledger"
metadata = MetaData(schema=SCHEMA)


def id_column() -> Column[int]:
    """The surrogate key; it rises with time, so the newest row has the largest."""
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def saved_at_column() -> Column[object]:
    """When the row was stored, by the database's clock."""
    return Column(
        "saved_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()
    )


def text_column(name: str, *, nullable: bool = False) -> Column[str]:
    """A text column, NOT NULL unless said otherwise."""
    return Column(name, Text, nullable=nullable)


def record_column() -> Column[object]:
    """The whole record as JSON."""
    return Column("record", JSONB, nullable=False)
