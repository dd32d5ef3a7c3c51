"""The key that signs this installation's cookies: made once, kept in the home folder."""

from __future__ import annotations

import secrets
from pathlib import Path

from cityledger.storage.private_files import make_private

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
    with make_private(path) as draft:
        draft.write_bytes(secrets.token_bytes(_LENGTH))
    return path.read_bytes()
