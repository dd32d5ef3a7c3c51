"""Traces: how long each step of a partition's way took, and which step another one is part of.

Spans are sent by OTLP over HTTP, and only when ``CITYLEDGER_OTLP_URL`` names a receiver (or when
Airflow's own tracing is on in this process: then ours join its trace). Without either,
:func:`span` hands out one ready-made object and nothing of OpenTelemetry is imported.

A span belongs to the trace of, in this order: the span that is open in this process (Airflow's
task, the command line's run); the W3C context in ``TRACEPARENT``, which is how a parent process
hands its own on; the trace that is derived from the run at the root of it all, which is how tasks
of one DAG run come together although each is a process of its own.

Attributes are names and counts. The text of an exception is never taken: it may hold values.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from cityledger.errors import BadInputError, CityLedgerError
from cityledger.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Link, Span, Tracer

#: Names a step's W3C context, in an environment and in an outcome's detail alike.
TRACEPARENT: Final = "traceparent"

Value = str | bool | int | float
_NAME: Final = "cityledger"
_PREFIX: Final = f"{_NAME}."
#: A receiver that is down must not keep a command waiting at its end.
_SEND_SECONDS: Final = 3
_MOST_LINKS: Final = 128

_wanted_trace: ContextVar[int | None] = ContextVar("cityledger_wanted_trace", default=None)


class Step:
    """A piece of work while it is done; does nothing when there is nobody to tell.

    Args:
        span: Where it is told.
    """

    __slots__ = ("_span",)

    def __init__(self, span: Span | None) -> None:
        self._span = span

    def note(self, facts: Mapping[str, Value | None]) -> None:
        """Add names and counts; None is left out."""
        if self._span is not None:
            self._span.set_attributes(_attributes(facts))


_SILENT: Final[AbstractContextManager[Step]] = nullcontext(Step(None))


class _Process:
    """Whether this process traces."""

    tracer: Tracer | None = None


def configure(settings: Settings) -> bool:
    """Begin to trace in this process, if that is wanted; harmless when repeated.

    Returns:
        Whether spans are sent.

    Raises:
        BadInputError: the setting is not an address.
    """
    if _Process.tracer is None and _wanted(settings):
        from opentelemetry import trace

        if not _is_traced():
            trace.set_tracer_provider(_provider(settings))
        _Process.tracer = trace.get_tracer(_NAME, version(_NAME))
    return _Process.tracer is not None


def is_on() -> bool:
    """Whether spans are sent by this process."""
    return _Process.tracer is not None


def span(
    name: str,
    facts: Mapping[str, Value | None] | None = None,
    *,
    root: str | None = None,
    links: Sequence[str] = (),
) -> AbstractContextManager[Step]:
    """A step of the work, from entering the block to leaving it.

    Args:
        name: One of few: a stage, not a dataset.
        facts: Names and counts.
        root: Id of the run at the root of it all. Processes that know the same one join one trace.
        links: W3C contexts of steps elsewhere that this one continues.
    """
    if _Process.tracer is None:
        return _SILENT
    return _open(_Process.tracer, name, facts or {}, root, links)


def record(
    name: str, start: datetime, end: datetime, facts: Mapping[str, Value | None], *, good: bool
) -> None:
    """Tell of a step that somebody else has timed, as part of the open one."""
    if _Process.tracer is None:
        return
    from opentelemetry.trace import Status, StatusCode

    made = _Process.tracer.start_span(
        name, attributes=_attributes(facts), start_time=_nanoseconds(start)
    )
    if not good:
        made.set_status(Status(StatusCode.ERROR))
    made.end(_nanoseconds(end))


def carrier() -> dict[str, str]:
    """The open step as environment of a child process; empty when there is none."""
    context = current()
    return {} if context is None else {TRACEPARENT.upper(): context}


def current() -> str | None:
    """The open step as W3C context: ``00-<trace id>-<span id>-<flags>``."""
    if _Process.tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    found: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(found)
    return found.get(TRACEPARENT)


def flush(seconds: float = _SEND_SECONDS) -> None:
    """Send what waits to be sent."""
    if _Process.tracer is not None:
        from opentelemetry import trace

        flushed = getattr(trace.get_tracer_provider(), "force_flush", None)
        if flushed is not None:
            flushed(int(seconds * 1000))


def derived_trace(root: str) -> int:
    """The trace id of everything that a root run starts, the same in every process."""
    return int.from_bytes(hashlib.sha256(f"{_NAME}/{root}".encode()).digest()[:16], "big")


def airflow_environment(settings: Settings) -> dict[str, str]:
    """What connects Airflow's own traces and metrics to the same receiver; empty without one."""
    if settings.otlp_url is None:
        return {}
    return {
        "AIRFLOW__TRACES__OTEL_ON": "True",
        "AIRFLOW__METRICS__OTEL_ON": "True",
        # Airflow's default exporter speaks gRPC.
        "OTEL_TRACES_EXPORTER": "otlp_proto_http",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": _address(settings.otlp_url.get_secret_value()),
        "OTEL_SERVICE_NAME": "airflow",
    }


