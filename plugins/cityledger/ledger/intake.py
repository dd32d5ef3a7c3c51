"""The ledger's intake: keeps the bytes of a lineage event before anything else.

An event that the database cannot take goes to the outbox, a folder, and is delivered with the next
one. An event is known by the SHA-256 of its bytes, so delivering it twice keeps it once.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from cityledger.errors import UnavailableError
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.tables import lineage_event

# A PostgreSQL index entry holds at most 2704 bytes; a longer text would refuse the whole event.
_INDEXED_CHARACTERS = 500

log = logging.getLogger(__name__)


class Intake:
    """Takes lineage events in, in every process that emits them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def outbox(self) -> Path:
        """Where events wait while the database is down."""
        return self._settings.home / "outbox"

    def accept(self, raw: bytes) -> bool:
        """Keep an event; never loses it.

        Returns:
            True when it is in the database, False when it waits in the outbox.

        Raises:
            OSError: neither the database nor the outbox took it.
        """
        try:
            self.flush_outbox()
            self._store(raw)
        except (UnavailableError, SQLAlchemyError) as error:
            # The class only: the text of a database error repeats the values.
            log.warning("lineage event kept in the outbox: %s", type(error).__name__)
            self._spool(raw)
            return False
        return True

    def flush_outbox(self) -> int:
        """Deliver what waits in the outbox, oldest first.

        Returns:
            How many events were delivered.

        Raises:
            UnavailableError: the database does not answer; the events stay.
        """
        delivered = 0
        for path in sorted(self.outbox.glob("*.json")):
            try:
                self._store(path.read_bytes())
            except FileNotFoundError:
                continue  # another process delivered it just now
            path.unlink(missing_ok=True)
            delivered += 1
        return delivered

    @cached_property
    def _database(self) -> Database:
        return Database.from_settings(self._settings)

    def _store(self, raw: bytes) -> None:
        row = {"sha256": hashlib.sha256(raw).hexdigest(), "raw": raw} | _index(raw)
        statement = insert(lineage_event).values(row).on_conflict_do_nothing()
        with self._database.begin() as connection:
            connection.execute(statement)

    def _spool(self, raw: bytes) -> None:
        self.outbox.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns():020d}-{hashlib.sha256(raw).hexdigest()[:16]}"
        partial = self.outbox / f"{name}.part"
        with partial.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.outbox / f"{name}.json")


def _index(raw: bytes) -> dict[str, Any]:
    """What queries look for; an event without it is kept all the same."""
    try:
        event = json.loads(raw)
    except ValueError:
        return {}
    if not isinstance(event, dict):
        return {}
    run, job = _mapping(event.get("run")), _mapping(event.get("job"))
    return {
        "event_time": _time(event.get("eventTime")),
        "event_type": _text(event.get("eventType")),
        "run_id": _text(run.get("runId")),
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
    except ValueError:
        return None
    return moment if moment.tzinfo else None
