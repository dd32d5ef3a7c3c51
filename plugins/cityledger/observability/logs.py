"""Log lines as JSON objects: what happened, in which run of which dataset, in which trace.

One setting (``CITYLEDGER_LOG_FORMAT=json``) turns them on for the command line and the servers
that it starts; Airflow writes its task logs as JSON anyway and takes our fields into them.

Personal data stays out in three ways. Every text passes :func:`cityledger.masking.scrub`. The
configured secrets and the passwords of URLs are replaced. The text of an exception that is not
ours is left out altogether, because libraries quote rows: its type and the places that it passed
through remain.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import IO, Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from cityledger.errors import CityLedgerError
from cityledger.masking import HIDDEN, scrub
from cityledger.observability import traces
from cityledger.settings import Settings

_NOWHERE: Final[Mapping[str, str]] = MappingProxyType({})
_place: ContextVar[Mapping[str, str]] = ContextVar("cityledger_place", default=_NOWHERE)

#: What a log record has by itself; anything beside it was given by whoever logs.
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PASSWORD: Final = re.compile(r"(?<=://)[^/\s@]+@")
_SHORTEST_SECRET: Final = 6
_FRAMES: Final = 12

Exception_ = tuple[type[BaseException], BaseException, TracebackType | None]


@contextmanager
def about(**place: str) -> Iterator[None]:
    """What the log lines of the block are about: ids and names, never values."""
    token = _place.set({**_place.get(), **place})
    try:
        with _airflow_lines(place):
            yield
    finally:
        _place.reset(token)


def _airflow_lines(place: Mapping[str, str]) -> AbstractContextManager[None]:
    """Have Airflow's log of a task name them, too."""
    if "structlog" not in sys.modules:
        return nullcontext()
    from structlog.contextvars import bound_contextvars

    return bound_contextvars(**place)


def trace_ids() -> dict[str, str]:
    """Ids of the open span and its trace; empty when there is none."""
    context = traces.current()
    if context is None:
        return {}
    _, trace, span, _ = context.split("-")
    return {"trace_id": trace, "span_id": span}


def configure(settings: Settings, stream: IO[str] | None = None) -> None:
    """Write this process's log as the settings say; harmless when repeated.

    Args:
        settings: ``log_format``, and the secrets that no line may hold.
        stream: Where to; the error output without it.
    """
    root = logging.getLogger()
    for known in [one for one in root.handlers if isinstance(one, _Handler)]:
        root.removeHandler(known)
    if settings.log_format == "json":
        handler = _Handler(stream or sys.stderr)
        handler.setFormatter(JsonLines(secrets_of(settings)))
        root.addHandler(handler)
        root.setLevel(min(root.level or logging.INFO, logging.INFO))


def scrub_exception(error: BaseException) -> None:
    """Hide what looks like somebody's number in an exception and in those that led to it.

    Whoever prints the exception (Airflow's log of a task, Python itself) prints its text. Type and
    traceback stay, so that it is caught and retried as before.
    """
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        # Past the exception's own guard: the store's client forbids changes of its errors.
        BaseException.__setattr__(one, "args", tuple(_scrubbed(value) for value in one.args))
        if notes := getattr(one, "__notes__", None):
            notes[:] = [scrub(note) for note in notes]
        one = one.__cause__ or one.__context__


def _scrubbed(value: object) -> object:
    if isinstance(value, str):
        return scrub(value)
    hides = isinstance(value, int | bytes) and scrub(str(value)) != str(value)
    return HIDDEN if hides else value


def airflow_environment(settings: Settings) -> dict[str, str]:
    """What makes Airflow's own processes write JSON lines, too; empty for lines of text."""
    return {"AIRFLOW__LOGGING__JSON_LOGS": "True"} if settings.log_format == "json" else {}


def for_server(settings: Settings) -> dict[str, Any]:
    """Options of uvicorn that leave its lines to our handler; none for lines of text."""
    return {"log_config": None} if settings.log_format == "json" else {}


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """The texts that may stand nowhere: secrets of the settings, the longest first."""
    found: set[str] = set()
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            found |= _parts(value.get_secret_value())
    found |= {one.token.get_secret_value() for one in settings.lineage_targets if one.token}
    return tuple(sorted((one for one in found if len(one) >= _SHORTEST_SECRET), key=len)[::-1])


class JsonLines(logging.Formatter):
    """One JSON object a line.

    Args:
        secrets: Texts that may stand nowhere.
    """

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record; a record that cannot be told is told of all the same."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._clean(_message(record)),
            **trace_ids(),
            **_place.get(),
        }
        for name, value in vars(record).items():
            if name not in _OWN and name not in line:
                line[name] = self._safe(value)
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = self._exceptions(record.exc_info)
        return json.dumps(line, ensure_ascii=False)

    def _exceptions(self, info: Exception_ | Any) -> list[dict[str, Any]]:
        """The exception and those that led to it, the last one first."""
        told: list[dict[str, Any]] = []
        error: BaseException | None = info[1]
        while error is not None and len(told) < _FRAMES:
            told.append(self._exception(error))
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return told

    def _exception(self, error: BaseException) -> dict[str, Any]:
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        told: dict[str, Any] = {
            "type": type(error).__name__,
            "frames": [f"{one.filename}:{one.lineno} {one.name}" for one in frames],
        }
        if isinstance(error, CityLedgerError):
            told |= {"code": error.code, "text": self._clean(str(error))}
        return told

    def _safe(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return self._whole(value)
        return self._clean(str(value))

    def _whole(self, number: int) -> int | str:
        text = str(number)
        return number if scrub(text) == text else HIDDEN

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return scrub(_PASSWORD.sub(f"{HIDDEN}@", text))


class _Handler(logging.StreamHandler[IO[str]]):
    """Ours, to be told from others."""


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # arguments that do not fit: logging would print all of them
        return str(record.msg)


def _parts(secret: str) -> set[str]:
    """A secret, or what is secret of an address."""
    if "://" not in secret:
        return {secret}
    parts = urlsplit(secret)
    given = [one for one in (parts.username if not parts.password else None, parts.password) if one]
    return {*given, *map(unquote, given)}
