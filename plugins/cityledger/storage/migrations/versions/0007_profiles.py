"""Profiles of deliveries and inventories of folders."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE cityledger.profile (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    dataset TEXT NOT NULL,
    partition TEXT NOT NULL,
    delivery TEXT NOT NULL,
    validated_sha256 TEXT NOT NULL,
    record JSONB NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX profile_latest ON cityledger.profile (dataset, partition, id);
CREATE TABLE cityledger.inventory (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    root TEXT NOT NULL,
    record JSONB NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX inventory_latest ON cityledger.inventory (root, id)
"""


def upgrade() -> None:
    """Create the tables; like all journals they only grow."""
    for statement in _TABLES.split(";"):
        op.execute(statement)
    for table in ("profile", "inventory"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE"
            f" ON cityledger.{table} FOR EACH STATEMENT"
            f" EXECUTE FUNCTION cityledger.refuse_change()"
        )
