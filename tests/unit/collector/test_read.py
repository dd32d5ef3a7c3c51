"""Marquez's API: every method of its Python client, as the HTTP it speaks, works unchanged."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from cityledger.ledger.facts import DECLARES
from fastapi.testclient import TestClient

from tests.unit.ledger.lineage_events import (
    column_lineage,
    dataset,
    facet,
    minute,
    run_event,
    run_id,
    schema,
    whole_run,
)

# What a city's names are like, and what an attacker's are like.
SPACE = "s3://城市 lake/x"
NAME = "raw/2026-03-31/工单 & <script>alert(1)</script> %2F ..%2f?#.csv"


class MarquezHttp:
    """Speaks as the published client does: paths with every part quoted, JSON bodies."""

    def __init__(self, api: TestClient) -> None:
        self._api = api

    def call(self, method: str, path: str, *parts: str, **more: Any) -> Any:
        quoted = path.format(*(quote(part.encode(), safe="") for part in parts))
        answer = self._api.request(method, f"/api/v1{quoted}", **more)
        assert answer.status_code < 300, answer.text
        return answer.json()


@pytest.fixture
def marquez(api: TestClient) -> MarquezHttp:
    return MarquezHttp(api)


def _send(api: TestClient, *events: bytes) -> None:
    answer = api.post("/api/v1/lineage/batch", content=b"[" + b",".join(events) + b"]")
    assert answer.json()["status"] == "success", answer.text


def test_namespaces_sources_and_tags(marquez: MarquezHttp) -> None:
    """Prevents a client that sets up its names first from failing at once."""
    body = {"ownerName": "data office", "description": "描述"}
    made = marquez.call("PUT", "/namespaces/{}", SPACE, json=body)
    assert made == marquez.call("GET", "/namespaces/{}", SPACE)
    assert (made["name"], made["ownerName"], made["description"]) == (SPACE, "data office", "描述")
    page = {"limit": 100, "offset": 0}
    assert marquez.call("GET", "/namespaces", params=page)["namespaces"] == [made]
    again = marquez.call("PUT", "/namespaces/{}", SPACE, json={"ownerName": "other"})
    assert again["createdAt"] == made["createdAt"]
    assert again["ownerName"] == "other"

    source = {"type": "POSTGRESQL", "connectionUrl": "jdbc:postgresql://h/db"}
    made = marquez.call("PUT", "/sources/{}", "src:1", json=source)
    assert made == marquez.call("GET", "/sources/{}", "src:1")
    assert marquez.call("GET", "/sources", params=page)["sources"] == [made]
    assert made.items() >= {"name": "src:1", **source}.items()

    assert marquez.call("PUT", "/tags/{}", "PII", json={"description": None})["name"] == "PII"
    named = marquez.call("GET", "/tags", params={})["tags"]
    assert named == [{"name": "PII", "description": None}]


def test_datasets_are_declared_tagged_and_dropped(marquez: MarquezHttp) -> None:
    """Prevents names with slashes, quotes or scripts from getting lost between path and page."""
    body = {
        "type": "DB_TABLE",
        "physicalName": "public.x",
        "sourceName": "src:1",
        "description": "d",
        "fields": [{"name": "a", "type": "INT", "tags": ["PII"]}, {"name": "b", "type": "TEXT"}],
        "tags": ["one"],
    }
    here = (SPACE, NAME)
    made = marquez.call("PUT", "/namespaces/{}/datasets/{}", *here, json=body)
    assert made["id"] == {"namespace": SPACE, "name": NAME}
    assert (made["physicalName"], made["sourceName"], made["tags"]) == (
        "public.x",
        "src:1",
        ["one"],
    )
    assert [(one["name"], one["tags"]) for one in made["fields"]] == [("a", ["PII"]), ("b", [])]
    assert marquez.call("GET", "/namespaces/{}/datasets/{}", *here) == made
    listed = marquez.call("GET", "/namespaces/{}/datasets", SPACE)
    assert (listed["datasets"], listed["totalCount"]) == ([made], 1)

    tagged = marquez.call("POST", "/namespaces/{}/datasets/{}/tags/{}", *here, "two", json=None)
    assert tagged["tags"] == ["one", "two"]
    path = "/namespaces/{}/datasets/{}/fields/{}/tags/{}"
    tagged = marquez.call("POST", path, *here, "b", "PII", json=None)
    assert [one["tags"] for one in tagged["fields"]] == [["PII"], ["PII"]]
    gone = marquez.call("DELETE", "/namespaces/{}/datasets/{}", *here)
    assert (gone["deleted"], gone["lastLifecycleState"]) == (True, "DROP")
    assert marquez.call("GET", "/namespaces/{}/datasets", SPACE)["datasets"][0]["deleted"]


def test_jobs_and_runs_are_declared_and_marked(marquez: MarquezHttp) -> None:
    """Prevents the client's old way of telling runs from leaving no trace in the ledger."""
    body = {
        "type": "BATCH",
        "inputs": [{"namespace": SPACE, "name": NAME}],
        "outputs": [{"namespace": SPACE, "name": "out"}],
        "location": "https://code.example/x",
        "context": {"SQL": "select 1"},
    }
    job = marquez.call("PUT", "/namespaces/{}/jobs/{}", "city", "a/b.c", json=body)
    assert (job["inputs"], job["outputs"]) == (body["inputs"], body["outputs"])
    assert (job["location"], job["facets"]["sql"]["query"]) == (body["location"], "select 1")
    assert marquez.call("GET", "/namespaces/{}/jobs/{}", "city", "a/b.c") == job
    assert marquez.call("GET", "/namespaces/{}/jobs", "city")["jobs"] == [job]

    times = {"nominalStartTime": "2026-03-31T00:00:00Z", "args": {"email": "x", "n": 1}}
    run = marquez.call("POST", "/namespaces/{}/jobs/{}/runs", "city", "a/b.c", json=times)
    assert (run["state"], run["nominalStartTime"]) == ("NEW", "2026-03-31T00:00:00Z")
    at = {"at": "2026-04-01T00:00:00.000000Z"}
    assert marquez.call("POST", "/jobs/runs/{}/start", run["id"], params=at)["state"] == "RUNNING"
    at = {"at": "2026-04-01T00:00:05.000000Z"}
    done = marquez.call("POST", "/jobs/runs/{}/complete", run["id"], params=at)
    assert (done["state"], done["durationMs"]) == ("COMPLETED", 5000)
    for action, state in (("fail", "FAILED"), ("abort", "ABORTED")):
        more = marquez.call("POST", "/namespaces/{}/jobs/{}/runs", "city", "a/b.c", json={})
        ended = marquez.call("POST", f"/jobs/runs/{{}}/{action}", more["id"])
        assert ended["state"] == state
    table = {"type": "DB_TABLE", "physicalName": "o", "sourceName": "s", "runId": run["id"]}
    marquez.call("PUT", "/namespaces/{}/datasets/{}", SPACE, "out", json=table)
    shown = marquez.call("GET", "/jobs/runs/{}", run["id"])
    assert [one["datasetVersionId"]["name"] for one in shown["outputDatasetVersions"]] == ["out"]
    runs = marquez.call("GET", "/namespaces/{}/jobs/{}/runs", "city", "a/b.c")
    assert runs["totalCount"] == 3
    assert {one["state"] for one in runs["runs"]} == {"COMPLETED", "FAILED", "ABORTED"}
    latest = marquez.call("GET", "/namespaces/{}/jobs/{}", "city", "a/b.c")
    assert len(latest["latestRuns"]) == 3
    facets = marquez.call("GET", "/jobs/runs/{}/facets", run["id"], params={"type": "run"})
    assert facets["facets"]["executionParameters"]["parameters"][1] == {"key": "n", "value": "1"}