# --- spans -------------------------------------------------------------------------------------


@contextmanager
def _open(
    tracer: Tracer,
    name: str,
    facts: Mapping[str, Value | None],
    root: str | None,
    links: Sequence[str],
) -> Iterator[Step]:
    from opentelemetry.trace import Status, StatusCode, use_span

    token = _wanted_trace.set(derived_trace(root) if root else None)
    try:
        made = tracer.start_span(
            name, context=_context(), attributes=_attributes(facts), links=_links(links)
        )
    finally:
        _wanted_trace.reset(token)
    with use_span(made, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield Step(made)
        except BaseException as error:
            code = error.code if isinstance(error, CityLedgerError) else type(error).__name__
            made.set_attribute("error.type", code)
            made.set_status(Status(StatusCode.ERROR, code))
            raise


def _context() -> Context | None:
    """The parent that another process has named; None for what is open in this one."""
    from opentelemetry import trace

    if trace.get_current_span().get_span_context().is_valid:
        return None
    return _extracted(os.environ.get(TRACEPARENT.upper(), ""))


def _extracted(traceparent: str) -> Context:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({TRACEPARENT: traceparent})


def _links(contexts: Sequence[str]) -> list[Link]:
    from opentelemetry import trace

    found = (trace.get_current_span(_extracted(one)) for one in contexts[:_MOST_LINKS])
    known = (one.get_span_context() for one in found)
    return [trace.Link(one) for one in known if one.is_valid]


def _attributes(facts: Mapping[str, Value | None]) -> dict[str, Value]:
    return {f"{_PREFIX}{name}": value for name, value in facts.items() if value is not None}


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1e9)


# --- sending -----------------------------------------------------------------------------------


def _wanted(settings: Settings) -> bool:
    return settings.otlp_url is not None or _is_traced()


def _is_traced() -> bool:
    """Whether somebody else (Airflow) has begun to trace in this process."""
    if "opentelemetry.sdk.trace" not in sys.modules:
        return False
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider

    return isinstance(trace.get_tracer_provider(), TracerProvider)


def _provider(settings: Settings) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class TraceIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return _wanted_trace.get() or super().generate_trace_id()

    url = settings.otlp_url.get_secret_value() if settings.otlp_url else ""
    resource = Resource.create({"service.name": _NAME, "service.version": version(_NAME)})
    provider = TracerProvider(id_generator=TraceIds(), resource=resource)
    exporter = OTLPSpanExporter(f"{_address(url)}/v1/traces", timeout=_SEND_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadInputError(
            "the receiver of traces has no usable address",
            where="CITYLEDGER_OTLP_URL",
            fix="give it as http[s]://host:port, without a path; it must speak OTLP over HTTP",
            code="bad_otlp_url",
        )
    return url.rstrip("/")
