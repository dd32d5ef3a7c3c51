"""What Airflow's api-server carries along: nothing is built before it is asked for."""

from __future__ import annotations

import pytest
from cityledger.airflow.mounted import BuiltWhenAsked
from cityledger.airflow.plugin import CityLedgerPlugin
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


@pytest.mark.usefixtures("settings")  # the environment says the same
def test_the_mounted_collector_asks_for_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow protects no route of a plug-in: an open endpoint would take anybody's events."""
    # Its threads would outlive the test and its database.
    monkeypatch.setattr("cityledger.collector.service.Background.start", lambda _: None)
    app = FastAPI()
    for entry in CityLedgerPlugin.fastapi_apps:
        app.mount(str(entry["url_prefix"]), entry["app"])
    client = TestClient(app)
    assert client.get("/openlineage/api/v1/namespaces").status_code == 401
    assert client.post("/openlineage/api/v1/lineage", json={}).status_code == 401
