"""The journal of lineage events: the bytes as they came, known by their SHA-256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from cityledger.storage.arrays import array_text
from cityledger.storage.database import Database

# A PostgreSQL index entry holds at most 2704 bytes; a longer text would refuse the whole event.
_INDEXED_CHARACTERS = 500

# ON CONFLICT returns nothing for what is already there, and draws an id for it all the same; the
# ordinals tell which events were new, whatever order the rows come back in.
_APPEND = text(
    """
    INSERT INTO cityledger.lineage_event
        (sha256, raw, event_time, event_type, run_id, job_namespace, job_name, producer)
    SELECT sha256, raw, event_time, event_type, run_id, job_namespace, job_name, producer
    FROM unnest(
        CAST(:sha256 AS text[]), CAST(:raw AS bytea[]), CAST(:event_time AS timestamptz[]),
        CAST(:event_type AS text[]), CAST(:run_id AS text[]), CAST(:job_namespace AS text[]),
        CAST(:job_name AS text[]), CAST(:producer AS text[])
    ) WITH ORDINALITY AS t
        (sha256, raw, event_time, event_type, run_id, job_namespace, job_name, producer, place)
    ORDER BY place
    ON CONFLICT (sha256) DO NOTHING
    RETURNING sha256, id
    """
)
_KNOWN = text(
    "SELECT sha256, id FROM cityledger.lineage_event WHERE sha256 = ANY(CAST(:sha256 AS text[]))"
)
_COLUMNS = (
    "sha256",
    "raw",
    "event_time",
    "event_type",
    "run_id",
    "job_namespace",
    "job_name",
    "producer",
)


@dataclass(frozen=True, slots=True)
class Stored:
    """Where an event lies in the journal.

    Attributes:
        new: False when the same bytes were there already.
    """

    id: int
    sha256: str
    new: bool


class EventStore:
    """Appends events; every event that returns from :meth:`append` is committed to disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, raws: Sequence[bytes]) -> list[Stored]:
        """Keep events, in the order given; one statement, so all of them or none.

        Args:
            raws: The bytes as received; the same bytes again change nothing.

        Raises:
            UnavailableError: the database does not answer; sending them again is harmless.
            SQLAlchemyError: the database refused them; none of them is kept.
        """
        if not raws:
            return []
        hashes = [hashlib.sha256(raw).hexdigest() for raw in raws]
        first: dict[str, bytes] = {}
        for sha256, raw in zip(hashes, raws, strict=True):
            first.setdefault(sha256, raw)
        rows = [{"sha256": sha256, "raw": raw} | _head(raw) for sha256, raw in first.items()]
        with self._database.each_alone() as connection:
            made = _append(connection, rows)
            ids = made | _known(connection, [one for one in first if one not in made])
        return [
            Stored(ids[sha256], sha256, new)
            for sha256, new in zip(hashes, _firsts(hashes, made), strict=True)
        ]


def _append(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    columns = {name: array_text(row.get(name) for row in rows) for name in _COLUMNS}
    return {row.sha256: row.id for row in connection.execute(_APPEND, columns)}


def _known(connection: Connection, hashes: Sequence[str]) -> dict[str, int]:
    if not hashes:
        return {}
    return {row.sha256: row.id for row in connection.execute(_KNOWN, {"sha256": hashes})}


def _firsts(hashes: Sequence[str], made: Mapping[str, int]) -> Iterator[bool]:
    seen: set[str] = set()
    for one in hashes:
        yield one in made and one not in seen
        seen.add(one)


def _head(raw: bytes) -> dict[str, Any]:
    """What queries look for; an event without it is kept all the same."""
    try:
        event = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(event, dict):
        return {}
    run, job = _mapping(event.get("run")), _mapping(event.get("job"))
    run_id = _text(run.get("runId"))
    return {
        "event_time": _time(event.get("eventTime")),
        "event_type": _text(event.get("eventType")),
        # A UUID is the same in either case; the graph looks for it in lower case.
        "run_id": run_id.lower() if run_id else None,
        "job_namespace": _text(job.get("namespace")),
        "job_name": _text(job.get("name")),
        "producer": _text(event.get("producer")),
    }


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    return value[:_INDEXED_CHARACTERS].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _time(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
        # In UTC, the first and last hours of the calendar may not exist.
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
