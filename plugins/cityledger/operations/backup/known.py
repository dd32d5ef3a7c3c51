"""Which object version has which bytes: what a backup need not read from the store again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cityledger.operations.backup.records import ObjectLine
from cityledger.storage.operator_store import StoredVersion

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS known (
    bucket TEXT NOT NULL, key TEXT NOT NULL, version TEXT NOT NULL, etag TEXT NOT NULL,
    size INTEGER NOT NULL, modified TEXT NOT NULL, backup TEXT NOT NULL, line TEXT NOT NULL,
    PRIMARY KEY (bucket, key, version, etag, size, modified)
) WITHOUT ROWID
"""
_COMMIT_EVERY: Final = 1000


class Known:
    """A table on disk, so that its size is not that of memory; the cache may be deleted."""

    def __init__(self, session: sqlite3.Connection) -> None:
        self._session, self._since = session, 0

    def find(self, one: StoredVersion) -> ObjectLine | None:
        """What an earlier backup, finished or not, noted of this version."""
        row = self._session.execute(
            "SELECT line FROM known WHERE (bucket, key, version, etag, size, modified)"
            " = (?, ?, ?, ?, ?, ?)",
            _identity(one),
        ).fetchone()
        return None if row is None else ObjectLine.model_validate_json(row[0])

    def add(self, backup: str, one: StoredVersion, line: ObjectLine) -> None:
        """Note what a version is, and that a backup holds it."""
        self._session.execute(
            "INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*_identity(one), backup, line.model_dump_json()),
        )
        self._since += 1
        if self._since >= _COMMIT_EVERY:
            self._session.commit()
            self._since = 0

    def missing(self, backup: str, places: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Those of some (bucket, key) that a backup does not hold."""
        for bucket, key in places:
            row = self._session.execute(
                "SELECT 1 FROM known WHERE bucket = ? AND key = ? AND backup = ? LIMIT 1",
                (bucket, key, backup),
            ).fetchone()
            if row is None:
                yield bucket, key


@contextmanager
def open_known(path: Path) -> Iterator[Known]:
    """Open the cache; a damaged one is begun anew."""
    session = _connect(path)
    try:
        yield Known(session)
    finally:
        session.commit()
        session.close()


def _connect(path: Path) -> sqlite3.Connection:
    try:
        return _prepared(path)
    except sqlite3.DatabaseError:
        path.unlink(missing_ok=True)
        return _prepared(path)


def _prepared(path: Path) -> sqlite3.Connection:
    session = sqlite3.connect(path)
    session.execute("PRAGMA journal_mode = WAL")
    session.execute(_TABLE)
    return session


def _identity(one: StoredVersion) -> tuple[str, str, str, str, int, str]:
    # In a bucket without versions, what was written last has another time or another ETag.
    version = f"{one.version_id or ''}{'#deleted' if one.marker else ''}"
    return one.bucket, one.key, version, one.etag, one.size, one.modified.isoformat()
