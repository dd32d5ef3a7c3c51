"""``/metrics`` over HTTP, alone or as a route of another application."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from cityledger.observability.metrics.access import Answer, may_read
from cityledger.observability.metrics.exposition import Exposition
from cityledger.observability.metrics.families import CONTENT_TYPE
from cityledger.settings import Settings

PATH = "/metrics"

_REFUSALS = {
    Answer.WHO: "the bearer token of CITYLEDGER_METRICS_TOKEN is needed\n",
    Answer.NO: "only this machine may read; set CITYLEDGER_METRICS_TOKEN for others\n",
}


def route(settings: Settings, exposition: Callable[[], Exposition]) -> Route:
    """The route.

    Args:
        settings: Say who may read.
        exposition: Makes the figures at the first request.
    """
    made: list[Exposition] = []

    async def metrics(request: Request) -> Response:
        peer = request.client.host if request.client else None
        answer = may_read(settings.metrics_token, peer, request.headers)
        if answer is not Answer.YES:
            challenge = {"WWW-Authenticate": "Bearer"} if answer is Answer.WHO else None
            return PlainTextResponse(_REFUSALS[answer], answer.value, headers=challenge)
        if not made:
            made.append(exposition())
        text = await run_in_threadpool(made[0].text)
        return Response(text, media_type=CONTENT_TYPE)

    return Route(PATH, metrics, methods=["GET"])


def create_app(settings: Settings) -> Starlette:
    """The metrics alone, below ``/metrics``."""
    return Starlette(routes=[route(settings, lambda: Exposition(settings))])
