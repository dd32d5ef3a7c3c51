"""The key that signs this installation's cookies: made once, kept in the home folder."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_LENGTH = 32


def load_key(home: Path) -> bytes:
    """The key of ``<home>/console.key`` (mode 0600); made if there is none.

    Two processes that start at once agree on the one that was linked into place first.
    """
    path = home / "console.key"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        home.mkdir(parents=True, exist_ok=True)
    fresh = home / f".console.key.{secrets.token_hex(8)}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        target.write(secrets.token_bytes(_LENGTH))
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    return path.read_bytes()
