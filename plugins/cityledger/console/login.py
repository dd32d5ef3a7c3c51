"""The login of the console that runs alone, with a limit on attempts."""

from __future__ import annotations

import threading
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
    """Counts attempts in a window, per key; safe for threads."""

    def __init__(self, limit: int, window: float = _WINDOW) -> None:
        self._limit, self._window = limit, window
        self._attempts: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def take(self, key: str) -> bool:
        """Count an attempt before it is made; False when the key has used them up."""
        now = time.monotonic()
        with self._lock:
            if key not in self._attempts and len(self._attempts) >= _REMEMBERED:
                self._attempts.pop(next(iter(self._attempts)))
            recent = self._attempts.setdefault(key, deque())
            while recent and recent[0] < now - self._window:
                recent.popleft()
            if len(recent) >= self._limit:
                return False
            recent.append(now)
            return True

    def give_back(self, key: str) -> None:
        """Forget an attempt that was none."""
        with self._lock:
            if recent := self._attempts.get(key):
                recent.pop()


class Login:
    """State of the login: accounts, sessions and throttles of one process."""

    def __init__(self, accounts: Accounts, sessions: Sessions) -> None:
        self.accounts, self.sessions = accounts, sessions
        self._names, self._addresses = Throttle(_PER_NAME), Throttle(_PER_ADDRESS)

    def admits(self, name: str, address: str) -> bool:
        """Whether the password may be looked at; counted first, for many may come at once."""
        if not self._addresses.take(address):
            return False
        if self._names.take(f"{name} {address}"):
            return True
        self._addresses.give_back(address)
        return False

    def succeeded(self, name: str, address: str) -> None:
        """It was right, and does not count."""
        self._names.give_back(f"{name} {address}")
        self._addresses.give_back(address)


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
    if not state.admits(name, address):
        answer = error_page(request, 429)
        answer.headers["Retry-After"] = str(int(_WINDOW))
        return answer
    account = state.accounts.find(name)
    if not (account or NOBODY).accepts(password) or account is None:
        return _form(request, next, failed=True)
    state.succeeded(name, address)
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
