"""Sessions of the console that runs alone: a signed cookie, checked against the accounts."""

from __future__ import annotations

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
    """

    def __init__(self, key: bytes, accounts: Accounts) -> None:
        self._serializer = URLSafeTimedSerializer(key, salt="console session")
        self._accounts = accounts

    def start(self, request: Request, response: Response, name: str, account: Account) -> None:
        """Set the cookie."""
        value = self._serializer.dumps([name, account.fingerprint])
        response.set_cookie(COOKIE, value, max_age=LIFETIME, **cookie_options(request))

    def end(self, request: Request, response: Response) -> None:
        """Remove the cookie."""
        response.delete_cookie(COOKIE, **cookie_options(request))

    def identify(self, request: Request) -> Person | None:
        """Who sent the request; None without a session that holds."""
        try:
            name, mark = self._serializer.loads(request.cookies.get(COOKIE, ""), max_age=LIFETIME)
        except BadSignature:
            return None
        account = self._accounts.find(name)
        if account is None or account.fingerprint != mark:
            return None
        return account.person(name)
