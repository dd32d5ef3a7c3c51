"""A changed contract is parsed at once, although DAG files are parsed rarely."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from airflow.models.dagbag import DagPriorityParsingRequest
from cityledger.airflow.bundle import READERS, ContractsBundle
from cityledger.settings import PROJECT_DIR
from sqlalchemy import Engine, create_engine, select
from sqlalchemy.orm import Session


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Stands in for Airflow's own database: the table of files that are to be parsed first."""
    engine = create_engine("sqlite://")
    DagPriorityParsingRequest.metadata.tables["dag_priority_parsing_request"].create(engine)

    @contextmanager
    def session() -> Iterator[Session]:
        with Session(engine) as opened:
            yield opened
            opened.commit()

    monkeypatch.setattr("airflow.utils.session.create_session", session)
    return engine


def requests(database: Engine) -> list[str]:
    """The files that were asked for."""
    with Session(database) as session:
        return sorted(session.scalars(select(DagPriorityParsingRequest.relative_fileloc)))


def test_only_a_change_asks_for_parsing(contracts: Path, database: Engine) -> None:
    """1,000 DAGs parsed every few seconds keep a processor busy; a new dataset must show soon."""
    bundle = ContractsBundle(name="dags-folder", path=str(PROJECT_DIR / "dags"))
    bundle.refresh()
    bundle.refresh()
    assert requests(database) == []
    contract = contracts / "hotline" / "tickets.odcs.yaml"
    for _ in range(2):  # the second change comes before the first request was served
        contract.write_text(contract.read_text("utf-8") + "\n# seen\n", "utf-8")
        bundle.refresh()
        assert requests(database) == sorted(READERS)
    contract.unlink()
    with Session(database) as session, session.begin():
        session.query(DagPriorityParsingRequest).delete()
    bundle.refresh()
    assert requests(database) == sorted(READERS)


def test_the_files_that_read_contracts_are_known() -> None:
    """A DAG file that reads contracts and is not asked for would be five minutes late."""
    texts = {path.name: path.read_text("utf-8") for path in (PROJECT_DIR / "dags").glob("*.py")}
    assert set(READERS) <= texts.keys()
    assert {name for name, text in texts.items() if "contract" in text} <= set(READERS)
