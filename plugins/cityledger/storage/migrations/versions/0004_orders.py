"""Rectification orders: their events and the messages sent about them, both append-only."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE cityledger.rectification_event (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    number TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    dataset TEXT NOT NULL,
    department TEXT NOT NULL,
    partition TEXT NOT NULL,
    day DATE NOT NULL,
    record JSONB NOT NULL,
    result JSONB NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (number, sequence)
);
CREATE INDEX rectification_event_place
    ON cityledger.rectification_event (dataset, partition, id);
CREATE INDEX rectification_event_state
    ON cityledger.rectification_event (state, department);
CREATE TABLE cityledger.rectification_notice (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    number TEXT NOT NULL,
    kind TEXT NOT NULL,
    round INTEGER NOT NULL,
    channel TEXT NOT NULL,
    sent BOOLEAN NOT NULL,
    error TEXT,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id)
);
CREATE UNIQUE INDEX rectification_notice_once
    ON cityledger.rectification_notice (number, kind, round, channel) WHERE sent;
"""

_JOURNALS = ("rectification_event", "rectification_notice")


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
