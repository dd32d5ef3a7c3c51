"""Who may use the console, by ``<home>/console-users.json`` (mode 0600).

The console that runs alone logs people in by it. In Airflow it says which of Airflow's users have
which role here and speak for which department; passwords are Airflow's business then.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cityledger.errors import BadInputError, UnavailableError
from cityledger.people import Person, Role
from cityledger.storage.private_files import write_private

MINIMUM_LENGTH = 12
#: scrypt, 32 MiB and some 60 ms a guess.
_COST = {"n": 2**15, "r": 8, "p": 1}
_MEMORY = 64 * 1024 * 1024
#: Guesses that are computed at once, and that wait or are computed: a flood of logins takes 64 MiB
#: and some of the threads that serve pages, never all of either.
_AT_ONCE, _ADMITTED = threading.BoundedSemaphore(2), threading.BoundedSemaphore(16)


class Account(BaseModel):
    """One person's entry.

    Attributes:
        salt: Of the password, hex; empty for people who log in elsewhere (Airflow).
        password: scrypt hash, hex.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    roles: frozenset[Role]
    departments: frozenset[str] = frozenset()
    salt: str = ""
    password: str = ""

    def person(self, name: str) -> Person:
        """The account's owner."""
        return Person(name, self.roles, self.departments)

    def accepts(self, password: str) -> bool:
        """Whether the password is right; takes as long for an account without one.

        Raises:
            UnavailableError: too many passwords are being checked already.
        """
        salt = bytes.fromhex(self.salt) or bytes(16)
        right = hmac.compare_digest(_hash(password, salt), self.password)
        return right and bool(self.password)

    @property
    def fingerprint(self) -> str:
        """Changes with password, roles and departments: ends the sessions made before."""
        parts = (self.password, *sorted(self.roles), "", *sorted(self.departments))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


#: Stands in for names that do not exist, so that they take as long as those that do.
NOBODY = Account(roles=frozenset())


class Accounts:
    """Reads and writes the file; read again when it has changed."""

    def __init__(self, home: Path) -> None:
        self.path = home / "console-users.json"
        self._known: dict[str, Account] = {}
        self._stamp: tuple[int, int] | None = None

    def all(self) -> dict[str, Account]:
        """All accounts by name.

        Raises:
            BadInputError: the file is damaged.
        """
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return {}
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            self._known, self._stamp = self._read(), stamp
        return self._known

    def find(self, name: str) -> Account | None:
        """The account of that name."""
        return self.all().get(name)

    def add(
        self, name: str, roles: Iterable[Role], departments: Iterable[str], password: str | None
    ) -> None:
        """Add or replace an account.

        Args:
            name: Login name, as Airflow spells it if the person comes through Airflow.
            roles: At least one.
            departments: For role ``department``, and only for it.
            password: None for people who log in through Airflow only.

        Raises:
            BadInputError: name, roles, departments or password cannot be used.
        """
        account = _account(name, frozenset(roles), frozenset(departments), password)
        with self._changing() as accounts:
            accounts[name] = account

    def remove(self, name: str) -> None:
        """Remove an account; its sessions end.

        Raises:
            BadInputError: there is none of that name.
        """
        with self._changing() as accounts:
            if accounts.pop(name, None) is None:
                raise BadInputError(
                    f"there is no account '{name}'",
                    where=str(self.path),
                    fix="cityledger console user list",
                    code="unknown_account",
                )

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Account]]:
        """One writer at a time; the file is replaced whole, readers see the old or the new one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            accounts = dict(self._read()) if self.path.exists() else {}
            yield accounts
            content = json.dumps(_document(accounts), ensure_ascii=False, indent=1)
            with write_private(self.path) as draft:
                draft.write_text(content, "utf-8")

    def _read(self) -> dict[str, Account]:
        try:
            entries = json.loads(self.path.read_text("utf-8"))
            return {name: Account.model_validate(one) for name, one in entries.items()}
        except (ValueError, AttributeError, ValidationError):
            raise BadInputError(
                "the file of console accounts is damaged",
                where=str(self.path),
                fix="restore it from a backup, or delete it and add the people again",
                code="accounts_damaged",
            ) from None


def _account(
    name: str, roles: frozenset[Role], departments: frozenset[str], password: str | None
) -> Account:
    problem = _problem(name, roles, departments, password)
    if problem:
        raise BadInputError(problem[0], where=name, fix=problem[1], code="bad_account")
    if password is None:
        return Account(roles=roles, departments=departments)
    salt = secrets.token_bytes(16)
    return Account(
        roles=roles, departments=departments, salt=salt.hex(), password=_hash(password, salt)
    )


def _problem(
    name: str, roles: frozenset[Role], departments: frozenset[str], password: str | None
) -> tuple[str, str] | None:
    if not name.isprintable() or name != name.strip() or not 1 <= len(name) <= 64:
        return "the name cannot be used", "1 to 64 printable characters"
    if not roles:
        return "an account needs a role", "add --role"
    if (Role.DEPARTMENT in roles) != bool(departments):
        return (
            "role department and departments belong together",
            "give both --role department and --department NAME, or neither",
        )
    if password is not None and len(password) < MINIMUM_LENGTH:
        return "the password is too short", f"use at least {MINIMUM_LENGTH} characters"
    return None


def _document(accounts: dict[str, Account]) -> dict[str, object]:
    return {
        name: {
            "roles": sorted(one.roles),
            "departments": sorted(one.departments),
            "salt": one.salt,
            "password": one.password,
        }
        for name, one in sorted(accounts.items())
    }


def _hash(password: str, salt: bytes) -> str:
    if not _ADMITTED.acquire(blocking=False):
        raise UnavailableError(
            "too many logins at once", fix="try again in a few seconds", code="logins_busy"
        )
    try:
        with _AT_ONCE:
            derived = hashlib.scrypt(password.encode(), salt=salt, maxmem=_MEMORY, **_COST)
    finally:
        _ADMITTED.release()
    return derived.hex()
