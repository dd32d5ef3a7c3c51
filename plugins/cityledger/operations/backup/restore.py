"""Puts a backup into empty servers: objects first, databases last and each in one transaction.

So a restore that was cut off leaves no database that anybody could work with, and run again it goes
on with the objects that are missing. Version ids are the new store's own; how readers find what
signed records name by the old ones is told in ``cityledger.storage.moved``.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from cityledger.errors import BadInputError, CityLedgerError
from cityledger.ledger.log.files import LogFiles
from cityledger.operations.backup.create import AirflowDatabase
from cityledger.operations.backup.dump import PostgresTools, connect
from cityledger.operations.backup.folder import BackupFolder
from cityledger.operations.backup.keep import differing, secrets
from cityledger.operations.backup.records import AIRFLOW, OWN, Manifest, ObjectLine, Progress
from cityledger.records import Record
from cityledger.settings import Settings
from cityledger.storage.address import DatabaseAddress
from cityledger.storage.database import Database
from cityledger.storage.operator_store import OperatorStore, StoredVersion
from cityledger.storage.privileges import grant

_WRITERS: Final = 6
_MARK: Final = "restored from backup "
_SCHEMAS: Final = {OWN: ("cityledger", "ducklake"), AIRFLOW: ("public",)}
_FILLED: Final = {
    OWN: "SELECT schemaname, tablename FROM pg_tables WHERE (schemaname = 'cityledger'"
    " AND tablename NOT IN ('alembic_version', 'graph_position'))"
    " OR (schemaname, tablename) = ('ducklake', 'ducklake_data_file')",
    AIRFLOW: "SELECT schemaname, tablename FROM pg_tables"
    " WHERE (schemaname, tablename) = ('public', 'dag_run')",
}
# As migration 0006 does it.
_APPEND: Final = """
    DO $$
    BEGIN
        GRANT USAGE ON SCHEMA cityledger TO cityledger_append;
        GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA cityledger TO cityledger_append;
        ALTER DEFAULT PRIVILEGES IN SCHEMA cityledger GRANT SELECT, INSERT ON TABLES
            TO cityledger_append;
    EXCEPTION WHEN undefined_object OR insufficient_privilege THEN
        NULL;  -- a server without that role needs no rights for it
    END
    $$
