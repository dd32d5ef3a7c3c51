"""Checks of the database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

import psycopg
from alembic.script import ScriptDirectory
from cityledger.settings import Settings
from cityledger.storage import migrations
from cityledger.storage.tables import metadata

from cityledger_stack.findings import Finding, finding
from cityledger_stack.plan import without_credentials

#: The oldest server whose functions and keywords are used.
_OLDEST: Final = 140000
_VERSION: Final = "SELECT version_num FROM cityledger.alembic_version"
_GUARDED: Final = (
    "SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = 'cityledger' AND t.tgname = 'append_only' AND t.tgenabled IN ('O', 'A')"
)
_SERVER: Final = (
    "SELECT current_setting('server_version_num')::int, current_setting('server_version'),"
    " current_setting('server_encoding'), extract(epoch FROM clock_timestamp())::float8"
)
_ROLE: Final = (
    "SELECT rolname, rolsuper, EXISTS (SELECT FROM pg_roles WHERE rolname = 'cityledger_writer')"
    " FROM pg_roles WHERE rolname = current_user"
)
_REFUSED: Final = ("28", "3D")  # SQLSTATE classes: authorisation, no such database


def database(settings: Settings) -> Iterator[Finding]:
    """Whether the database answers, can be used, and keeps the journals from being changed."""
    if settings.database_url is None:
        return
    url = settings.database_url.get_secret_value()
    where = without_credentials(url)
    try:
        with psycopg.connect(url, connect_timeout=5, autocommit=True) as session:
            yield from _server(session, where)
            migrated = _migrated(session, where)
            yield migrated
            if migrated.level == "ok":
                yield _journals(session)
            yield from _role(session)
    except psycopg.OperationalError as error:
        yield _refusal(error, where)


def _refusal(error: psycopg.OperationalError, where: str) -> Finding:
    if "password authentication failed" in str(error) or (error.sqlstate or "")[:2] in _REFUSED:
        fix = "correct user, password and database name in CITYLEDGER_DATABASE_URL"
        return Finding(
            "database", "problem", f"{where} answers, but lets nobody in with these", fix
        )
    fix = "cityledger logs postgres; for an external one check CITYLEDGER_DATABASE_URL"
    return Finding("database", "problem", f"{where} does not answer", fix)


def _server(session: psycopg.Connection[Any], where: str) -> Iterator[Finding]:
    row = session.execute(_SERVER).fetchone()
    number, version, encoding, clock = row if row else (0, "unknown", "unknown", 0.0)
    fix = "upgrade PostgreSQL to 14 or newer (18 is tested)"
    yield finding("database version", number >= _OLDEST, f"PostgreSQL {version}", fix)
    fix = "make the database anew: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
    yield finding("database encoding", encoding == "UTF8", f"{where}: {encoding}", fix)
    yield clock_finding("database", clock)


def clock_finding(whose: str, theirs: float) -> Finding:
    """Whether this machine's clock agrees with somebody else's.

    Args:
        whose: Of whom.
        theirs: What time it is there, in seconds since 1970.
    """
    off = abs(time.time() - theirs)
    fix = "set the clocks (timedatectl set-ntp true): retention and evidence carry the time"
    # S3 refuses requests that are 15 minutes off.
    level = "ok" if off < 5 else "warning" if off < 300 else "problem"
    detail = f"{off:.1f} s from the {whose}'s"
    return Finding(f"clock and {whose}", level, detail, "" if level == "ok" else fix)


def _migrated(session: psycopg.Connection[Any], where: str) -> Finding:
    wanted = ScriptDirectory(str(migrations.__path__[0])).get_current_head()
    try:
        row = session.execute(_VERSION).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        row = None
    found = row[0] if row else "none"
    detail = f"{where}, tables of version {found}, this program needs {wanted}"
    newer = wanted is not None and found != "none" and found > wanted
    fix = (
        "a newer CityLedger has been here: install that version"
        if newer
        else "cityledger up, or python -m cityledger_stack.prepare (it migrates the tables)"
    )
    return finding("database", found == wanted, detail, fix)


def _journals(session: psycopg.Connection[Any]) -> Finding:
    journals = {table.name for table in metadata.tables.values() if "mutable" not in table.info}
    guarded = {row[0] for row in session.execute(_GUARDED).fetchall()}
    open_ = sorted(journals - guarded)
    detail = f"rows can be changed in {', '.join(open_)}" if open_ else f"{len(journals)} tables"
    fix = (
        "find out who removed the trigger append_only and when; then enable it"
        " (ALTER TABLE … ENABLE TRIGGER append_only) and run `cityledger ledger verify`"
    )
    return finding("journals refuse changes", not open_, detail, fix)


def _role(session: psycopg.Connection[Any]) -> Iterator[Finding]:
    row = session.execute(_ROLE).fetchone()
    name, is_super, has_writer = row if row else ("unknown", False, False)
    fix = "use a role without SUPERUSER: it could go round everything that keeps the journals"
    yield finding("database role", not is_super, f"connected as {name}", fix, bad="warning")
    fix = "make the roles of docs/security.md, so that workers cannot change what they wrote"
    detail = "cityledger_writer exists" if has_writer else "there is no role cityledger_writer"
    yield finding("database roles", has_writer, detail, fix, bad="warning")
