"""A collector on a database of the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cityledger.collector.app import create_app
from cityledger.collector.tokens import Scope
from cityledger.settings import Settings
from cityledger.storage.database import Database
from fastapi.testclient import TestClient


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    made = Database.from_settings(settings)
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def api(settings: Settings, database: Database) -> Iterator[TestClient]:
    """A client of a running collector that lets everybody in."""
    with TestClient(create_app(settings, allow=lambda _: frozenset(Scope))) as client:
        yield client
