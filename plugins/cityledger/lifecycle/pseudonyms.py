"""The pads of HMAC-SHA-256, with which an engine that only has SHA-256 makes pseudonyms."""

from __future__ import annotations

import hashlib

from pydantic import SecretStr

_BLOCK = 64  # bytes of a SHA-256 block


def hmac_pads(key: SecretStr) -> dict[str, bytes]:
    """Inner and outer pad of HMAC-SHA-256 (RFC 2104): as secret as the key.

    Engines have SHA-256 but no HMAC; with the pads ready, SQL can finish the construction.
    """
    raw = key.get_secret_value().encode()
    block = (hashlib.sha256(raw).digest() if len(raw) > _BLOCK else raw).ljust(_BLOCK, b"\0")
    return {
        "pseudonym_inner": bytes(byte ^ 0x36 for byte in block),
        "pseudonym_outer": bytes(byte ^ 0x5C for byte in block),
    }