def test_lineage_columns_versions_and_events(api: TestClient, marquez: MarquezHttp) -> None:
    """Prevents the graph from having other edges than Marquez's pages draw."""
    lined = dataset(
        "core", "7", schema=schema("total"), columnLineage=column_lineage(total=[("raw", "amount")])
    )
    _send(
        api,
        *whole_run("land", run=1, at=0, written=[dataset("raw", "v1", schema=schema("amount"))]),
        *whole_run("model", run=2, at=5, read=[dataset("raw", "v1")], written=[lined]),
    )
    node = {"nodeId": "dataset:s3://lake:raw", "depth": 20}
    graph = {one["id"]: one for one in marquez.call("GET", "/lineage", params=node)["graph"]}
    assert graph.keys() == {
        "dataset:s3://lake:raw",
        "dataset:s3://lake:core",
        "job:city:land",
        "job:city:model",
    }
    raw = graph["dataset:s3://lake:raw"]
    assert raw["type"] == "DATASET"
    assert raw["inEdges"] == [{"origin": "job:city:land", "destination": "dataset:s3://lake:raw"}]
    assert raw["outEdges"] == [{"origin": "dataset:s3://lake:raw", "destination": "job:city:model"}]
    assert [one["name"] for one in raw["data"]["fields"]] == ["amount"]
    model = graph["job:city:model"]
    assert model["data"]["latestRun"]["state"] == "COMPLETED"
    assert model["data"]["inputs"] == [{"namespace": "s3://lake", "name": "raw"}]
    past = node | {"asOf": minute(2).isoformat()}
    assert len(marquez.call("GET", "/lineage", params=past)["graph"]) == 2

    field = {"nodeId": "datasetField:s3://lake:core:total", "depth": 20, "withDownstream": False}
    for start in ("datasetField:s3://lake:core:total", "dataset:s3://lake:core", "job:city:model"):
        columns = marquez.call("GET", "/column-lineage", params=field | {"nodeId": start})["graph"]
        named = {one["id"]: one for one in columns}
        assert named.keys() == {
            "datasetField:s3://lake:core:total",
            "datasetField:s3://lake:raw:amount",
        }
        (source,) = named["datasetField:s3://lake:core:total"]["data"]["inputFields"]
        assert (source["dataset"], source["field"]) == ("raw", "amount")

    here = ("s3://lake", "core")
    versions = marquez.call("GET", "/namespaces/{}/datasets/{}/versions", *here)["versions"]
    (version,) = versions
    assert (version["datasetVersion"], version["createdByRun"]["id"]) == ("7", run_id(2))
    path = "/namespaces/{}/datasets/{}/versions/{}"
    for name in (version["version"], "7"):
        assert marquez.call("GET", path, *here, name) == version
    upstream = marquez.call("GET", "/runlineage/upstream", params={"runId": run_id(2)})["runs"]
    assert [one["run"]["id"] for one in upstream] == [run_id(2), run_id(1)]
    assert upstream[0]["inputs"][0]["producedByRunId"] == run_id(1)

    found = marquez.call("GET", "/search", params={"q": "COR", "filter": "dataset"})
    assert [one["nodeId"] for one in found["results"]] == ["dataset:s3://lake:core"]
    events = marquez.call("GET", "/events/lineage", params={"sortDirection": "asc", "limit": 1})
    assert (events["totalCount"], events["events"][0]["run"]["runId"]) == (4, run_id(1))
    assert marquez.call("GET", "/events/{}", "city")["totalCount"] == 4
    assert marquez.call("GET", "/events/{}", "nobody")["events"] == []


