"""The transparency log, and a role that can only add."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TABLES = """
CREATE TABLE cityledger.log_checkpoint (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    tree_size BIGINT NOT NULL,
    root TEXT NOT NULL,
    key_id TEXT NOT NULL,
    note TEXT NOT NULL,
    last_event_id BIGINT NOT NULL,
    object_version TEXT,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (tree_size, key_id)
);
CREATE TABLE cityledger.log_bundle (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    bundle BIGINT NOT NULL,
    first_event_id BIGINT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (bundle),
    UNIQUE (first_event_id)
);
CREATE TABLE cityledger.log_key (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    key_id TEXT NOT NULL,
    verifier TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    declared_by TEXT NOT NULL,
    trusted_size BIGINT,
    saved_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (key_id, state)
)
"""

# Roles belong to the whole server: another installation on it may have made this one already, or
# makes it right now, and a managed server may not let us.
_ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cityledger_append') THEN
        CREATE ROLE cityledger_append NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN
    RAISE NOTICE 'role cityledger_append was not created: %', SQLERRM;
END
$$
"""

_GRANTS = """
DO $$
BEGIN
    GRANT USAGE ON SCHEMA cityledger TO cityledger_append;
    GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA cityledger TO cityledger_append;
    ALTER DEFAULT PRIVILEGES IN SCHEMA cityledger GRANT SELECT, INSERT ON TABLES
        TO cityledger_append;
EXCEPTION WHEN undefined_object OR insufficient_privilege THEN
    RAISE NOTICE 'role cityledger_append got no rights: %', SQLERRM;
END
$$
"""


def upgrade() -> None:
    """Create the tables; like all journals they only grow."""
    for statement in _TABLES.split(";"):
        op.execute(statement)
    for table in ("log_checkpoint", "log_bundle", "log_key"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE"
            f" ON cityledger.{table} FOR EACH STATEMENT"
            f" EXECUTE FUNCTION cityledger.refuse_change()"
        )
    op.execute(_ROLE)
    op.execute(_GRANTS)
