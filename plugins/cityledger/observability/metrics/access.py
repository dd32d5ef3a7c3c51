"""Who may read the metrics.

The figures hold no person's data, but they tell who delivers late. With
``CITYLEDGER_METRICS_TOKEN`` the reader must send it, from wherever it asks. Without one only a
process of the same machine may read, and none that asks on somebody's behalf: behind a reverse
proxy every request seems to come from here.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from enum import Enum
from typing import Final

from pydantic import SecretStr

_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
_BEARER: Final = "bearer "


class Answer(Enum):
    """What a request is told."""

    YES = 200
    WHO = 401
    NO = 403


def may_read(token: SecretStr | None, peer: str | None, headers: Mapping[str, str]) -> Answer:
    """Decide on a request.

    Args:
        token: The configured one.
        peer: Address that the connection comes from.
        headers: Of the request, names in lower case.
    """
    if token is not None:
        return Answer.YES if _has(token, headers.get("authorization", "")) else Answer.WHO
    if any(name in headers for name in _FORWARDED):
        return Answer.NO
    return Answer.YES if is_loopback(peer) else Answer.NO


def is_loopback(peer: str | None) -> bool:
    """Whether an address is this machine's own, for itself alone."""
    try:
        address = ipaddress.ip_address(peer or "")
    except ValueError:
        return peer == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _has(token: SecretStr, authorization: str) -> bool:
    if not authorization.lower().startswith(_BEARER):
        return False
    given = authorization[len(_BEARER) :].strip().encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given, token.get_secret_value().strip().encode())
