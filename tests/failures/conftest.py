"""Towns whose servers are killed, filled up and restarted; what they were to come to."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cityledger.demo.generate.generator import generate, key_path

from tests.failures.town import Town


@pytest.fixture(scope="session")
def extracts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of one day of the demo city."""
    drop = tmp_path_factory.mktemp("extracts") / "drop"
    generate(drop, scale=0.02, seed=1)
    return drop


@pytest.fixture(scope="module")
def town(extracts: Path) -> Iterator[Town]:
    """A town with a day's files; its servers are up again after each test that let them down."""
    folder = Path(tempfile.mkdtemp(prefix="cityledger-fail-"))
    folder.chmod(0o711)
    made = Town(folder / "town")
    try:
        made.start()
        made.prepare()
        shutil.copytree(extracts, made.drop_dir, dirs_exist_ok=True)
        shutil.copy(key_path(extracts), key_path(made.drop_dir))
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
