"""Taking events: kept first, judged then, whatever they are; nothing for strangers."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from cityledger.collector.app import create_app
from cityledger.collector.tokens import Scope, TokenFile
from cityledger.collector.write import split_array
from cityledger.errors import BadInputError
from cityledger.settings import Settings
from cityledger.storage.database import Database
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from tests.unit.ledger.lineage_events import dataset, facet, run_event, run_id

EVENT = run_event("land", run=1, written=[dataset("raw", "v1")])


def _raws(database: Database) -> list[bytes]:
    with database.begin() as connection:
        rows = connection.scalars(text("SELECT raw FROM cityledger.lineage_event ORDER BY id"))
        return [bytes(one) for one in rows]


def test_bytes_are_kept_as_they_came(api: TestClient, database: Database) -> None:
    """Prevents a ledger whose hashes are of its own spelling instead of what was sent."""
    odd = EVENT.replace(b", ", b" ,\n\t")
    answer = api.post("/api/v1/lineage", content=odd)
    assert (answer.status_code, answer.json()["verdict"]) == (201, "valid")
    again = api.post("/api/v1/lineage", content=odd)
    assert again.json() == answer.json() | {"duplicate": True}
    assert _raws(database) == [odd]


NO_EVENTS = (
    (b"not json", "not JSON"),
    (b"\xff\xfe\x00", "not JSON"),
    (b"", "not JSON"),
    (b"[1, 2]", "not a JSON object"),
    (b'{"eventTime": NaN}', "not JSON"),
    (b"[" * 100_000, "not JSON"),
    (b'{"job": 1, "run": []}', "run"),
    (EVENT.replace(b"01961a00", b"zzzzzzzz"), "run.runId"),
    (EVENT.replace(b"+00:00", b""), "eventTime: a time needs an offset"),
    (EVENT.replace(b"COMPLETE", b"DONE"), "eventType"),
    (EVENT.replace(b'"job"', b'"jobs"'), "job: Field required"),
)


def test_what_is_no_event_is_kept_and_reported(api: TestClient, database: Database) -> None:
    """Prevents a malformed event from vanishing, or from stopping those after it."""
    hashes = []
    for body, reason in NO_EVENTS:
        answer = api.post("/api/v1/lineage", content=body)
        told = answer.json()
        assert (answer.status_code, told["verdict"]) == (400, "invalid"), body[:50]
        assert any(reason in one for one in told["reasons"]), told["reasons"]
        hashes.append(told["sha256"])
    assert api.post("/api/v1/lineage", content=EVENT).status_code == 201
    assert _raws(database) == [*(body for body, _ in NO_EVENTS), EVENT]
    listed = api.get("/api/v1/lineage/faulty").json()["events"]
    assert [one["sha256"] for one in reversed(listed)] == hashes
    assert {one["verdict"] for one in listed} == {"invalid"}
    assert api.get("/api/v1/namespaces/city/jobs").json()["totalCount"] == 1


def test_faulty_facet_costs_the_facet_only(api: TestClient) -> None:
    """Prevents one producer's broken custom facet from costing the lineage of its runs."""
    sent = dataset("raw", "v1", schema=facet(fields="none"), broken={"no": "producer"})
    answer = api.post("/api/v1/lineage", content=run_event("land", run=1, written=[sent]))
    assert (answer.status_code, answer.json()["verdict"]) == (201, "flawed")
    assert {one.partition(": ")[0] for one in answer.json()["reasons"]} == {
        "outputs.0.facets.schema.fields",
        "outputs.0.facets.broken._producer",
        "outputs.0.facets.broken._schemaURL",
    }
    shown = api.get("/api/v1/namespaces/s3%3A%2F%2Flake/datasets/raw").json()
    assert [*shown["facets"]] == ["version"]
    assert api.get("/api/v1/lineage/faulty").json()["events"][0]["verdict"] == "flawed"


def test_batch_judges_each_event_for_itself(api: TestClient, database: Database) -> None:
    """Prevents one bad event from costing a batch, or its sender from not knowing which."""
    spelled = EVENT.replace(b'"run"', b' "run" ', 1)
    body = b" [ " + spelled + b",\n" + b'{"x": 1}' + b" ," + EVENT + b"]\n"
    answer = api.post("/api/v1/lineage/batch", content=body)
    assert answer.status_code == 200
    told = answer.json()
    assert told["status"] == "partial_success"
    assert told["summary"] == {
        "received": 3,
        "successful": 2,
        "failed": 1,
        "retriable": 0,
        "non_retriable": 1,
    }
    assert [(one["index"], one["retriable"]) for one in told["failed_events"]] == [(1, False)]
    assert [one["verdict"] for one in told["events"]] == ["valid", "invalid", "valid"]
    assert _raws(database) == [spelled, b'{"x": 1}', EVENT]
    assert api.post("/api/v1/lineage/batch", content=b"[]").json()["status"] == "success"


def test_batch_that_is_no_array_is_kept_whole(api: TestClient, database: Database) -> None:
    """Prevents a batch cut off in transit from being taken in half."""
    body = b"[" + EVENT + b', {"cut'
    answer = api.post("/api/v1/lineage/batch", content=body)
    assert (answer.status_code, answer.json()["verdict"]) == (400, "invalid")
    assert _raws(database) == [body]


