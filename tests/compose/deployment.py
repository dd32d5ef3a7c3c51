"""A deployment of the compose file in a temporary folder, as a city would set it up."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.compose.engine import PROJECT, Compose, SmokeError

WORKERS: Final = 2
_START_SECONDS = 900.0


@dataclass(frozen=True)
class Deployment:
    """One deployment.

    Attributes:
        drop: The folder where departments put their files.
        ca: The authority that its certificates are signed by.
        address: Of the proxy.
    """

    compose: Compose
    drop: Path
    ca: Path
    address: str

    def start(self) -> None:
        """Bring everything up and wait until every part says that it is well.

        Raises:
            SmokeError: A part ended, or is not well in time; with the end of its log.
        """
        self.compose.run("up", "--detach", "--no-build", "--scale", f"worker={WORKERS}")
        deadline = time.monotonic() + _START_SECONDS
        while unwell := self._unwell():
            if time.monotonic() > deadline:
                raise SmokeError(f"not well in time: {', '.join(unwell)}\n{self._told(unwell[0])}")
            time.sleep(3)

    def _unwell(self) -> list[str]:
        found = []
        for one in self.compose.containers():
            service, done = str(one["Service"]), one["State"] == "exited"
            if done and (service != "init" or one["ExitCode"] != 0):
                raise SmokeError(f"{service} ended ({one['ExitCode']}):\n{self._told(service)}")
            if not done and one["Health"] != "healthy":
                found.append(service)
        return found

    def _told(self, service: str) -> str:
        return self.compose.run("logs", "--tail", "40", "--no-log-prefix", service).stdout


@contextmanager
def deployment(project: str) -> Iterator[Deployment]:
    """Secrets, settings and an empty drop folder; everything is removed at the end.

    Args:
        project: Compose's name for it: containers, networks and volumes begin with it.
    """
    with tempfile.TemporaryDirectory(prefix="cityledger-compose-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o711)  # the containers' users pass through
        drop, secrets = folder / "drop", folder / "secrets"
        drop.mkdir(mode=0o755)
        script = str(PROJECT / "infra/docker/make-secrets.sh")
        subprocess.run([script, str(secrets), "localhost", "127.0.0.1"], check=True)
        port = _free_port()
        address = f"https://localhost:{port}"
        settings = {
            "COMPOSE_PROFILES": "postgres,valkey,s3",
            "COMPOSE_PROJECT_NAME": project,
            "CITYLEDGER_SECRETS_DIR": str(secrets),
            "CITYLEDGER_DROP_DIR": str(drop),
            "CITYLEDGER_PORT": str(port),
            "CITYLEDGER_BASE_URL": address,
            "CITYLEDGER_API_WORKERS": "1",
            "CITYLEDGER_WORKER_CONCURRENCY": "2",
            "CITYLEDGER_PARALLELISM": str(2 * WORKERS),
        }
        env_file = folder / "env"
        env_file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        compose = Compose(env_file)
        try:
            yield Deployment(compose, drop, secrets / "ca.pem", address)
        finally:
            compose.run("--profile", "*", "down", "--volumes", "--timeout", "20", check=False)


def readable(folder: Path) -> None:
    """Let the containers' user read what this user has put there."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent) / name
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
