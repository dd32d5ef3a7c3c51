"""A city with extracts, a receiver of traces, and the command line as a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cityledger.demo.generate.generator import generate, key_path
from cityledger.settings import Settings

from tests.observability.receiver import Receiver, receiving

Command = Callable[..., subprocess.CompletedProcess[str]]

#: OpenTelemetry keeps one provider for a process's life, so whatever traces is a process here.
_KEY = "generated for tests, stands for nobody's"
_MAIN = "from cityledger.cli.main import main; main()"


@pytest.fixture(scope="session")
def small_city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Extracts of a small generated city."""
    drop = tmp_path_factory.mktemp("observed") / "drop"
    generate(drop, scale=0.01, seed=1)
    return drop


@pytest.fixture
def delivered(ready_settings: Settings, small_city: Path) -> Settings:
    """Settings whose drop folder holds the extracts."""
    shutil.copytree(small_city, ready_settings.drop_dir, dirs_exist_ok=True)
    shutil.copy(key_path(small_city), key_path(ready_settings.drop_dir))
    return ready_settings


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A local receiver of OTLP."""
    with receiving() as one:
        yield one


@pytest.fixture
def command(delivered: Settings) -> Command:
    """Run ``cityledger …``; keyword arguments are added to its environment."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", _MAIN, *arguments],
            env={**os.environ, "CITYLEDGER_PSEUDONYM_KEY": _KEY, **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run
