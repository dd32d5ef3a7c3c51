"""What every route of the collector shares: paths, bodies, tokens, errors."""

from __future__ import annotations

import ipaddress
import logging
import traceback
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import unquote

from fastapi import HTTPException, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from cityledger.collector.tokens import Scope, TokenFile
from cityledger.errors import CityLedgerError, UnavailableError

_log = logging.getLogger(__name__)

#: Says what the holder of a request may do; raises an HTTPException for nobody.
Allow = Callable[[Request], frozenset[Scope]]

_FRAMES = 8  # of a traceback, the innermost
_READING = frozenset({"GET", "HEAD", "OPTIONS"})

#: A dependency that turns requests away.
Check = Callable[[Request], Awaitable[None]]


class NameRoute(APIRoute):
    """A route whose path parts may hold anything, slashes included, percent-encoded.

    Namespaces and names are URLs and keys (``s3://lake``, ``a/b``). Servers decode a path before
    routing, after which ``%2F`` is a slash like any other; so this one is matched as it was sent.
    """

    def matches(self, scope: AsgiScope) -> tuple[Match, AsgiScope]:
        """Match the undecoded path, then decode what its parts hold."""
        raw = scope.get("raw_path")
        if scope["type"] != "http" or not raw:
            return super().matches(scope)
        sent = raw.decode("latin-1").partition("?")[0]
        match, child = super().matches({**scope, "path": sent})
        if "path_params" in child:
            child["path_params"] = {
                name: unquote(value) if isinstance(value, str) else value
                for name, value in child["path_params"].items()
            }
        return match, child

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with our errors as JSON answers."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except CityLedgerError as error:
                return _answer(error)

        return handle


#: Declarations name one thing; even a table of ten thousand columns stays below.
DECLARATION_BYTES = 4 << 20


class DeclarationRoute(NameRoute):
    """A route whose JSON body is bounded while it comes in.

    FastAPI reads the whole body before it asks who sent it: anybody could fill the memory.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with a bounded body."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            taken = 0

            async def receive() -> Message:
                nonlocal taken
                message = await request.receive()
                taken += len(message.get("body", b""))
                if taken > DECLARATION_BYTES:
                    raise HTTPException(413, f"at most {DECLARATION_BYTES} bytes")
                return message

            return await handler(Request(request.scope, receive))

        return handle


class LastResort:
    """Answers what nobody expected, and logs where it happened without its text.

    The text may hold an event; and Starlette's own last answer would be outside our headers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Hand the request on."""
        try:
            await self.app(scope, receive, send)
        except Exception as error:  # noqa: BLE001  the last place that can answer
            frames = "".join(traceback.format_tb(error.__traceback__)[-_FRAMES:])
            path = scope.get("path", "")
            _log.error("unexpected %s at %s\n%s", type(error).__name__, path, frames)
            answer = JSONResponse({"code": 500, "message": "something broke; see the log"}, 500)
            await answer(scope, receive, send)


def _answer(error: CityLedgerError) -> JSONResponse:
    away = isinstance(error, UnavailableError)
    status = 503 if away else 400
    content = {"code": status, "message": error.what, "fix": error.fix}
    return JSONResponse(content, status, {"Retry-After": "5"} if away else None)


def by_token(tokens: TokenFile) -> Allow:
    """Let in whoever bears a valid token (RFC 6750)."""

    def allow(request: Request) -> frozenset[Scope]:
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        scopes = tokens.scopes(secret.strip()) if scheme.lower() == "bearer" else None
        if scopes is None:
            raise HTTPException(
                401,
                "a valid bearer token is needed: cityledger ledger token create NAME",
                {"WWW-Authenticate": 'Bearer realm="cityledger"'},
            )
        return scopes

    return allow


def this_machine(request: Request) -> frozenset[Scope]:
    """Let in the programs of this machine, but no web site that its browser shows.

    A browser sends requests of any site to 127.0.0.1. What a site may send without asking first
    has no JSON content type; and a site whose name resolves to 127.0.0.1 says that name as host.

    Raises:
        HTTPException: 403 for another host's name or a request of a page, 415 for a body that is
            not declared as JSON.
    """
    if not _is_loopback(request.url.hostname or "") or "origin" in request.headers:
        raise HTTPException(403, "without tokens only programs of this machine are served")
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method not in _READING and declared != "application/json":
        raise HTTPException(415, "send events with Content-Type: application/json")
    return frozenset(Scope)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def needs(allow: Allow, scope: Scope) -> Check:
    """A dependency that turns away whoever lacks a scope."""

    # Async, for it waits for nothing: a plain function would cost each request a thread.
    async def check(request: Request) -> None:
        if scope not in allow(request):
            raise HTTPException(
                403,
                f"this token may not {scope.value}",
                {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope.value}"'},
            )

    return check


async def read_body(request: Request, limit: int) -> bytes:
    """The body of a request, decompressed if it came so.

    Raises:
        HTTPException: 413 beyond the limit (before or after decompression), 415 for an encoding
            other than gzip, 400 for a broken stream.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", ""}:
        raise HTTPException(415, "send the body as it is, or with gzip")
    if int(_digits(request.headers, "content-length")) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return _unzip(bytes(body), limit) if encoding == "gzip" else bytes(body)


def _digits(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name, "0")
    return value if value.isascii() and value.isdigit() else "0"


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"at most {limit} bytes; set CITYLEDGER_COLLECTOR_BODY_MB for more")


def _unzip(body: bytes, limit: int) -> bytes:
    # A small body may unpack to anything, so never more than the limit is unpacked.
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(body, limit + 1)
    except zlib.error:
        raise HTTPException(400, "the body is not gzip") from None
    if len(plain) > limit:
        raise _too_large(limit)
    if not unpacker.eof:
        raise HTTPException(400, "the body ends in the middle of its gzip stream")
    return plain
