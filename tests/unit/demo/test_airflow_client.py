"""What the client makes of Airflow's answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import pytest
from cityledger.demo.airflow_client import AirflowClient, tail, wait_until
from cityledger.errors import CityLedgerError, UnavailableError
from cityledger.settings import Settings

Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler) -> AirflowClient:
    made = AirflowClient("http://admin:secret-word@127.0.0.1:1")
    made._http = httpx.Client(base_url=made.url, transport=httpx.MockTransport(handler))
    return made


def answering(path: str, answer: Any, status: int = 200) -> Handler:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "t"})
        assert request.url.path == path
        assert request.headers["Authorization"] == "Bearer t"
        return httpx.Response(status, json=answer)

    return handle


def test_all_pages_are_read() -> None:
    """With more than 100 DAGs the rest would seem to be missing."""

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "t"})
        begin, size = (int(request.url.params[name]) for name in ("offset", "limit"))
        dags = [
            {"dag_id": f"d{number}", "is_paused": number % 2 == 0, "has_import_errors": False}
            for number in range(begin, min(begin + size, 250))
        ]
        return httpx.Response(200, json={"dags": dags, "total_entries": 250})

    assert client(handle).dag_ids() == {f"d{number}" for number in range(250)}
    assert len(client(handle).paused_dag_ids()) == 125


def test_an_expired_session_is_renewed() -> None:
    """Airflow's tokens end; a day may be longer."""
    tokens = iter(["old", "new"])

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            assert json.loads(request.content) == {"username": "admin", "password": "secret-word"}
            return httpx.Response(201, json={"access_token": next(tokens)})
        if request.headers["Authorization"] == "Bearer old":
            return httpx.Response(401)
        return httpx.Response(200, json={"dag_run_id": "r1"})

    assert client(handle).trigger("d", "2026-03-31") == "r1"


def test_a_refusal_carries_airflows_reason() -> None:
    """A bare status code tells nobody that the partition key was wrong."""
    path = "/api/v2/dags/d/dagRuns"
    refusing = client(answering(path, {"detail": "'2026' is a year"}, 400))
    with pytest.raises(CityLedgerError, match="'2026' is a year") as caught:
        refusing.trigger("d", "2026")
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize("failure", ["refused", "login"])
def test_an_airflow_that_is_away_is_named_without_its_password(failure: str) -> None:
    """The address helps, the password must not get into a terminal's history."""

    def handle(request: httpx.Request) -> httpx.Response:
        if failure == "refused":
            raise httpx.ConnectError("connection refused")
        return httpx.Response(401, json={"detail": "bad"})

    with pytest.raises(UnavailableError) as caught:
        client(handle).dag_ids()
    assert "127.0.0.1:1" in caught.value.where
    assert "secret-word" not in str(caught.value)


def test_without_an_airflow_the_message_says_how_to_get_one() -> None:
    """The first thing that a new user runs into."""
    with pytest.raises(UnavailableError, match="cityledger up"):
        AirflowClient.from_settings(Settings(airflow_url=None))


def test_the_log_shows_the_errors_behind_its_lines() -> None:
    """Airflow keeps an exception's text beside the message; the excerpt needs both."""
    content = [
        {"event": "::group::Pre Execute"},
        "a plain line",
        {"event": "Task failed", "error_detail": [{"exc_type": "BadInputError", "exc_value": "x"}]},
        {"event": ""},
    ]
    path = "/api/v2/dags/d/dagRuns/r/taskInstances/t/logs/2"
    lines = client(answering(path, {"content": content})).log("d", "r", "t", 2)
    assert tail(lines, 2) == "a plain line\nTask failed BadInputError: x"


def test_waiting_ends() -> None:
    """A day that can't go on must not hang."""
    failure = CityLedgerError("it never happened")
    with pytest.raises(CityLedgerError, match="never"):
        wait_until(lambda: False, seconds=0.01, every=0.001, failure=failure)


def test_a_backfill_names_whole_days() -> None:
    """Airflow reads the bounds as moments; a bare date is refused."""
    asked: list[dict[str, Any]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": "t"})
        asked.append(json.loads(request.content))
        return httpx.Response(200, json={"id": 1})

    client(handle).backfill("d", date(2019, 12, 1), date(2020, 12, 8), max_active_runs=16)
    assert asked == [
        {
            "dag_id": "d",
            "from_date": "2019-12-01T00:00:00Z",
            "to_date": "2020-12-08T00:00:00Z",
            "max_active_runs": 16,
        }
    ]