@given(st.lists(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5)))
def test_array_is_cut_where_its_elements_end(elements: list[Any]) -> None:
    """Prevents bytes that belong to a neighbour from entering an event's hash."""
    parts = [json.dumps(one, ensure_ascii=False).encode() for one in elements]
    assert split_array(b"[" + b" , ".join(parts) + b"]") == parts
    assert split_array(b"[" + b" ".join(parts or [b","]) + b",]") is None


def test_ten_megabytes_in_a_facet(api: TestClient, settings: Settings) -> None:
    """Prevents a generous producer from being refused, or from blocking the graph."""
    big = dataset("raw", "v1", sample=facet(text="长" * 3_500_000))
    sent = run_event("land", run=1, written=[big])
    assert len(sent) > 10_000_000
    assert api.post("/api/v1/lineage", content=sent).status_code == 201
    packed = api.post(
        "/api/v1/lineage",
        content=gzip.compress(EVENT),
        headers={"Content-Encoding": "gzip"},
    )
    assert packed.status_code == 201
    whole = api.get("/api/v1/namespaces/s3%3A%2F%2Flake/datasets/raw").json()
    assert len(whole["facets"]["sample"]["text"]) == 3_500_000
    listed = api.get("/api/v1/namespaces/s3%3A%2F%2Flake/datasets").json()["datasets"][0]
    assert "sample" not in listed["facets"]


def test_too_large_is_refused_before_it_is_read(settings: Settings, database: Database) -> None:
    """Prevents a request, or what a small one unpacks to, from filling the memory."""
    small = settings.model_copy(update={"collector_body_mb": 1})
    client = TestClient(create_app(small, allow=lambda _: frozenset(Scope)))
    body = b" " * (1024 * 1024 + 1)
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 100_000
    assert client.post("/api/v1/lineage", content=body).status_code == 413
    chunks = client.post("/api/v1/lineage", content=iter([body[:600_000]] * 2))
    assert chunks.status_code == 413
    zipped = {"Content-Encoding": "gzip"}
    assert client.post("/api/v1/lineage", content=bomb, headers=zipped).status_code == 413
    half = gzip.compress(EVENT)[:-9]
    assert client.post("/api/v1/lineage", content=half, headers=zipped).status_code == 400
    assert client.post("/api/v1/lineage", content=b"x", headers=zipped).status_code == 400
    other = {"Content-Encoding": "br"}
    assert client.post("/api/v1/lineage", content=b"x", headers=other).status_code == 415
    assert _raws(database) == []


def test_tokens_open_what_they_are_for(settings: Settings, database: Database) -> None:
    """Prevents strangers from writing lineage, and a writer's token from reading the city's."""
    tokens = TokenFile(settings.collector_tokens)
    client = TestClient(create_app(settings))

    def status(method: str, path: str, secret: str | None) -> int:
        headers = {"Authorization": f"Bearer {secret}".encode("latin-1")} if secret else {}
        return client.request(method, f"/api/v1{path}", headers=headers, content=EVENT).status_code

    assert status("POST", "/lineage", "cl_guess") == 401  # no token exists yet
    writer, reader = tokens.create("airflow", [Scope.WRITE]), tokens.create("bi", [Scope.READ])
    assert status("POST", "/lineage", None) == 401
    assert status("POST", "/lineage", reader) == 403
    assert status("POST", "/lineage", writer) == 201
    assert status("POST", "/lineage/batch", reader) == 403
    assert status("PUT", "/tags/x", reader) == 403
    assert status("GET", "/jobs", writer) == 403
    assert status("GET", "/jobs", reader) == 200
    assert status("GET", "/jobs", "é") == 401
    tokens.revoke("bi")
    assert status("GET", "/jobs", reader) == 401
    refused = client.get("/api/v1/jobs")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")

    kept = settings.collector_tokens.read_text()
    assert writer not in kept
    assert settings.collector_tokens.stat().st_mode & 0o777 == 0o600
    with pytest.raises(BadInputError, match="already"):
        tokens.create("airflow", [Scope.READ])
    settings.collector_tokens.write_text("{")
    with pytest.raises(BadInputError, match="cannot be read"):
        tokens.tokens()
    assert client.get("/api/v1/jobs", headers={"Authorization": "Bearer x"}).status_code == 400


def test_database_away_is_said(settings: Settings) -> None:
    """Prevents a producer from taking an error for a refusal and throwing its event away."""
    from pydantic import SecretStr

    away = settings.model_copy(update={"database_url": SecretStr("postgresql://u:p@127.0.0.1:1/d")})
    client = TestClient(create_app(away, allow=lambda _: frozenset(Scope)))
    answer = client.post("/api/v1/lineage", content=EVENT)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert run_id(1) not in answer.text


def test_declarations_are_bounded_before_anybody_is_asked_who_they_are(
    settings: Settings, database: Database
) -> None:
    """Prevents strangers from filling the memory of Airflow's api-server: JSON is read first."""
    client = TestClient(create_app(settings))
    body = b'{"ownerName": "' + b"x" * (8 << 20) + b'"}'
    json_type = {"Content-Type": "application/json"}
    for method, path in (
        ("PUT", "/api/v1/namespaces/n"),
        ("PUT", "/api/v1/namespaces/n/datasets/d"),
        ("POST", "/api/v1/namespaces/n/jobs/j/runs"),
    ):
        answer = client.request(method, path, content=body, headers=json_type)
        assert answer.status_code == 413, path
    assert client.put("/api/v1/namespaces/n", json={"ownerName": "x"}).status_code == 401
