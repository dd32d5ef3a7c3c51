"""The journals, and the triggers that keep them append-only.

The statements are frozen: later changes are later migrations, whatever ``tables.py`` becomes.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE cityledger.delivery (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    dataset TEXT NOT NULL,
    partition TEXT NOT NULL,
    delivery TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    landed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    record JSONB NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (dataset, partition, delivery),
    UNIQUE (dataset, partition, sequence)
);
CREATE TABLE cityledger.lineage_event (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    sha256 TEXT NOT NULL,
    raw BYTEA NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    event_time TIMESTAMP WITH TIME ZONE,
    event_type TEXT,
    run_id TEXT,
    job_namespace TEXT,
    job_name TEXT,
    producer TEXT,
    PRIMARY KEY (id),
    UNIQUE (sha256)
);
CREATE INDEX lineage_event_job ON cityledger.lineage_event (job_namespace, job_name, event_time);
CREATE INDEX lineage_event_run ON cityledger.lineage_event (run_id);
CREATE TABLE cityledger.outcome (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    run_id TEXT NOT NULL,
    stage TEXT NOT NULL,
    dataset TEXT NOT NULL,
    partition TEXT NOT NULL,
    status TEXT NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE NOT NULL,
    delivery TEXT,
    error_code TEXT,
    error TEXT,
    detail JSONB NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (run_id, stage, dataset, partition)
);
CREATE INDEX outcome_latest ON cityledger.outcome (dataset, partition, stage, id);
CREATE TABLE cityledger.publication (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    snapshot_id BIGINT NOT NULL,
    content_sha256 TEXT NOT NULL,
    rows BIGINT NOT NULL,
    record JSONB NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX publication_latest ON cityledger.publication (snapshot_id, id);
CREATE TABLE cityledger.release (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    dataset TEXT NOT NULL,
    partition TEXT NOT NULL,
    delivery TEXT NOT NULL,
    released BOOLEAN NOT NULL,
    validated_sha256 TEXT NOT NULL,
    record JSONB NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX release_latest ON cityledger.release (dataset, partition, delivery, id);
CREATE TABLE cityledger.standardisation (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    snapshot_id BIGINT NOT NULL,
    record JSONB NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX standardisation_latest ON cityledger.standardisation (snapshot_id, id);
CREATE TABLE cityledger.validation (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    dataset TEXT NOT NULL,
    partition TEXT NOT NULL,
    delivery TEXT NOT NULL,
    contract_sha256 TEXT NOT NULL,
    record JSONB NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX validation_latest
    ON cityledger.validation (dataset, partition, delivery, contract_sha256, id);
CREATE TABLE cityledger.indicator_value (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    publication_id BIGINT NOT NULL,
    code TEXT NOT NULL,
    area TEXT NOT NULL,
    period TEXT NOT NULL,
    value TEXT,
    unit TEXT NOT NULL,
    target TEXT,
    status TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(publication_id) REFERENCES cityledger.publication (id)
);
CREATE INDEX ix_cityledger_indicator_value_publication_id
    ON cityledger.indicator_value (publication_id);
CREATE TABLE cityledger.model_result (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    standardisation_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    layer TEXT NOT NULL,
    status TEXT NOT NULL,
    rows BIGINT,
    seconds DOUBLE PRECISION NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(standardisation_id) REFERENCES cityledger.standardisation (id)
);
CREATE INDEX ix_cityledger_model_result_standardisation_id
    ON cityledger.model_result (standardisation_id);
CREATE TABLE cityledger.rule_result (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    validation_id BIGINT NOT NULL,
    key TEXT NOT NULL,
    rule TEXT NOT NULL,
    columns TEXT[] NOT NULL,
    scope TEXT NOT NULL,
    severity TEXT NOT NULL,
    gb_code TEXT NOT NULL,
    dimension TEXT NOT NULL,
    evaluated BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    status TEXT NOT NULL,
    threshold DOUBLE PRECISION,
    threshold_unit TEXT,
    message TEXT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (validation_id, key),
    FOREIGN KEY(validation_id) REFERENCES cityledger.validation (id)
);
CREATE INDEX ix_cityledger_rule_result_validation_id
    ON cityledger.rule_result (validation_id);
CREATE TABLE cityledger.staged (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    standardisation_id BIGINT NOT NULL,
    dataset TEXT NOT NULL,
    partition TEXT NOT NULL,
    delivery TEXT NOT NULL,
    validated_sha256 TEXT NOT NULL,
    rows BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (standardisation_id, dataset, partition),
    FOREIGN KEY(standardisation_id) REFERENCES cityledger.standardisation (id)
);
CREATE INDEX ix_cityledger_staged_standardisation_id ON cityledger.staged (standardisation_id);
CREATE INDEX staged_latest ON cityledger.staged (dataset, partition, id);
"""

_REFUSE = """
CREATE FUNCTION cityledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table %.% is append-only: % refused',
        TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END
$$
"""

_JOURNALS = (
    "delivery",
    "indicator_value",
    "lineage_event",
    "model_result",
    "outcome",
    "publication",
    "release",
    "rule_result",
    "staged",
    "standardisation",
    "validation",
)


def upgrade() -> None:
    for statement in _TABLES.split(";"):
        if statement.strip():
            op.execute(statement)
    op.execute(_REFUSE)
    for table in _JOURNALS:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE"
            f" ON cityledger.{table} FOR EACH STATEMENT"
            f" EXECUTE FUNCTION cityledger.refuse_change()"
        )
