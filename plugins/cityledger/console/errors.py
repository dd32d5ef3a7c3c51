"""What goes wrong on a page, as pages: log in, not allowed, not found, not available, broken."""

from __future__ import annotations

import difflib
import logging
import traceback
from collections.abc import Iterable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from cityledger.console.i18n import language_of, mark, translations
from cityledger.errors import BadInputError, CityLedgerError, UnavailableError

_log = logging.getLogger(__name__)
_FRAMES = 8  # of the traceback, the innermost


class LoginRequiredError(Exception):
    """Nobody is logged in."""


class ForbiddenError(Exception):
    """The person may not do this."""


class MissingError(Exception):
    """There is no such thing, or the person may not know of it: both look the same.

    Args:
        name: What was asked for.
        near: The nearest thing that exists, as (text, path in the console).
    """

    def __init__(self, name: str, near: tuple[str, str] | None = None) -> None:
        super().__init__(name)
        self.name, self.near = name, near


def missing(name: str, known: Iterable[str], path: str) -> MissingError:
    """A :class:`MissingError` that suggests the nearest of the known names.

    Args:
        name: What was asked for.
        known: Names that the person may see.
        path: Where they are found, with ``{}`` for the name.
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return MissingError(name, (near[0], path.format(near[0])) if near else None)


#: Status → title and explanation.
_TEXTS = {
    400: (mark("This request cannot be used"), mark("Something in it is not as it should be.")),
    401: (mark("Please log in"), mark("This page is for people who have logged in.")),
    403: (mark("Not for your role"), mark("Your account does not have the role that this needs.")),
    404: (mark("Not found"), mark("There is no such page, or it is not yours to see.")),
    405: (mark("This request cannot be used"), mark("Something in it is not as it should be.")),
    413: (
        mark("Too large"),
        mark("More was sent than this page takes. Nothing was changed."),
    ),
    429: (mark("Too many attempts"), mark("Wait some minutes, then try again.")),
    500: (
        mark("Something broke"),
        mark("The failure has been written to the server's log. Nothing was changed."),
    ),
    503: (
        mark("A service does not answer"),
        mark("The database or the object store cannot be reached. Try again in a minute."),
    ),
}


def install(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(LoginRequiredError, _login)
    app.add_exception_handler(ForbiddenError, lambda request, _: error_page(request, 403))
    app.add_exception_handler(MissingError, _missing)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, lambda request, _: error_page(request, 400))
    app.add_exception_handler(CityLedgerError, _known)
    app.add_middleware(LastResort)


def error_page(
    request: Request,
    status: int,
    *,
    name: str = "",
    near: tuple[str, str] | None = None,
    error: CityLedgerError | None = None,
) -> Response:
    """A page (or, below ``/api/``, a JSON document) that says what is wrong."""
    title, text = _TEXTS.get(status, _TEXTS[400 if status < 500 else 500])
    if is_api(request):
        problem = {"status": status, "title": title, "detail": error.what if error else text}
        return JSONResponse({"error": problem}, status_code=status)
    translate = translations(language_of(request)).gettext
    response: Response = request.app.state.pages.render(
        request,
        "error.html",
        status_code=status,
        title=translate(title),
        text=translate(text),
        name=name,
        near=near,
        error=error,
    )
    return response


def is_api(request: Request) -> bool:
    """Whether the request asks for data, not for a page."""
    path: str = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    return path.startswith("/api/")


def _login(request: Request, _: Exception) -> Response:
    address = request.app.state.login_address
    if address is None or is_api(request):
        return error_page(request, 401)
    return RedirectResponse(address(request), status_code=303)


def _missing(request: Request, error: Exception) -> Response:
    if not isinstance(error, MissingError):
        raise error
    return error_page(request, 404, name=error.name, near=error.near)


def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return error_page(request, status)


def _known(request: Request, error: Exception) -> Response:
    if isinstance(error, UnavailableError):
        _log.warning("%s (%s)", error.what, error.code)
        return error_page(request, 503)
    if isinstance(error, BadInputError):
        return error_page(request, 400, error=error)
    _log.error("%s", error)
    return error_page(request, 500)


class LastResort:
    """Turns what nobody expected into the page of a failure, once it is in the log.

    A handler for ``Exception`` would be asked by Starlette too, but it raises the exception again,
    and the server would write its text, which may hold values of rows, into its log.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception as error:  # noqa: BLE001  the last place that can answer
            frames = "".join(traceback.format_tb(error.__traceback__)[-_FRAMES:])
            _log.error("unexpected %s at %s\n%s", type(error).__name__, scope["path"], frames)
            await error_page(Request(scope, receive), 500)(scope, receive, send)
