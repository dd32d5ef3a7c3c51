"""Tokens of the collector: random, shown once, kept as hashes."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cityledger.errors import BadInputError
from cityledger.storage.private_files import write_private

_PREFIX = "cl_"


class Scope(StrEnum):
    """What a token is good for."""

    READ = "read"
    WRITE = "write"


class Token(BaseModel):
    """A token as it is kept.

    Attributes:
        sha256: Of the secret. It is 256 random bits, so a plain hash tells nothing.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    scopes: frozenset[Scope]
    sha256: str
    created_at: datetime


class TokenFile:
    """The tokens that are valid, in a file of mode 0600; a change counts at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[tuple[int, int], tuple[Token, ...]] | None = None

    def tokens(self) -> tuple[Token, ...]:
        """All valid tokens.

        Raises:
            BadInputError: the file cannot be read as tokens.
        """
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return ()
        stamp = (stat.st_mtime_ns, stat.st_size)
        if self._read is None or self._read[0] != stamp:
            self._read = (stamp, self._load())
        return self._read[1]

    def create(self, name: str, scopes: Iterable[Scope]) -> str:
        """Make a token; its secret is returned here and never again.

        Raises:
            BadInputError: the name is taken.
        """
        secret = _PREFIX + secrets.token_urlsafe(32)
        made = Token(
            name=name,
            scopes=frozenset(scopes),
            sha256=_hash(secret),
            created_at=datetime.now(UTC),
        )
        with self._alone() as known:
            if any(token.name == name for token in known):
                raise BadInputError(
                    f"there is a token named {name} already",
                    fix=f"choose another name, or `cityledger ledger token revoke {name}` first",
                    code="token_exists",
                )
            self._save((*known, made))
        return secret

    def revoke(self, name: str) -> None:
        """Make a token worthless.

        Raises:
            BadInputError: there is none of that name.
        """
        with self._alone() as known:
            kept = tuple(token for token in known if token.name != name)
            if len(kept) == len(known):
                raise BadInputError(
                    f"there is no token named {name}",
                    fix=f"one of: {', '.join(token.name for token in known) or '(none)'}",
                    code="unknown_token",
                )
            self._save(kept)

    def scopes(self, secret: str) -> frozenset[Scope] | None:
        """What a secret is good for; None when it is nobody's."""
        hashed, found = _hash(secret), None
        for token in self.tokens():  # all of them, so that the time tells nothing
            if hmac.compare_digest(token.sha256, hashed):
                found = token.scopes
        return found

    @contextmanager
    def _alone(self) -> Iterator[tuple[Token, ...]]:
        """One writer at a time: what is written follows from what is there."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._load() if self._path.exists() else ()

    def _load(self) -> tuple[Token, ...]:
        try:
            entries = json.loads(self._path.read_bytes())
            return tuple(Token.model_validate_json(json.dumps(entry)) for entry in entries)
        except (ValueError, TypeError, ValidationError):
            raise BadInputError(
                "the file of collector tokens cannot be read",
                where=str(self._path),
                fix="remove it and make the tokens anew: cityledger ledger token create NAME",
                code="bad_token_file",
            ) from None

    def _save(self, tokens: Iterable[Token]) -> None:
        content = json.dumps([token.model_dump(mode="json") for token in tokens], indent=1)
        with write_private(self._path) as draft:
            draft.write_text(content, "utf-8")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
