"""Legal holds, and tombstones of what was removed when its retention had ended."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE cityledger.legal_hold (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    dataset TEXT NOT NULL,
    partition TEXT,
    reason TEXT NOT NULL,
    placed_by TEXT NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX legal_hold_dataset ON cityledger.legal_hold (dataset);
CREATE TABLE cityledger.legal_hold_end (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    hold_id BIGINT NOT NULL,
    reason TEXT NOT NULL,
    released_by TEXT NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (hold_id),
    FOREIGN KEY(hold_id) REFERENCES cityledger.legal_hold (id)
);
CREATE TABLE cityledger.removal (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    dataset TEXT NOT NULL,
    partition TEXT NOT NULL,
    delivery TEXT NOT NULL,
    reason TEXT NOT NULL,
    removed_by TEXT NOT NULL,
    run_id TEXT NOT NULL,
    record JSONB NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (dataset, partition, delivery)
)
"""


def upgrade() -> None:
    """Create the tables; like all journals they only grow."""
    for statement in _TABLES.split(";"):
        op.execute(statement)
    for table in ("legal_hold", "legal_hold_end", "removal"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE"
            f" ON cityledger.{table} FOR EACH STATEMENT"
            f" EXECUTE FUNCTION cityledger.refuse_change()"
        )
