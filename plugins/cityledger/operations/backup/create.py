"""Makes a backup: Airflow's database, then the ledger's cut, then everything that it speaks of.

The order is the point. Airflow's snapshot is the oldest: a task that it does not know to be done is
done again, which changes nothing. Then, while nobody can sign, our database's snapshot (with the
lake's catalogue) and the list of the log's files are taken: those belong to the same checkpoint.
Objects come last: whatever the snapshot names was written before, and only gets younger company.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from cityledger import __version__
from cityledger.errors import UnavailableError
from cityledger.ledger.log.files import PREFIX
from cityledger.ledger.log.writer import Checkpoint, latest_checkpoint
from cityledger.ledger.outbox import Outbox
from cityledger.operations.backup.copy import Copy
from cityledger.operations.backup.dump import PostgresTools, Snapshot, snapshot
from cityledger.operations.backup.folder import OBJECTS, BackupFolder
from cityledger.operations.backup.keep import secrets
from cityledger.operations.backup.known import Known, open_known
from cityledger.operations.backup.named import named_objects
from cityledger.operations.backup.records import (
    AIRFLOW,
    FORMAT,
    OWN,
    Cut,
    Dump,
    Manifest,
    Progress,
)
from cityledger.settings import Settings
from cityledger.storage.address import DatabaseAddress
from cityledger.storage.database import Database
from cityledger.storage.objects import BUCKETS, EVIDENCE
from cityledger.storage.operator_store import OperatorStore, StoredVersion

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class AirflowDatabase:
    """Airflow's own database, and the key that its secrets are encrypted with."""

    address: DatabaseAddress
    fernet_key: str | None = field(default=None, repr=False)


def create(
    settings: Settings,
    folder: BackupFolder,
    *,
    tools: PostgresTools,
    airflow: AirflowDatabase | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Back up an installation while it works.

    What an interrupted run has copied is not copied again.

    Args:
        settings: Which installation.
        folder: Where to; earlier backups in it save reading what they hold.
        tools: PostgreSQL's.
        airflow: Airflow's database, if it is to be in the backup.
        progress: Is told how far it has come.

    Raises:
        UnavailableError: database, object store or the folder do not answer, or another backup
            into the folder is going on.
    """
    folder.create()
    with _alone(folder), open_known(folder.path / "known.sqlite") as known:
        for begun in folder.unfinished():
            folder.discard(begun)
        tell = progress or (lambda *_: None)
        return _Work(settings, folder, tools, airflow, known, tell).run()


@contextmanager
def _alone(folder: BackupFolder) -> Iterator[None]:
    handle = os.open(folder.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UnavailableError(
            "another backup into this folder is going on",
            where=str(folder.path),
            fix="wait for it to end",
            code="locked",
        ) from None
    finally:
        os.close(handle)


@dataclass
class _Moment:
    """What belongs together: a snapshot of the database and the log's files of the same moment."""

    snapshot: Snapshot
    checkpoint: Checkpoint | None
    log: list[StoredVersion]


@dataclass
class _Work:
    settings: Settings
    folder: BackupFolder
    tools: PostgresTools
    airflow: AirflowDatabase | None
    known: Known
    tell: Progress
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def _named_folder(self) -> tuple[str, Path]:
        """A new folder by the second of its beginning; of two in one second the later waits."""
        while True:
            backup = f"{self.started:%Y%m%dT%H%M%SZ}"
            own = self.folder.folder(backup)
            try:
                own.mkdir(mode=0o700)
            except FileExistsError:
                time.sleep(0.1)
                self.started = datetime.now(UTC)
            else:
                return backup, own

    def run(self) -> Manifest:
        backup, own = self._named_folder()
        dumps = self._airflow()
        database = Database.from_settings(self.settings)
        store = OperatorStore.from_settings(self.settings)
        with _moment(database, store) as moment:
            self.tell(f"database {OWN}", 0, 1)
            dumps[OWN] = self.tools.dump(
                OWN, database.address, moment.snapshot, own / f"{OWN}.dump"
            )
            self.tell(f"database {OWN}", 1, 1)
            copy = Copy(store, self.folder, self.known, backup, self.tell)
            objects = copy.run(self._versions(store, moment), own / OBJECTS)
            lost = self.known.missing(backup, named_objects(moment.snapshot.session, store))
            warnings = (*_lost(lost), *_vanished(copy.vanished), *self._waiting())
        manifest = Manifest(
            format=FORMAT,
            id=backup,
            version=__version__,
            started_at=self.started,
            cut_at=moment.snapshot.taken_at,
            ended_at=datetime.now(UTC),
            bucket_prefix=self.settings.bucket_prefix,
            lineage_namespace=self.settings.lineage_namespace,
            checkpoint=_cut(moment.checkpoint),
            databases=dumps,
            objects=objects,
            secrets=secrets(self.settings, self.airflow.fernet_key if self.airflow else None),
            warnings=warnings,
            read=copy.read,
            read_bytes=copy.read_bytes,
        )
        self.folder.finish(manifest)
        database.close()
        return manifest

    def _airflow(self) -> dict[str, Dump]:
        """Airflow's database, unless it has no tables yet."""
        if self.airflow is None:
            return {}
        address = self.airflow.address
        with snapshot(address) as moment:
            found = moment.session.execute("SELECT to_regclass('alembic_version')").fetchone()
            if found is None or found[0] is None:
                return {}
            self.tell(f"database {AIRFLOW}", 0, 1)
            target = self.folder.folder(f"{self.started:%Y%m%dT%H%M%SZ}") / f"{AIRFLOW}.dump"
            dump = self.tools.dump(AIRFLOW, address, moment, target)
            self.tell(f"database {AIRFLOW}", 1, 1)
        return {AIRFLOW: dump}

    def _versions(self, store: OperatorStore, moment: _Moment) -> Iterator[StoredVersion]:
        """Everything; of the log, what it was at the moment of the snapshot."""
        yield from moment.log
        yield from chain.from_iterable(
            (one for one in store.versions(bucket) if not _is_log(one)) for bucket in BUCKETS
        )

    def _waiting(self) -> Iterator[str]:
        waiting = len(Outbox(self.settings.home / "outbox").waiting())
        if waiting:
            yield (
                f"{waiting} lineage event(s) wait in this machine's outbox and are not in the"
                " backup: `cityledger ledger outbox send`, then back up again"
            )


@contextmanager
def _moment(database: Database, store: OperatorStore) -> Iterator[_Moment]:
    """Hold a snapshot of the database, with the log's files as they were then."""
    with ExitStack() as held:
        with database.lock("ledger-log", timeout=600):
            moment = held.enter_context(snapshot(database.address))
            files = list(store.versions(EVIDENCE, PREFIX))
            newest = latest_checkpoint(database)
        yield _Moment(moment, newest, files)


def _is_log(one: StoredVersion) -> bool:
    return one.bucket == EVIDENCE and one.key.startswith(PREFIX)


def _cut(newest: Checkpoint | None) -> Cut | None:
    if newest is None:
        return None
    return Cut(tree_size=newest.tree_size, root=newest.root, note=newest.note)


def _lost(places: Iterator[tuple[str, str]]) -> Iterator[str]:
    lost = [f"s3://{bucket}/{key}" for bucket, key in places]
    if lost:
        yield (
            f"{len(lost)} object(s) that the database names are not in the object store:"
            f" {_some(lost)}"
        )


def _vanished(keys: list[str]) -> Iterator[str]:
    if keys:
        yield f"{len(keys)} object(s) went away while they were copied: {_some(keys)}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
