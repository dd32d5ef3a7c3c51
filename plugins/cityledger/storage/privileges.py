"""Who may do what in the database, for programs that need not do all of it.

The role that owns the database migrates it; ``cityledger_writer`` is for workers and the
api-server, ``cityledger_reader`` for auditors' own queries. An installation with one role for all
of it works as well, with less protection.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

from cityledger.errors import CityLedgerError
from cityledger.storage.database import Database
from cityledger.storage.duck import CATALOGUE_SCHEMA
from cityledger.storage.tables import SCHEMA

WRITER = "cityledger_writer"
READER = "cityledger_reader"
_VERSIONS = "alembic_version"

# Journals are those with the trigger that refuses changes; the rest is the graph's index, which
# follows from them. What keeps the privileges in step with the triggers is that they are asked.
_INDEX_TABLES = text(
    """
    SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = :schema AND c.relkind = 'r' AND c.relname <> :versions
      AND NOT EXISTS (
        SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'append_only')
    ORDER BY c.relname
    """
)
# Since PostgreSQL 16 a member need not have the right to hand things over.
_MEMBERSHIP = text(
    """
    SELECT current_user, pg_has_role(current_user, :role,
      CASE WHEN current_setting('server_version_num') < '160000' THEN 'MEMBER' ELSE 'SET' END)
    """
)
_READ = f"""
    DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO {{role}}', current_database());
    END $$;
    GRANT USAGE ON SCHEMA {SCHEMA} TO {{role}};
    GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {{role}}
"""
_WRITE = f"""
    DO $$ BEGIN
      EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO {WRITER}', current_database());
      -- Installations of the first compose profile gave it; the lake's schema does not need it.
      EXECUTE format('REVOKE CREATE ON DATABASE %I FROM {WRITER}', current_database());
    END $$;
    REVOKE ALL ON ALL TABLES IN SCHEMA {SCHEMA} FROM {WRITER};
    GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {SCHEMA} TO {WRITER};
    REVOKE INSERT ON {SCHEMA}.{_VERSIONS} FROM {WRITER};
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA {SCHEMA} TO {WRITER}
"""
# The lake's catalogue is the workers' own: they make its tables and change them with each commit.
_LAKE = f"""
    CREATE SCHEMA IF NOT EXISTS {CATALOGUE_SCHEMA};
    -- First the schema: a table's new owner must be able to create in it (a restored catalogue).
    ALTER SCHEMA {CATALOGUE_SCHEMA} OWNER TO {WRITER};
    DO $$ DECLARE one RECORD; BEGIN
      FOR one IN SELECT c.oid::regclass AS name FROM pg_class c
        WHERE c.relnamespace = '{CATALOGUE_SCHEMA}'::regnamespace AND c.relkind IN ('r', 'S')
          AND pg_get_userbyid(c.relowner) <> '{WRITER}'
      LOOP EXECUTE format('ALTER TABLE %s OWNER TO {WRITER}', one.name); END LOOP;
    END $$;
    -- Tables that the administrator's own runs add to it.
    ALTER DEFAULT PRIVILEGES IN SCHEMA {CATALOGUE_SCHEMA} GRANT ALL ON TABLES TO {WRITER}
"""
_LAKE_READ = f"""
    GRANT USAGE ON SCHEMA {CATALOGUE_SCHEMA} TO {READER};
    GRANT SELECT ON ALL TABLES IN SCHEMA {CATALOGUE_SCHEMA} TO {READER};
    ALTER DEFAULT PRIVILEGES IN SCHEMA {CATALOGUE_SCHEMA} GRANT SELECT ON TABLES TO {READER};
    ALTER DEFAULT PRIVILEGES FOR ROLE {WRITER} IN SCHEMA {CATALOGUE_SCHEMA}
      GRANT SELECT ON TABLES TO {READER}
"""


def grant(database: Database) -> tuple[str, ...]:
    """Give the database's roles what they need and no more; to be done after each migration.

    The roles are made by whoever administers the server (docs/security.md); those that are not
    there are passed over.

    Returns:
        The roles that were there.

    Raises:
        UnavailableError: the database does not answer.
        CityLedgerError: the owner is not a member of the writer (code ``not_a_member``).
    """
    with database.begin() as connection:
        known = tuple(role for role in (WRITER, READER) if _exists(connection, role))
        for role in known:
            _run(connection, _READ.format(role=role))
        if WRITER in known:
            _check_membership(connection)
            _run(connection, _WRITE)
            for table in index_tables(connection):
                _run(connection, f"GRANT UPDATE, DELETE ON {SCHEMA}.{table} TO {WRITER}")
            _run(connection, _LAKE)
        if known == (WRITER, READER):
            _run(connection, _LAKE_READ)
    return known


def index_tables(connection: Connection) -> list[str]:
    """Tables that follow from the journals and may be changed."""
    names = {"schema": SCHEMA, "versions": _VERSIONS}
    return list(connection.execute(_INDEX_TABLES, names).scalars())


def _exists(connection: Connection, role: str) -> bool:
    query = text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :role)")
    return bool(connection.execute(query, {"role": role}).scalar())


def _check_membership(connection: Connection) -> None:
    """The lake's catalogue is made over to the writer, which only its members may do."""
    owner, member = connection.execute(_MEMBERSHIP, {"role": WRITER}).one()
    if not member:
        raise CityLedgerError(
            f"{owner} cannot hand the lake's catalogue to {WRITER}",
            where="the database's roles",
            fix=f"as the server's administrator: GRANT {WRITER} TO {owner}",
            code="not_a_member",
        )


def _run(connection: Connection, statements: str) -> None:
    # Without parameters: the driver would take format()'s %I for a place of one.
    connection.exec_driver_sql(statements, execution_options={"no_parameters": True})
