"""Where a producer's events go: straight into the database, or to a collector over HTTP."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request

from pydantic_core import from_json
from sqlalchemy.exc import SQLAlchemyError

from cityledger import __version__
from cityledger.errors import CityLedgerError, Exit, UnavailableError
from cityledger.ledger.event_store import EventStore
from cityledger.ledger.posting import NO_ANSWER, opener
from cityledger.settings import Settings
from cityledger.storage.database import Database

_TIMEOUT = 10.0
_TOO_LARGE = 413


class RefusedError(CityLedgerError):
    """The destination will never take this event as it is."""


class Sender(Protocol):
    """Delivers events."""

    def send(self, raws: Sequence[bytes]) -> None:
        """Deliver events; when this returns, they are kept at the other end.

        Raises:
            UnavailableError: some may have been kept, some not; sending all again is harmless.
            RefusedError: a single event will never be taken.
        """


def sender_for(settings: Settings) -> Sender:
    """The way to the ledger: its collector if one is configured, else the database.

    Raises:
        UnavailableError: neither is configured.
        CityLedgerError: the collector's URL cannot be read.
    """
    if settings.collector_url is not None:
        return CollectorSender(settings.collector_url.get_secret_value())
    return DatabaseSender(Database.from_settings(settings))


class DatabaseSender:
    """Writes events into the database."""

    def __init__(self, database: Database) -> None:
        self._store = EventStore(database)

    def send(self, raws: Sequence[bytes]) -> None:
        """Write events in one transaction."""
        try:
            self._store.append(raws)
        except SQLAlchemyError as error:
            # The class only: the text of a database error repeats the values.
            raise UnavailableError(
                f"the database does not take lineage events ({type(error).__name__})",
                fix="cityledger status; the events wait in the outbox",
                code="lineage_not_stored",
            ) from None


class CollectorSender:
    """Sends events to a collector (or to whatever speaks its API)."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise CityLedgerError(
                "CITYLEDGER_COLLECTOR_URL cannot be read",
                fix="write it as http[s]://token@host:port",
                code="bad_collector_url",
                exit_code=Exit.USAGE,
            )
        host = parts.netloc.rpartition("@")[2]
        self._base = f"{parts.scheme}://{host}{parts.path.rstrip('/')}/api/v1/lineage"
        self._token = unquote(parts.username) if parts.username else None
        self._opener = opener()

    def send(self, raws: Sequence[bytes]) -> None:
        """Send events; those that are JSON in one request."""
        readable = [raw for raw in raws if _is_json(raw)]
        alone = [raw for raw in raws if not _is_json(raw)]
        if len(readable) == 1:
            alone, readable = [*alone, *readable], []
        if readable:
            self._post(f"{self._base}/batch", b"[" + b",".join(readable) + b"]")
        for raw in alone:
            self._post(self._base, raw)

    def _post(self, url: str, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": f"cityledger/{__version__}"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        request = Request(url, body, headers, method="POST")  # noqa: S310  checked on reading
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                answer.read()
        except HTTPError as error:
            with error:
                self._judge(error.code, error.read())
        except NO_ANSWER as error:
            reason = getattr(error, "reason", error)
            raise self._away(f"does not answer ({type(reason).__name__})") from None

    def _judge(self, status: int, answer: bytes) -> None:
        if status == 400 and _was_kept(answer):
            return  # no OpenLineage event, but it is in the ledger and reported there
        if status == _TOO_LARGE:
            raise RefusedError(
                "the event is larger than the collector takes",
                where=self._base,
                fix="raise CITYLEDGER_COLLECTOR_BODY_MB there, then move it back from"
                " outbox/refused",
                code="event_too_large",
            )
        if status in {401, 403}:
            raise self._away("refuses our token")
        raise self._away(f"answers {status}")

    def _away(self, what: str) -> UnavailableError:
        return UnavailableError(
            f"the lineage collector {what}",
            where=self._base,
            fix="see CITYLEDGER_COLLECTOR_URL and the collector's log; events wait in the outbox",
            code="collector_unavailable",
        )


def _is_json(raw: bytes) -> bool:
    try:
        from_json(raw)
    except ValueError:
        return False
    return True


def _was_kept(answer: bytes) -> bool:
    try:
        content = json.loads(answer)
    except ValueError:
        return False
    return isinstance(content, dict) and "sha256" in content
