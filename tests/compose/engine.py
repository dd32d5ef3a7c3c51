"""The Docker engine and Compose, by their command lines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
COMPOSE = Path(sys.executable).with_name("docker-compose")
_NEEDS = (
    "make compose-smoke needs a Docker engine (20.10 or newer) that this user may use, by its"
    " socket or by DOCKER_HOST; docs/deployment.md says how to start one by hand."
)


class SmokeError(Exception):
    """The smoke run cannot go on; the text says why and what to do."""


def environ() -> dict[str, str]:
    """What the command lines are given: nothing of CityLedger's own settings."""
    foreign = {name: value for name, value in os.environ.items() if "CITYLEDGER" not in name}
    return {**foreign, "DOCKER_BUILDKIT": "1"}


def docker(
    *words: str, check: bool = True, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``docker …`` (another program by the variable ``DOCKER``).

    Raises:
        SmokeError: It failed, and ``check`` is set.
    """
    return _run([_program(), *words], check=check, stdin=stdin)


def require() -> str:
    """The engine's version.

    Raises:
        SmokeError: There is no engine, or no Compose.
    """
    if not COMPOSE.exists():
        raise SmokeError(f"{COMPOSE} is missing: make setup")
    done = docker("version", "--format", "{{.Server.Version}}", check=False)
    if done.returncode != 0:
        raise SmokeError(f"{_NEEDS}\ndocker says: {done.stderr.strip()}")
    return done.stdout.strip()


def has_image(name: str) -> bool:
    """Whether the engine has an image."""
    return docker("image", "inspect", name, check=False).returncode == 0


class Compose:
    """``docker compose`` on the project's file, with settings of its own."""

    def __init__(self, env_file: Path) -> None:
        self._words = [str(COMPOSE), "--env-file", str(env_file)]

    def run(
        self, *words: str, check: bool = True, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run ``docker compose …``.

        Raises:
            SmokeError: It failed, and ``check`` is set.
        """
        return _run([*self._words, *words], check=check, stdin=stdin)

    def containers(self) -> list[dict[str, Any]]:
        """Every container, those that ended among them: Name, Service, State, Health, ExitCode."""
        lines = self.run("ps", "--all", "--format", "json").stdout.splitlines()
        return [json.loads(line) for line in lines if line.strip()]

    def tool(self, script: Path, *arguments: str) -> Any:
        """Run a Python file in the service ``tools`` and read the JSON that it prints last."""
        words = ("run", "--rm", "-T", "--no-deps", "tools", "python", "-", *arguments)
        done = self.run("--profile", "tools", *words, stdin=script.read_text("utf-8"))
        return json.loads(done.stdout.splitlines()[-1])


def inspect(containers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the engine knows of containers."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", *_names(containers)).stdout)
    return found


def _names(containers: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(one["Name"]) for one in containers]


def _program() -> str:
    return os.environ.get("DOCKER") or shutil.which("docker") or "docker"


def _run(words: list[str], *, check: bool, stdin: str | None) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            words, cwd=PROJECT, env=environ(), input=stdin, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise SmokeError(f"{_NEEDS}\nthere is no program {words[0]}") from None
    if check and done.returncode != 0:
        told = (done.stdout + done.stderr).strip()[-3000:]
        raise SmokeError(f"`{' '.join(words)[:200]}` ended with {done.returncode}:\n{told}")
    return done
