"""A small OpenID provider: discovery, authorisation code with PKCE, ID tokens signed by RSA.

It asks no password: who it vouches for next is what the test says.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "cityledger", "a-secret-of-the-test"


@dataclass
class Provider:
    """The provider's state.

    Attributes:
        claims: Of whoever logs in next.
        forged: Sign ID tokens with a key that the provider does not publish.
        audience: Whom the ID tokens are for.
    """

    address: str
    claims: dict[str, Any] = field(default_factory=dict)
    forged: bool = False
    audience: str = CLIENT
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    other: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))

    def metadata(self) -> dict[str, Any]:
        """The discovery document."""
        return {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "userinfo_endpoint": f"{self.address}/userinfo",
            "jwks_uri": f"{self.address}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def authorize(self, query: dict[str, list[str]]) -> str:
        """Where the browser goes after the login."""
        code = secrets.token_urlsafe(16)
        self.codes[code] = {
            "nonce": query.get("nonce", [""])[0],
            "challenge": query["code_challenge"][0],
            "claims": dict(self.claims),
        }
        answer = {"code": code, "state": query["state"][0]}
        return f"{query['redirect_uri'][0]}?{urlencode(answer)}"

    def token(self, form: dict[str, list[str]]) -> dict[str, Any] | None:
        """The answer to a code; None when the client or its proof is wrong."""
        granted = self.codes.pop(form.get("code", [""])[0], None)
        proof = hashlib.sha256(form.get("code_verifier", [""])[0].encode()).digest()
        challenge = base64.urlsafe_b64encode(proof).rstrip(b"=").decode()
        if granted is None or granted["challenge"] != challenge:
            return None
        now = int(time.time())
        claims = {
            "iss": self.address,
            "aud": self.audience,
            "iat": now,
            "exp": now + 300,
            "nonce": granted["nonce"],
            **granted["claims"],
        }
        key = self.other if self.forged else self.key
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)
        return {"access_token": "opaque", "token_type": "Bearer", "id_token": signed}


@contextmanager
def running_provider() -> Iterator[Provider]:
    """A provider on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.provider = Provider(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.provider  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


class _Handler(BaseHTTPRequestHandler):
    @property
    def provider(self) -> Provider:
        return self.server.provider  # type: ignore[attr-defined, no-any-return]

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/authorize":
            self.send_response(302)
            self.send_header("Location", self.provider.authorize(parse_qs(parts.query)))
            self.end_headers()
            return
        documents = {
            "/.well-known/openid-configuration": self.provider.metadata(),
            "/keys": {"keys": [self.provider.key.as_dict(private=False)]},
            "/userinfo": self.provider.claims,
        }
        self._send(200 if parts.path in documents else 404, documents.get(parts.path, {}))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        known = self.headers.get("Authorization") == f"Basic {basic}"
        answer = self.provider.token(parse_qs(body)) if known else None
        self._send(200 if answer else 400, answer or {"error": "invalid_grant"})

    def _send(self, status: int, document: Any) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, *_: Any) -> None:
        """Nothing: the test reads the answers."""
