"""Forms prove that they come from our own pages (CSRF).

The browser holds a random cookie, the form a keyed hash of it: another site can read neither and
make neither. The pair belongs to the browser, not to the person: who logs in anew in the same
browser keeps it. The check is a dependency of the whole app, so that a form cannot forget it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from fastapi import Request

from cityledger.console.errors import ForbiddenError

COOKIE = "cityledger_form"
FIELD = "form_token"
HEADER = "x-form-token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def browser_mark(request: Request) -> str:
    """The random text that this browser holds, made now if it holds none."""
    held: str | None = getattr(request.state, "form_mark", None) or request.cookies.get(COOKIE)
    if not held or len(held) > 100:
        held = secrets.token_urlsafe(24)
    request.state.form_mark = held
    return held


def token(request: Request) -> str:
    """What a form must carry to be accepted."""
    return sign(request.app.state.key, browser_mark(request))


async def check(request: Request) -> None:
    """Refuse what changes something and does not come from our own form.

    Raises:
        ForbiddenError: the token is missing or another's.
    """
    if request.method in _SAFE:
        return
    key: bytes = request.app.state.key
    held = request.cookies.get(COOKIE, "")
    given = request.headers.get(HEADER) or (await request.form()).get(FIELD, "")
    if not held or not hmac.compare_digest(str(given).encode(), sign(key, held).encode()):
        raise ForbiddenError


def sign(key: bytes, held: str) -> str:
    """The keyed hash of what a browser holds."""
    return hmac.new(key, f"form:{held}".encode(), hashlib.sha256).hexdigest()
