"""DAGs are parsed as Airflow's DAG processor does it; neither a server nor a database is needed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Airflow reads these when it is first imported, and writes a configuration file into its home.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="cityledger-airflow-"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")

from airflow.dag_processing.dagbag import DagBag
from cityledger.settings import PROJECT_DIR, get_settings

Parse = Callable[[], DagBag]


@pytest.fixture
def contracts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the project's contracts that a test may spoil, and a home of its own."""
    copy = tmp_path / "contracts"
    shutil.copytree(PROJECT_DIR / "contracts", copy)
    monkeypatch.setenv("CITYLEDGER_CONTRACTS_DIR", str(copy))
    monkeypatch.setenv("CITYLEDGER_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    yield copy
    get_settings.cache_clear()


@pytest.fixture
def parse(contracts: Path) -> Parse:
    """Parse the project's DAG files with those contracts."""
    return lambda: DagBag(str(PROJECT_DIR / "dags"), bundle_name="dags")


@pytest.fixture
def no_parsing_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the DAG processor: no particular DAG is wanted."""
    monkeypatch.delenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", raising=False)