"""


class Restored(Record):
    """What a restore did.

    Attributes:
        written: Object versions that were stored; the others were there already.
        databases: Those that were loaded by this run.
    """

    backup: str
    written: int
    versions: int
    databases: tuple[str, ...]


def restore(
    settings: Settings,
    folder: BackupFolder,
    manifest: Manifest,
    *,
    tools: PostgresTools,
    airflow: AirflowDatabase | None = None,
    other_keys: bool = False,
    progress: Progress | None = None,
) -> Restored:
    """Restore an installation; run again, it goes on where it was cut off.

    Args:
        settings: The new installation: its servers must be empty.
        folder: Where the backup lies.
        manifest: Which one.
        tools: PostgreSQL's.
        airflow: Airflow's new database, if it is to be restored, too. Airflow must not run.
        other_keys: Go on although keys are missing here or others than those of the backup.
        progress: Is told how far it has come.

    Raises:
        BadInputError: the settings do not fit the backup, its keys are not here, or the servers are
            not empty. Nothing has been changed then.
        UnavailableError: a server does not answer; run again.
    """
    _fits(settings, manifest)
    if not other_keys:
        _same_keys(settings, manifest, airflow)
    tell = progress or (lambda *_: None)
    database, store = Database.from_settings(settings), OperatorStore.from_settings(settings)
    targets = _targets(database, airflow, manifest)
    todo = [name for name, address in targets.items() if not _is_done(name, address, manifest)]
    store.ensure_buckets()
    with _sorted_lines(folder, manifest) as groups:
        written = _Objects(store, folder, manifest, tell, complete=OWN not in todo).run(groups)
    for name in todo:
        tell(f"database {name}", 0, 1)
        _load(name, targets[name], folder.folder(manifest.id), manifest, tools)
        tell(f"database {name}", 1, 1)
    database.migrate()
    _grant(database)
    LogFiles(settings, store).forget_tiles()
    database.close()
    return Restored(
        backup=manifest.id, written=written, versions=manifest.versions, databases=tuple(todo)
    )


def _fits(settings: Settings, manifest: Manifest) -> None:
    for name, here, there in (
        ("CITYLEDGER_BUCKET_PREFIX", settings.bucket_prefix, manifest.bucket_prefix),
        ("CITYLEDGER_LINEAGE_NAMESPACE", settings.lineage_namespace, manifest.lineage_namespace),
    ):
        if here != there:
            raise BadInputError(
                f"the backup is of an installation with {name}={there!r}, here it is {here!r}",
                fix=f"set {name} as it was: signed records name objects and jobs by it",
                code="backup_of_another_installation",
            )


def _same_keys(settings: Settings, manifest: Manifest, airflow: AirflowDatabase | None) -> None:
    found = secrets(settings, airflow.fernet_key if airflow else None)
    wrong = [
        one
        for one in differing(manifest.secrets, found)
        if airflow is not None or not one.name.startswith("Airflow")
    ]
    if wrong:
        names = "; ".join(f"{one.name} ({one.where})" for one in wrong)
        raise BadInputError(
            f"keys of the installation are not here, or others: {names}",
            fix="put them where they were before the restore; if they are lost for good,"
            " --other-keys goes on without them",
            code="backup_keys_differ",
        )


def _targets(
    database: Database, airflow: AirflowDatabase | None, manifest: Manifest
) -> dict[str, DatabaseAddress]:
    targets = {OWN: database.address}
    if airflow is not None and AIRFLOW in manifest.databases:
        targets = {AIRFLOW: airflow.address, **targets}
    return targets


# databases


def _grant(database: Database) -> None:
    """Rights on the tables, for the roles that this server has."""
    grant(database)
    with database.begin() as connection:
        connection.exec_driver_sql(_APPEND)


def _is_done(name: str, address: DatabaseAddress, manifest: Manifest) -> bool:
    """Whether an earlier run has loaded a database.

    Raises:
        BadInputError: the database holds something else.
    """
    with connect(address) as session:
        mark = session.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database"
            " WHERE datname = current_database()"
        ).fetchone()
        if mark is not None and mark[0] == f"{_MARK}{manifest.id}":
            return True
        used = next(_used(session, name), None)
    if used is not None:
        raise BadInputError(
            f"the {name} database is not empty: {used} has rows",
            where=f"{address.host}:{address.port}/{address.database}",
            fix="restore into a new, empty database; nothing has been changed",
            code="restore_target_not_empty",
        )
    return False


def _used(session: psycopg.Connection[Any], name: str) -> Iterator[str]:
    """Tables with rows in them that a fresh installation has not."""
    for schema, table in session.execute(_FILLED[name]).fetchall():
        query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(schema, table))
        row = session.execute(query).fetchone()
        if row and row[0]:
            yield f"{schema}.{table}"


def _load(
    name: str, address: DatabaseAddress, source: Path, manifest: Manifest, tools: PostgresTools
) -> None:
    with connect(address) as session:
        # Of a fresh installation, and empty (see _is_done): the dump brings its own.
        for schema in _SCHEMAS[name]:
            identifier = sql.Identifier(schema)
            session.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(identifier))
        if name == AIRFLOW:
            session.execute("CREATE SCHEMA public")
    tools.restore(name, address, source / manifest.databases[name].file)
    with connect(address) as session:
        text = f"{_MARK}{manifest.id}"
        session.execute(
            sql.SQL("COMMENT ON DATABASE {} IS {}").format(
                sql.Identifier(address.database), sql.Literal(text)
            )
        )
        session.execute("ANALYZE")


# objects


@contextmanager
def _sorted_lines(
    folder: BackupFolder, manifest: Manifest
) -> Iterator[Iterator[tuple[str, list[ObjectLine]]]]:
    """The versions of each key, oldest first, in the order of the store's own listings."""
    with tempfile.TemporaryDirectory(prefix="cityledger-restore-") as scratch:
        session = sqlite3.connect(Path(scratch) / "lines.sqlite")
        session.execute("CREATE TABLE line (bucket, key BLOB, modified, latest, place, line)")
        session.executemany(
            "INSERT INTO line VALUES (?, ?, ?, ?, ?, ?)",
            (
                (
                    one.bucket,
                    one.key.encode(),
                    one.modified.isoformat(),
                    one.latest,
                    -one.place,
                    one.model_dump_json(),
                )
                for one in folder.lines(manifest.id)
            ),
        )
        session.execute("CREATE INDEX sorted ON line (bucket, key, latest, modified, place)")
        rows = session.execute(
            "SELECT bucket, line FROM line ORDER BY bucket, key, latest, modified, place"
        )
        lines = ((bucket, ObjectLine.model_validate_json(text)) for bucket, text in rows)
        try:
            yield (
                (place[0], [line for _, line in group])
                for place, group in groupby(lines, key=lambda one: (one[0], one[1].key))
            )
        finally:
            session.close()


