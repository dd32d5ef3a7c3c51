"""Applications that Airflow's api-server carries along."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class BuiltWhenAsked:
    """An ASGI application that is built at its first request.

    Every Airflow process loads plug-ins; only the api-server is ever asked for a page, so only it
    pays for templates, charts and models.

    Args:
        build: Makes the application.
    """

    def __init__(self, build: Callable[[], ASGIApp]) -> None:
        self._build = build
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            self._app = self._build()
        await self._app(scope, receive, send)
