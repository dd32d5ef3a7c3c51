"""How the ledger posts over HTTP: no redirects, and an answer is heard even when it comes early."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.request import (
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
    build_opener,
)

#: What posting raises when there is no answer; an ``HTTPError`` (an ``OSError``) is an answer.
NO_ANSWER: Final = (OSError, HTTPException)


class _HearsEarlyAnswers(HTTPConnection):
    """Reads the answer of a server that stopped reading.

    A server may refuse a body by its length (413) and hang up while we are still sending
    (RFC 9112 §9.6). Without this, that looks like a server that is down, and the event is
    sent again and again.
    """

    def send(self, data: Any) -> None:
        try:
            super().send(data)
        except (BrokenPipeError, ConnectionResetError):
            if self.sock is None:
                raise


class _HearsEarlyAnswersTls(_HearsEarlyAnswers, HTTPSConnection):
    pass


class _Http(HTTPHandler):
    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(_HearsEarlyAnswers, req)


class _Https(HTTPSHandler):
    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(_HearsEarlyAnswersTls, req)


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:  # a token is not for another host
        return None


def opener() -> OpenerDirector:
    """Opens requests; a redirect is an answer like any other."""
    return build_opener(_NoRedirect, _Http, _Https)
