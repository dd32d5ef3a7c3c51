"""Security headers of every answer, of pages and of programs' interfaces alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_COMMON: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Permitted-Cross-Domain-Policies": "none",
}
#: Of answers that no browser has to show: nothing in them may run, load or be framed.
BARE_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; sandbox"
#: Two years, and only what was asked for under TLS says so (RFC 6797, 7.2).
_TLS_ONLY: Final = "max-age=63072000"


class SecurityHeaders:
    """Adds the headers; answers are never stored by caches unless they say otherwise.

    Args:
        app: Whose answers.
        policy: The content policy of its pages.
    """

    def __init__(self, app: ASGIApp, policy: str = BARE_POLICY) -> None:
        self.app = app
        self._headers: Mapping[str, str] = {"Content-Security-Policy": policy, **_COMMON}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                if scope.get("scheme") == "https":
                    headers.setdefault("Strict-Transport-Security", _TLS_ONLY)
            await send(message)

        await self.app(scope, receive, with_headers)
