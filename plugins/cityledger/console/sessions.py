"""Sessions of the console that runs alone: a signed cookie, checked against accounts and server.

A session is a file of ``<home>/console/sessions``, named by the hash of its number, which only the
browser knows. Logging out removes the file: a copy of the cookie is worth nothing afterwards.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from contextlib import suppress
from pathlib import Path

from fastapi import Request, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

from cityledger.console.accounts import Account, Accounts
from cityledger.console.rendering import cookie_options
from cityledger.people import Person

COOKIE = "cityledger_session"
LIFETIME = 12 * 3600  # seconds: a working day


class Sessions:
    """Issues and reads session cookies.

    A session ends after :data:`LIFETIME`, at logout, and when the account changes or is removed.

    Args:
        key: Signs the cookies.
        accounts: Who may have a session.
        folder: Where the sessions that are open are noted; made when it is needed.
    """

    def __init__(self, key: bytes, accounts: Accounts, folder: Path) -> None:
        self._serializer = URLSafeTimedSerializer(key, salt="console session")
        self._accounts = accounts
        self._folder = folder

    def start(self, request: Request, response: Response, name: str, account: Account) -> None:
        """Open a session and set its cookie; the one that the browser had ends."""
        self._close(request)
        self._sweep()
        number = secrets.token_urlsafe(24)
        self._file(number).touch(mode=0o600)
        value = self._serializer.dumps([name, account.fingerprint, number])
        response.set_cookie(COOKIE, value, max_age=LIFETIME, **cookie_options(request))

    def end(self, request: Request, response: Response) -> None:
        """End the session, whoever holds a copy of its cookie, and remove the cookie."""
        self._close(request)
        response.delete_cookie(COOKIE, **cookie_options(request))

    def identify(self, request: Request) -> Person | None:
        """Who sent the request; None without a session that holds."""
        name, mark, number = self._read(request)
        account = self._accounts.find(name)
        if account is None or account.fingerprint != mark or not self._file(number).exists():
            return None
        return account.person(name)

    def _read(self, request: Request) -> tuple[str, str, str]:
        """Name, fingerprint and number of a cookie that we signed; empty texts without one."""
        try:
            content = self._serializer.loads(request.cookies.get(COOKIE, ""), max_age=LIFETIME)
            name, mark, number = (str(part) for part in content)
        except (BadSignature, TypeError, ValueError):  # or a cookie of an older version
            return "", "", ""
        return name, mark, number

    def _close(self, request: Request) -> None:
        _, _, number = self._read(request)
        self._file(number).unlink(missing_ok=True)

    def _file(self, number: str) -> Path:
        return self._folder / hashlib.sha256(number.encode()).hexdigest()

    def _sweep(self) -> None:
        """Forget the sessions that have expired."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        oldest = time.time() - LIFETIME
        for file in self._folder.iterdir():
            with suppress(FileNotFoundError):  # another process sweeps, too
                if file.stat().st_mtime < oldest:
                    file.unlink()
