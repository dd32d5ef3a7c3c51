"""Who runs PostgreSQL, and which folders that account can use.

PostgreSQL refuses to run as root. An ordinary user simply runs it; root needs an account without
privileges, which in turn cannot pass through folders such as ``/root`` (mode 0700). Nobody's
folder is opened for it: what it cannot reach is placed elsewhere (see `places`).
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cityledger.errors import UnavailableError

ACCOUNT_NAME = "cityledger"
FALLBACK_NAME = "nobody"


@dataclass(frozen=True)
class Account:
    """A system account that a server runs as."""

    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """The account for servers that refuse root; None when this process is not root."""
    if os.geteuid() != 0:
        return None
    return _lookup(ACCOUNT_NAME) or _created() or _fallback()


def can_use(account: Account | None, path: Path, access: str = "-x") -> bool:
    """Whether the account gets at a path, judged by trying (permissions, ACLs, mounts).

    Args:
        account: None means this process's own user.
        path: An existing file or folder.
        access: The operator of ``test``: ``-x`` (enter, execute), ``-r``, ``-w``.
    """
    if account is None:
        return os.access(path, {"-x": os.X_OK, "-r": os.R_OK, "-w": os.W_OK}[access])
    done = subprocess.run(  # noqa: S603 - fixed words and a path, no shell
        [_test_binary(), access, str(path)],
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        check=False,
    )
    return done.returncode == 0


def _lookup(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return None if entry.pw_uid == 0 else Account(name, entry.pw_uid, entry.pw_gid)


def _created() -> Account | None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        return None
    # initdb looks its own user up by name, so a bare unused uid is not enough.
    words = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    shell = ["--shell", "/usr/sbin/nologin", "--comment", "CityLedger embedded servers"]
    subprocess.run(  # noqa: S603 - fixed words, no shell
        [useradd, *words, *shell, ACCOUNT_NAME], check=False, capture_output=True
    )
    return _lookup(ACCOUNT_NAME)  # also right when another process created it first


def _fallback() -> Account:
    account = _lookup(FALLBACK_NAME)
    if account is None:
        raise UnavailableError(
            "PostgreSQL refuses to run as root and no unprivileged account can be created",
            fix=f"create one (useradd --system {ACCOUNT_NAME}) or run cityledger as a normal user",
            code="no_server_account",
        )
    return account


def _test_binary() -> str:
    return shutil.which("test", path="/usr/bin:/bin") or "/usr/bin/test"
