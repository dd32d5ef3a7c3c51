"""The login of the console that runs alone, with a limit on attempts."""

from __future__ import annotations

import time
from collections import deque
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from cityledger.console.accounts import NOBODY, Accounts
from cityledger.console.errors import error_page
from cityledger.console.sessions import Sessions

router = APIRouter()
_WINDOW = 300.0  # seconds
_PER_NAME, _PER_ADDRESS = 8, 30
_REMEMBERED = 10_000


class Throttle:
    """Counts failures in a window, per key."""

    def __init__(self, limit: int, window: float = _WINDOW) -> None:
        self._limit, self._window = limit, window
        self._failures: dict[str, deque[float]] = {}

    def blocked(self, key: str) -> bool:
        """Whether the key has used up its attempts."""
        recent = self._failures.get(key)
        if recent is None:
            return False
        while recent and recent[0] < time.monotonic() - self._window:
            recent.popleft()
        return len(recent) >= self._limit

    def failed(self, key: str) -> None:
        """Count a failure."""
        if key not in self._failures and len(self._failures) >= _REMEMBERED:
            self._failures.pop(next(iter(self._failures)))
        self._failures.setdefault(key, deque(maxlen=self._limit)).append(time.monotonic())


class Login:
    """State of the login: accounts, sessions and throttles of one process."""

    def __init__(self, accounts: Accounts, sessions: Sessions) -> None:
        self.accounts, self.sessions = accounts, sessions
        self._names, self._addresses = Throttle(_PER_NAME), Throttle(_PER_ADDRESS)

    def blocked(self, name: str, address: str) -> bool:
        """Whether to refuse without looking at the password."""
        return self._names.blocked(f"{name} {address}") or self._addresses.blocked(address)

    def failed(self, name: str, address: str) -> None:
        """Count a wrong password."""
        self._names.failed(f"{name} {address}")
        self._addresses.failed(address)


def login_address(request: Request) -> str:
    """Where somebody without a session goes, to come back afterwards."""
    root = request.scope.get("root_path", "")
    wanted = request.scope["path"].removeprefix(root) or "/"
    if request.method != "GET":
        wanted = "/"
    if request.url.query:
        wanted = f"{wanted}?{request.url.query}"
    return f"{root}/login?next={quote(wanted, safe='')}"


@router.get("/login")
def show(request: Request, next: str = "/") -> Response:  # noqa: A002  the query's name
    """The form."""
    return _form(request, next)


@router.post("/login")
def submit(
    request: Request,
    name: Annotated[str, Form(max_length=64)],
    password: Annotated[str, Form(max_length=1024)],
    next: Annotated[str, Form()] = "/",  # noqa: A002  the field's name
) -> Response:
    """Check name and password; the answer does not tell which of them was wrong."""
    state: Login = request.app.state.login
    address = request.client.host if request.client else ""
    if state.blocked(name, address):
        answer = error_page(request, 429)
        answer.headers["Retry-After"] = str(int(_WINDOW))
        return answer
    account = state.accounts.find(name)
    if not (account or NOBODY).accepts(password) or account is None:
        state.failed(name, address)
        return _form(request, next, failed=True)
    response = RedirectResponse(_inside(request, next), status_code=303)
    state.sessions.start(request, response, name, account)
    return response


@router.post("/logout")
def logout(request: Request) -> Response:
    """End the session."""
    response = RedirectResponse(_inside(request, "/login"), status_code=303)
    request.app.state.login.sessions.end(request, response)
    return response


def _form(request: Request, wanted: str, *, failed: bool = False) -> Response:
    response: Response = request.app.state.pages.render(
        request,
        "login.html",
        status_code=401 if failed else 200,
        wanted=wanted,
        failed=failed,
        first=not request.app.state.login.accounts.all(),
    )
    return response


def _inside(request: Request, wanted: str) -> str:
    """An address of the console, whatever the form says: no redirects to elsewhere."""
    root: str = request.scope.get("root_path", "")
    safe = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted
    return root + (wanted if safe and wanted.isprintable() else "/")
