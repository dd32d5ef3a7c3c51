"""What Airflow's api-server carries along: nothing is built before it is asked for."""

from __future__ import annotations

import pytest
from cityledger.airflow.mounted import BuiltWhenAsked
from cityledger.airflow.plugin import CityLedgerPlugin
from cityledger.settings import Settings
from fastapi import FastAPI
from starlette.testclient import TestClient


def test_an_application_is_built_at_its_first_request_and_once() -> None:
    """Every task's process loads the plug-in; none of them may pay for pages."""
    built: list[FastAPI] = []

    def build() -> FastAPI:
        app = FastAPI()
        app.get("/")(lambda: {"built": len(built)})
        built.append(app)
        return app

    mounted = FastAPI()
    mounted.mount("/x", BuiltWhenAsked(build))
    client = TestClient(mounted)
    assert built == []
    assert [client.get("/x/").json() for _ in range(2)] == [{"built": 1}] * 2


@pytest.mark.parametrize(
    ("path", "status"), [("/api/v1/namespaces", 401), ("/api/v1/lineage", 401)]
)
def test_the_mounted_collector_asks_for_a_token(settings: Settings, path: str, status: int) -> None:
    """Airflow protects no route of a plug-in: an open endpoint would take anybody's events."""
    del settings  # the environment says the same
    # Its threads would outlive the test and its database.
    monkeypatch.setattr("cityledger.collector.service.Background.start", lambda _: None)
    app = FastAPI()
    for entry in CityLedgerPlugin.fastapi_apps:
        app.mount(str(entry["url_prefix"]), entry["app"])
    client = TestClient(app)
    assert client.get(f"/openlineage{path}").status_code == status
    assert client.post(f"/openlineage{path}", json={}).status_code in (status, 405)
