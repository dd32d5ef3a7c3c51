"""The lineage graph, indexed from the events; what is declared beside them."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE cityledger.graph_namespace (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    digest BYTEA NOT NULL,
    name TEXT NOT NULL,
    first_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (digest)
);
CREATE TABLE cityledger.graph_node (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    digest BYTEA NOT NULL,
    kind SMALLINT NOT NULL,
    namespace BIGINT NOT NULL,
    name TEXT NOT NULL,
    first_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_at TIMESTAMP WITH TIME ZONE NOT NULL,
    lifecycle TEXT,
    lifecycle_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    UNIQUE (digest)
);
COMMENT ON COLUMN cityledger.graph_node.kind IS '0 job, 1 dataset';
COMMENT ON COLUMN cityledger.graph_node.lifecycle IS 'newest lifecycleStateChange, e.g. DROP';
CREATE INDEX graph_node_namespace ON cityledger.graph_node (namespace, kind);
CREATE TABLE cityledger.graph_edge (
    source BIGINT NOT NULL,
    target BIGINT NOT NULL,
    first_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (source, target)
);
CREATE INDEX graph_edge_target ON cityledger.graph_edge (target, source);
CREATE TABLE cityledger.graph_run (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    run_id TEXT NOT NULL,
    job BIGINT NOT NULL,
    state TEXT DEFAULT 'NEW' NOT NULL,
    state_at TIMESTAMP WITH TIME ZONE,
    first_at TIMESTAMP WITH TIME ZONE NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    nominal_start TIMESTAMP WITH TIME ZONE,
    nominal_end TIMESTAMP WITH TIME ZONE,
    parent_run TEXT,
    parent_job BIGINT,
    gaps JSONB DEFAULT '[]'::jsonb NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (run_id)
);
CREATE INDEX graph_run_gaps ON cityledger.graph_run (job) WHERE gaps <> '[]'::jsonb;
CREATE INDEX graph_run_job ON cityledger.graph_run (job, first_at);
CREATE INDEX graph_run_parent ON cityledger.graph_run (parent_run);
CREATE TABLE cityledger.graph_run_dataset (
    run BIGINT NOT NULL,
    node BIGINT NOT NULL,
    direction SMALLINT NOT NULL,
    version BIGINT NOT NULL,
    first_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_at TIMESTAMP WITH TIME ZONE NOT NULL,
    event BIGINT NOT NULL,
    PRIMARY KEY (run, node, direction, version)
);
COMMENT ON COLUMN cityledger.graph_run_dataset.direction IS '0 read, 1 written';
COMMENT ON COLUMN cityledger.graph_run_dataset.version IS '0: the event named none';
COMMENT ON COLUMN cityledger.graph_run_dataset.event IS 'newest event that says so';
CREATE INDEX graph_run_dataset_node
    ON cityledger.graph_run_dataset (node, version, direction);
CREATE TABLE cityledger.graph_version (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    uuid UUID NOT NULL,
    node BIGINT NOT NULL,
    version TEXT NOT NULL,
    first_at TIMESTAMP WITH TIME ZONE NOT NULL,
    event BIGINT NOT NULL,
    event_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (uuid)
);
COMMENT ON COLUMN cityledger.graph_version.event IS 'newest event that describes it';
CREATE INDEX graph_version_node ON cityledger.graph_version (node, first_at);
CREATE TABLE cityledger.graph_facet (
    node BIGINT NOT NULL,
    name TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    event BIGINT NOT NULL,
    deleted BOOLEAN NOT NULL,
    PRIMARY KEY (node, name)
);
CREATE TABLE cityledger.graph_column (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    digest BYTEA NOT NULL,
    node BIGINT NOT NULL,
    name TEXT NOT NULL,
    whole BOOLEAN NOT NULL,
    first_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_at TIMESTAMP WITH TIME ZONE NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (digest)
);
COMMENT ON COLUMN cityledger.graph_column.whole IS 'stands for every column of the dataset';
CREATE INDEX graph_column_node ON cityledger.graph_column (node);
CREATE TABLE cityledger.graph_column_edge (
    source BIGINT NOT NULL,
    target BIGINT NOT NULL,
    job BIGINT NOT NULL,
    first_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_at TIMESTAMP WITH TIME ZONE NOT NULL,
    transformations JSONB NOT NULL,
    PRIMARY KEY (source, target, job)
);
CREATE INDEX graph_column_edge_target ON cityledger.graph_column_edge (target, source);
CREATE TABLE cityledger.graph_declared (
    run BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    direction SMALLINT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (run, digest)
);
COMMENT ON COLUMN cityledger.graph_declared.direction IS '0 reads, 1 writes, 2 has child';
CREATE TABLE cityledger.graph_remark (
    event BIGINT NOT NULL,
    severity TEXT NOT NULL,
    reasons JSONB NOT NULL,
    PRIMARY KEY (event)
);
CREATE TABLE cityledger.graph_position (
    reader TEXT NOT NULL,
    event BIGINT NOT NULL,
    failures INTEGER DEFAULT 0 NOT NULL,
    refused BIGINT DEFAULT 0 NOT NULL,
    error TEXT,
    moved_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (reader)
);
CREATE TABLE cityledger.lineage_declaration (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    kind TEXT NOT NULL,
    digest BYTEA NOT NULL,
    name TEXT NOT NULL,
    record JSONB NOT NULL,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX lineage_declaration_latest
    ON cityledger.lineage_declaration (kind, digest, id);
"""

# A reader that follows the ids must not pass one whose transaction is still open: ids are drawn
# before they are committed. Writers hold this lock, shared, until they commit; a reader that gets
# it alone for a moment knows that every id up to the highest one visible is settled.
_IN_FLIGHT = """
CREATE FUNCTION cityledger.lineage_in_flight() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('cityledger:lineage_event', 0));
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    """Create the tables."""
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    op.execute(_IN_FLIGHT)
    op.execute(
        "CREATE TRIGGER in_flight BEFORE INSERT ON cityledger.lineage_event"
        " FOR EACH STATEMENT EXECUTE FUNCTION cityledger.lineage_in_flight()"
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE"
        " ON cityledger.lineage_declaration FOR EACH STATEMENT"
        " EXECUTE FUNCTION cityledger.refuse_change()"
    )
