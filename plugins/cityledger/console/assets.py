"""What needs no identity: stylesheet, script, chart library, font, and whether we are well."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from sqlalchemy import text

from cityledger.console.errors import MissingError
from cityledger.console.fonts import font_file
from cityledger.console.identity import require
from cityledger.console.rendering import CHART_LIBRARY, HERE
from cityledger.errors import UnavailableError

router = APIRouter()
_FILES = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "lineage.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
#: The address changes with the content, so that a browser may keep what it has.
_KEEP = {"Cache-Control": "public, max-age=31536000, immutable"}
_KEEP_PRIVATE = {"Cache-Control": "private, max-age=31536000, immutable"}
_DIGEST = "^[0-9a-f]{64}$"
#: An image does not get the page's colours: these are ``--ink`` of console.css.
_INK = "<style>:root{color:#1c2430}@media (prefers-color-scheme:dark){:root{color:#e8e6df}}</style>"


@router.get(f"/static/{CHART_LIBRARY}")
def chart_library() -> Response:
    """Vega, Vega-Lite and Vega-Embed in one file, from the installed package."""
    return Response(_chart_library(), media_type="text/javascript", headers=_KEEP)


@router.get("/static/noto-sans-sc.ttf")
def chinese_font() -> Response:
    """The Chinese font for machines without one; browsers that have one do not ask for it."""
    return FileResponse(font_file(), media_type="font/ttf", headers=_KEEP)


@router.get("/charts/{name}.svg", dependencies=[Depends(require())])
def drawing(name: Annotated[str, Path(pattern=_DIGEST)], request: Request) -> Response:
    """A chart that stood on a page; its name is a digest, so only who was shown it knows it."""
    svg = request.app.state.desk.charts.drawing(name)
    if svg is None:
        raise MissingError(name)
    head, rest = svg.split(">", 1)
    return Response(f"{head}>{_INK}{rest}", media_type="image/svg+xml", headers=_KEEP_PRIVATE)


@router.get("/static/{name}")
def static(name: str) -> Response:
    """One of our own files."""
    if name not in _FILES:
        raise MissingError(name)
    return FileResponse(HERE / "static" / name, media_type=_FILES[name], headers=_KEEP)


@router.get("/healthz")
def health(request: Request) -> Response:
    """200 when pages can be served with data, else 503."""
    try:
        with request.app.state.desk.database.begin() as connection:
            connection.execute(text("SELECT 1"))
    except UnavailableError as error:
        return JSONResponse({"status": "unavailable", "code": error.code}, status_code=503)
    return JSONResponse({"status": "ok"})


@lru_cache(maxsize=1)
def _chart_library() -> bytes:
    import vl_convert

    # Without a snippet of code it is the whole library; the package's types forget that.
    bundle = cast("Callable[[], str]", vl_convert.javascript_bundle)
    return bundle().encode()
