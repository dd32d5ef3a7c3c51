"""The collector as an application of its own, and its routes for another one.

Alone: ``cityledger ledger serve``. In the console: ``app.include_router(create_router(settings))``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from cityledger import __version__
from cityledger.collector.declare import declare_routes, source_routes
from cityledger.collector.http import Allow, LastResort, by_token, needs
from cityledger.collector.read import read_routes
from cityledger.collector.service import Background, Collector
from cityledger.collector.tokens import Scope, TokenFile
from cityledger.collector.write import write_routes
from cityledger.settings import Settings
from cityledger.web_headers import SecurityHeaders

_PREFIX = "/api/v1"
_ABOUT = (
    "Takes OpenLineage 2-0-2 events and answers what they say, with the paths and shapes of"
    " Marquez's API. Every event is kept as it came. Names in paths are percent-encoded, slashes"
    " included."
)


def create_router(
    settings: Settings, *, allow: Allow | None = None, collector: Collector | None = None
) -> APIRouter:
    """The routes below ``/api/v1``.

    Args:
        settings: Where the database is, and the bounds.
        allow: Says what the holder of a request may do; by the file of tokens unless given.
        collector: The parts to work with, if the caller has them already.
    """
    parts = collector or Collector(settings)
    who = allow or by_token(TokenFile(settings.collector_tokens))
    may_read, may_write = needs(who, Scope.READ), needs(who, Scope.WRITE)
    router = APIRouter(prefix=_PREFIX)
    router.include_router(write_routes(parts, may_write))
    router.include_router(source_routes(parts, may_read))
    router.include_router(read_routes(parts, may_read))
    router.include_router(declare_routes(parts, may_write))
    return router


def create_app(settings: Settings, *, allow: Allow | None = None) -> FastAPI:
    """The collector alone; indexing and forwarding run while it does."""
    collector = Collector(settings)

    @asynccontextmanager
    async def run(_: FastAPI) -> AsyncIterator[None]:
        background = Background(collector)
        background.start()
        yield
        background.stop()
        collector.database.close()

    app = FastAPI(
        title="CityLedger lineage collector",
        description=_ABOUT,
        version=__version__,
        lifespan=run,
        docs_url=None,  # the pages load their scripts from elsewhere; /openapi.json is complete
        redoc_url=None,
    )
    app.add_middleware(LastResort)
    app.add_middleware(SecurityHeaders)  # after it, hence around it: errors get the headers too
    app.include_router(create_router(settings, allow=allow, collector=collector))
    return app
