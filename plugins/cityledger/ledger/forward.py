"""Feeds other OpenLineage endpoints (DataHub, OpenMetadata, Marquez) from the journal of events.

Each target has its own position in the journal, so one that is slow or away delays neither the
ledger nor the others, and gets everything when it is back. What a target refuses for good (a 4xx
about the event itself) is counted and skipped; a fault of the target or of its token is not the
event's, so it is tried again, later and later.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request

from sqlalchemy import text

from cityledger import __version__
from cityledger.errors import BadInputError
from cityledger.ledger.indexer import settled_horizon
from cityledger.ledger.posting import NO_ANSWER, opener
from cityledger.settings import LineageTarget
from cityledger.storage.database import Database

log = logging.getLogger(__name__)

_BATCH = 100
_LONGEST_WAIT = 300.0
_REFUSED = frozenset({400, 409, 413, 422})

_POSITION = text(
    "SELECT event, failures, refused, error FROM cityledger.graph_position WHERE reader = :reader"
)
_NEXT = text(
    """
    SELECT e.id, e.raw FROM cityledger.lineage_event e
    WHERE e.id > :after AND e.id <= :upto ORDER BY e.id LIMIT :most
    """
)
_NEWEST = text("SELECT coalesce(max(id), 0) FROM cityledger.lineage_event")
_MOVE = text(
    """
    INSERT INTO cityledger.graph_position AS old
        (reader, event, failures, refused, error, moved_at)
    VALUES (:reader, :event, :failures, :refused, :error, clock_timestamp())
    ON CONFLICT (reader) DO UPDATE SET
        event = greatest(old.event, excluded.event), failures = excluded.failures,
        refused = old.refused + excluded.refused, error = excluded.error,
        moved_at = excluded.moved_at
    """
)
_ALONE = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a target has been fed.

    Attributes:
        waiting: Events that it has not got.
        refused: Events that it refused for good.
        error: Why the last attempt failed, if it did.
    """

    target: str
    waiting: int
    refused: int
    error: str | None


_OPENER = opener()


class Forwarder:
    """Feeds one target.

    Raises:
        BadInputError: the target's URL is not http or https.
    """

    def __init__(self, database: Database, target: LineageTarget) -> None:
        if urlsplit(target.url).scheme not in {"http", "https"}:
            raise BadInputError(
                f"lineage target {target.name} has no http URL",
                where="CITYLEDGER_LINEAGE_TARGETS",
                fix='write {"name": "…", "url": "https://host:port"}',
                code="bad_lineage_target",
            )
        self._database, self._target = database, target
        self._reader = f"forward:{target.name}"
        self._not_before = 0.0

    def standing(self) -> Standing:
        """How far the target has been fed."""
        with self._database.begin() as connection:
            row = connection.execute(_POSITION, {"reader": self._reader}).one_or_none()
            newest = int(connection.scalar(_NEWEST) or 0)
        if row is None:
            return Standing(self._target.name, newest, 0, None)
        return Standing(self._target.name, newest - row.event, row.refused, row.error)

    def step(self) -> bool:
        """Send a batch of what is waiting.

        Returns:
            True when nothing is left to do for now: all is sent, the target is given a rest, or
            another process is feeding it.
        """
        if time.monotonic() < self._not_before:
            return True
        with self._database.begin() as connection:
            # Held while sending: two processes would send everything twice.
            if not connection.scalar(_ALONE, {"name": f"cityledger:{self._reader}"}):
                return True
            return self._feed()

    def _feed(self) -> bool:
        with self._database.begin() as connection:
            row = connection.execute(_POSITION, {"reader": self._reader}).one_or_none()
            after, failures = (row.event, row.failures) if row else (0, 0)
            if int(connection.scalar(_NEWEST) or 0) <= after:
                return True
        with self._database.begin() as connection:
            horizon = settled_horizon(connection)
        with self._database.begin() as connection:
            bounds = {"after": after, "upto": horizon, "most": _BATCH}
            events = connection.execute(_NEXT, bounds).all()
        done, refused, error = after, 0, None
        for event in events:
            error = self._send(bytes(event.raw))
            if error is not None and error not in _REFUSED_WORDS:
                break
            refused += error in _REFUSED_WORDS
            done, error = event.id, None
        self._save(done, 0 if done > after else failures, refused, error)
        return error is not None or len(events) < _BATCH

    def _save(self, done: int, failures: int, refused: int, error: str | None) -> None:
        failures = failures + 1 if error else 0
        if error:
            self._not_before = time.monotonic() + min(_LONGEST_WAIT, 2.0 ** min(failures, 9))
            log.warning("lineage target %s: %s", self._target.name, error)
        values = {
            "reader": self._reader,
            "event": done,
            "failures": failures,
            "refused": refused,
            "error": error,
        }
        with self._database.begin() as connection:
            connection.execute(_MOVE, values)

    def _send(self, raw: bytes) -> str | None:
        """Send one event; why it was not taken, or None."""
        headers = {"Content-Type": "application/json", "User-Agent": f"cityledger/{__version__}"}
        if self._target.token is not None:
            headers["Authorization"] = f"Bearer {self._target.token.get_secret_value()}"
        url = self._target.url.rstrip("/") + self._target.path
        request = Request(url, raw, headers, method="POST")  # noqa: S310  checked above
        try:
            with _OPENER.open(request, timeout=self._target.timeout) as answer:
                answer.read()
        except HTTPError as error:
            error.close()
            return f"HTTP {error.code}"
        except NO_ANSWER as error:
            reason = getattr(error, "reason", error)
            return f"no answer ({type(reason).__name__})"
        return None


_REFUSED_WORDS = frozenset(f"HTTP {code}" for code in _REFUSED)
