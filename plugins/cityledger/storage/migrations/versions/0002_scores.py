"""Scores and the results of checks on tables."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE cityledger.table_result (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    standardisation_id BIGINT NOT NULL,
    subject TEXT NOT NULL,
    key TEXT NOT NULL,
    gb_code TEXT NOT NULL,
    evaluated BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    status TEXT NOT NULL,
    record JSONB NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (standardisation_id, key),
    FOREIGN KEY(standardisation_id) REFERENCES cityledger.standardisation (id)
);
CREATE INDEX table_result_subject ON cityledger.table_result (subject, standardisation_id);
CREATE TABLE cityledger.score (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    subject TEXT NOT NULL,
    partition TEXT NOT NULL,
    period_end DATE NOT NULL,
    sequence INTEGER NOT NULL,
    delivery TEXT NOT NULL,
    validation_id BIGINT,
    standardisation_id BIGINT,
    contract_sha256 TEXT NOT NULL,
    config_sha256 TEXT NOT NULL,
    codes TEXT[] NOT NULL,
    evaluated BIGINT[] NOT NULL,
    failed BIGINT[] NOT NULL,
    rules INTEGER[] NOT NULL,
    broken INTEGER NOT NULL,
    scores JSONB NOT NULL,
    accounting JSONB,
    facts JSONB NOT NULL,
    record JSONB NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT score_of_one CHECK (num_nonnulls(validation_id, standardisation_id) = 1),
    FOREIGN KEY(validation_id) REFERENCES cityledger.validation (id),
    FOREIGN KEY(standardisation_id) REFERENCES cityledger.standardisation (id)
);
CREATE INDEX score_window ON cityledger.score (subject, period_end)
    WHERE validation_id IS NOT NULL;
CREATE INDEX score_validation ON cityledger.score (validation_id, id);
CREATE INDEX score_run ON cityledger.score (subject, validation_id, id);
CREATE INDEX score_build ON cityledger.score (standardisation_id, subject, id);
CREATE INDEX validation_saved ON cityledger.validation (saved_at);
"""

_JOURNALS = ("score", "table_result")


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
