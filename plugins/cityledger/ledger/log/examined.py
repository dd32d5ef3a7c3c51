"""When the log was last examined, and what that came to: for whoever watches that it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from cityledger.ledger.log.verify import Report
from cityledger.storage.database import Database

_READER: Final = "log_examined"
_SAVE: Final = text(
    "INSERT INTO cityledger.graph_position AS old (reader, event, refused, moved_at)"
    f" VALUES ('{_READER}', :event, :findings, clock_timestamp()) ON CONFLICT (reader) DO UPDATE"
    " SET event = excluded.event, refused = excluded.refused, moved_at = excluded.moved_at"
)
_NEWEST: Final = text(
    "SELECT event, refused, moved_at FROM cityledger.graph_position"
    f" WHERE reader = '{_READER}' AND moved_at IS NOT NULL"
)
#: SQLSTATE: insufficient privilege, read-only transaction.
_READ_ONLY: Final = frozenset({"42501", "25006"})


@dataclass(frozen=True, slots=True)
class Examination:
    """One comparison of the whole log with what was signed.

    Attributes:
        tree_size: Events that the log had.
        findings: What was not as it was signed.
        at: When, by the database's clock.
    """

    tree_size: int
    findings: int
    at: datetime


def save_examination(database: Database, report: Report) -> bool:
    """Remember that the log has been examined, in place of the last time.

    Returns:
        False when nothing was kept: an auditor's account may read and not write.

    Raises:
        UnavailableError: the database does not answer.
    """
    try:
        with database.begin() as connection:
            connection.execute(_SAVE, {"event": report.tree_size, "findings": len(report.findings)})
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in _READ_ONLY:
            raise
        return False
    return True


def latest_examination(connection: Connection) -> Examination | None:
    """The last one; None when there was none."""
    row: Any = connection.execute(_NEWEST).one_or_none()
    return None if row is None else Examination(row.event, row.refused, row.moved_at)