def test_partial_is_said(api: TestClient, marquez: MarquezHttp) -> None:
    """Prevents a graph with a hole from passing for a whole one."""
    declared = {DECLARES: facet(outputs=[{"namespace": "s3://lake", "name": "core"}])}
    _send(
        api,
        run_event("model", "START", run=1, run_facets=declared),
        run_event("model", run=1, at=1, read=[dataset("raw")]),
    )
    answer = marquez.call("GET", "/lineage", params={"nodeId": "dataset:s3://lake:raw"})
    assert answer["partial"]
    (run,) = answer["incompleteRuns"]
    gap = {"code": "output_missing", "namespace": "s3://lake", "name": "core"}
    assert (run["id"], run["gaps"]) == (run_id(1), [gap])
    listed = marquez.call("GET", "/lineage/incomplete")
    assert (listed["totalCount"], listed["runs"]) == (1, [run])
    assert marquez.call("GET", "/jobs/runs/{}", run_id(1))["gaps"] == [gap]


UNKNOWN = (
    "/namespaces/nobody",
    "/namespaces/nobody/jobs/x",
    "/namespaces/nobody/datasets/x",
    "/namespaces/nobody/datasets/x/versions",
    f"/jobs/runs/{run_id(99)}",
    "/lineage?nodeId=dataset:nobody:knows",
    "/lineage?nodeId=%00",
    "/column-lineage?nodeId=datasetField:a:b:c",
    "/sources/none",
)
UNANSWERABLE = (
    "/search?q=x&after=2026-99-99",
    "/lineage?nodeId=job:a:b&depth=-1",
    "/lineage?nodeId=job:a:b&asOf=never",
    "/jobs?limit=1000000",
    "/lineage",
)


def test_unknown_is_404_and_unanswerable_422(api: TestClient) -> None:
    """Prevents an empty answer, or a stack trace, where a name or a question is mistyped."""
    for path in UNKNOWN:
        assert api.get(f"/api/v1{path}").status_code == 404, path
    for path in UNANSWERABLE:
        assert api.get(f"/api/v1{path}").status_code == 422, path


def test_hostile_names_come_back_as_data(api: TestClient) -> None:
    """Prevents a name from becoming markup, a path or another field of the answer."""
    hostile = '"}],"graph":[],"x":"</script><script>alert(1)</script>'
    event = json.loads(run_event("x", run=1, written=[dataset("x")]))
    event["job"]["name"] = event["outputs"][0]["name"] = hostile
    _send(api, json.dumps(event).encode())
    answer = api.get("/api/v1/lineage", params={"nodeId": f"job:city:{hostile}"})
    assert answer.headers["content-type"] == "application/json"
    assert {one["data"]["name"] for one in answer.json()["graph"]} == {hostile}
    quoted = quote(hostile, safe="")
    shown = api.get(f"/api/v1/namespaces/city/jobs/{quoted}/runs").json()
    assert shown["totalCount"] == 1


def test_routes_are_documented(api: TestClient) -> None:
    """Prevents a route that nobody can find, or whose answer is not described."""
    document = api.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            assert route["description"], (method, path)
            good = next(answer for code, answer in route["responses"].items() if code[0] == "2")
            assert good.get("content") or path.startswith("/api/v1/events"), (method, path)