@dataclass
class _Objects:
    """Re-creates the versions that are not there.

    Attributes:
        complete: The databases are there, so newer objects in the buckets are nobody's mistake.
    """

    store: OperatorStore
    folder: BackupFolder
    manifest: Manifest
    tell: Progress
    complete: bool
    done: int = 0
    written: int = 0

    def run(self, groups: Iterator[tuple[str, list[ObjectLine]]]) -> int:
        waiting: deque[Future[tuple[int, int]]] = deque()
        with ThreadPoolExecutor(_WRITERS, thread_name_prefix="restore-write") as pool:
            for bucket, keys in groupby(groups, key=lambda one: one[0]):
                present = _Present(self.store, bucket)
                for _, lines in keys:
                    there = present.take(lines[0].key)
                    waiting.append(pool.submit(self._key, lines, there))
                    if len(waiting) > 8 * _WRITERS:
                        self._count(waiting.popleft())
                self._strangers(bucket, present.strange())
            while waiting:
                self._count(waiting.popleft())
        return self.written

    def _count(self, one: Future[tuple[int, int]]) -> None:
        seen, written = one.result()
        self.done += seen
        self.written += written
        self.tell("objects", self.done, self.manifest.versions)

    def _key(self, lines: list[ObjectLine], there: list[StoredVersion]) -> tuple[int, int]:
        """Bring one key's versions up to the backup's; those that are there must be its first."""
        for line, stored in zip(lines, there, strict=False):
            if (line.marker, line.size) != (stored.marker, stored.size):
                raise _other_object(self.store, line)
        for line in lines[len(there) :]:
            self._create(line)
        return len(lines), max(0, len(lines) - len(there))

    def _create(self, line: ObjectLine) -> None:
        if line.sha256 is None:
            self.store.mark_deleted(line.bucket, line.key)
            return
        try:
            self.store.recreate(
                line.bucket,
                line.key,
                self.folder.object(line.sha256),
                sha256=line.sha256,
                properties=line.properties,
            )
        except (OSError, BadInputError) as error:
            raise BadInputError(
                f"the backup's bytes of s3://{line.bucket}/{line.key} are damaged",
                where=str(self.folder.object(line.sha256)),
                fix="use another copy of the backup; run `cityledger backup verify` on it first",
                code="backup_damaged",
            ) from error

    def _strangers(self, bucket: str, keys: Iterable[str]) -> None:
        found = next(iter(keys), None)
        if found is not None and not self.complete:
            raise BadInputError(
                f"the bucket is not empty: it holds {found}, which is not in the backup",
                where=f"s3://{self.store.bucket(bucket)}",
                fix="restore into a new, empty object store",
                code="restore_target_not_empty",
            )


class _Present:
    """What a bucket holds already, key by key, beside a sorted list of keys."""

    def __init__(self, store: OperatorStore, bucket: str) -> None:
        self._by_key: dict[str, list[StoredVersion]] = {}
        for one in store.versions(bucket):
            self._by_key.setdefault(one.key, []).append(one)

    def take(self, key: str) -> list[StoredVersion]:
        """The key's versions, oldest first."""
        found = self._by_key.pop(key, [])
        found.reverse()  # listed newest first, which decides between versions of one second
        return sorted(found, key=lambda one: (one.latest, one.modified))

    def strange(self) -> Iterable[str]:
        """Keys that nobody asked for."""
        return self._by_key


def _other_object(store: OperatorStore, line: ObjectLine) -> CityLedgerError:
    return BadInputError(
        "the object store holds another object under a key of the backup",
        where=f"s3://{store.bucket(line.bucket)}/{line.key}",
        fix="restore into a new, empty object store",
        code="restore_target_not_empty",
    )
