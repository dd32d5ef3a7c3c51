"""Corrections and waivers of quarantined rows, and who has looked at them: all append-only."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE cityledger.correction (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    dataset TEXT NOT NULL,
    partition TEXT NOT NULL,
    delivery TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    submitted_by TEXT NOT NULL,
    rows BIGINT NOT NULL,
    record JSONB NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (dataset, partition, delivery, sha256)
);
CREATE TABLE cityledger.waiver (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    dataset TEXT NOT NULL,
    rule TEXT NOT NULL,
    partition TEXT,
    delivery TEXT,
    row_ids TEXT[] NOT NULL,
    approved_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    valid_until DATE NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX waiver_dataset ON cityledger.waiver (dataset, rule, id);
CREATE TABLE cityledger.waiver_revocation (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    waiver_id BIGINT NOT NULL,
    revoked_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (waiver_id),
    FOREIGN KEY(waiver_id) REFERENCES cityledger.waiver (id)
);
CREATE TABLE cityledger.quarantine_access (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    dataset TEXT NOT NULL,
    partition TEXT NOT NULL,
    delivery TEXT NOT NULL,
    person TEXT NOT NULL,
    action TEXT NOT NULL,
    reason TEXT NOT NULL,
    rows BIGINT NOT NULL,
    detail JSONB NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX quarantine_access_place
    ON cityledger.quarantine_access (dataset, partition, delivery, id);
"""

_JOURNALS = ("correction", "quarantine_access", "waiver", "waiver_revocation")


def upgrade() -> None:
    """Create the tables and the triggers that refuse any change of their rows."""
    for statement in _TABLES.split(";"):
        if statement.strip():
            op.execute(statement)
    for table in _JOURNALS:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE"
            f" ON cityledger.{table} FOR EACH STATEMENT"
            f" EXECUTE FUNCTION cityledger.refuse_change()"
        )
