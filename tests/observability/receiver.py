"""A receiver of OTLP over HTTP, as an OpenTelemetry collector is one, that keeps what it gets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Span:
    """One span as it was received; ids in hex."""

    name: str
    trace: str
    span: str
    parent: str
    links: tuple[str, ...]
    failed: bool
    facts: dict[str, Any]
    seconds: float


@dataclass
class Receiver:
    """What was received."""

    url: str
    spans: list[Span] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def named(self, name: str) -> Span:
        """The only span of that name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def take(self, path: str, body: bytes) -> None:
        """Keep a request."""
        self.paths.append(path)
        self.bodies.append(body)
        if path == "/v1/traces":
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    self.spans += [_span(one) for one in scope.spans]


def _span(one: Any) -> Span:
    return Span(
        name=one.name,
        trace=one.trace_id.hex(),
        span=one.span_id.hex(),
        parent=one.parent_span_id.hex(),
        links=tuple(link.trace_id.hex() for link in one.links),
        failed=one.status.code == 2,
        facts={fact.key: _value(fact.value) for fact in one.attributes},
        seconds=(one.end_time_unix_nano - one.start_time_unix_nano) / 1e9,
    )


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.take(self.path, body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
