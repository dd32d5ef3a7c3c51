"""Airflow's REST API (v2), as far as a day of the demo city needs it."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from cityledger.errors import CityLedgerError, UnavailableError
from cityledger.settings import Settings

_TIMEOUT_SECONDS = 30.0
_PAGE = 100


class AirflowClient:
    """A signed-in user of one Airflow.

    Args:
        url: ``http[s]://user:password@host:port`` of the api-server.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.url = f"{parts.scheme}://{parts.hostname}:{parts.port}{parts.path.rstrip('/')}"
        self._credentials = {"username": parts.username or "", "password": parts.password or ""}
        # trust_env off: a proxy of the city's network must not get to see a loopback address
        self._http = httpx.Client(
            base_url=self.url,
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
            # Python's own choice of authorities: SSL_CERT_FILE names an installation's own.
            verify=ssl.create_default_context() if parts.scheme == "https" else False,
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The Airflow of the settings.

        Raises:
            UnavailableError: no Airflow is set up.
        """
        if settings.airflow_url is None:
            raise UnavailableError(
                "no Airflow is known",
                fix="start the stack with `cityledger up`, or set CITYLEDGER_AIRFLOW_URL",
                code="no_airflow",
            )
        return cls(settings.airflow_url.get_secret_value())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    # --- DAGs ---

    def dag_ids(self) -> set[str]:
        """The DAGs that Airflow knows and can run."""
        return {dag["dag_id"] for dag in self._dags() if not dag["has_import_errors"]}

    def paused_dag_ids(self) -> set[str]:
        """The DAGs that start no task at present."""
        return {dag["dag_id"] for dag in self._dags() if dag["is_paused"]}

    def import_errors(self) -> list[str]:
        """What Airflow could not load, as ``file: error``."""
        errors = self._all("/api/v2/importErrors", "import_errors")
        return [f"{error['filename']}: {error['stack_trace']}" for error in errors]

    def pause(self, dag_id: str, paused: bool) -> None:
        """Pause or unpause a DAG."""
        self._call("PATCH", f"/api/v2/dags/{quote(dag_id)}", json={"is_paused": paused})

    # --- runs ---

    def trigger(self, dag_id: str, partition: str | None = None) -> str:
        """Start a run and return its id."""
        body = {"logical_date": None, "partition_key": partition}
        run = self._call("POST", f"/api/v2/dags/{quote(dag_id)}/dagRuns", json=body)
        return str(run["dag_run_id"])

    def backfill(self, dag_id: str, first: date, last: date, *, max_active_runs: int) -> None:
        """Start a run for every partition in a range of days that has none yet."""
        body = {
            "dag_id": dag_id,
            "from_date": f"{first}T00:00:00Z",
            "to_date": f"{last}T00:00:00Z",
            "max_active_runs": max_active_runs,
        }
        self._call("POST", "/api/v2/backfills", json=body)

    def runs(self, since: str) -> list[dict[str, Any]]:
        """The runs of all DAGs that are due after a time (ISO 8601), oldest first."""
        path = "/api/v2/dags/~/dagRuns"
        return self._all(path, "dag_runs", run_after_gte=since, order_by="run_after")

    def tasks(self, since: str) -> list[dict[str, Any]]:
        """The task instances of those runs."""
        path = "/api/v2/dags/~/dagRuns/~/taskInstances"
        return self._all(path, "task_instances", run_after_gte=since)

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int) -> list[str]:
        """The messages of one attempt of a task."""
        path = (
            f"/api/v2/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}"
            f"/taskInstances/{quote(task_id)}/logs/{attempt}"
        )
        content = self._call("GET", path, params={"full_content": "true"})["content"]
        return [_message(entry) for entry in content]

    def asset_events(self, since: str) -> list[dict[str, Any]]:
        """Updates of assets after a time (ISO 8601)."""
        return self._all("/api/v2/assets/events", "asset_events", timestamp_gte=since)

    # --- people ---

    def questions(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """What a run waits to be told by a person, answered or not."""
        return self._all(
            f"/api/v2/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}/hitlDetails", "hitl_details"
        )

    def answer(
        self, dag_id: str, run_id: str, task_id: str, option: str, inputs: dict[str, Any]
    ) -> None:
        """Answer a waiting task."""
        path = (
            f"/api/v2/dags/{quote(dag_id)}/dagRuns/{quote(run_id)}"
            f"/taskInstances/{quote(task_id)}/-1/hitlDetails"
        )
        self._call("PATCH", path, json={"chosen_options": [option], "params_input": inputs})

    # --- plumbing ---

    def _dags(self) -> list[dict[str, Any]]:
        return self._all("/api/v2/dags", "dags", exclude_stale=True)

    def _all(self, path: str, key: str, **params: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = self._call("GET", path, params={**params, "limit": _PAGE, "offset": len(found)})
            found += page[key]
            if not page[key] or len(found) >= page.get("total_entries", 0):
                return found

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        response = self._send(method, path, **options)
        if response.is_error:
            raise CityLedgerError(
                f"Airflow refused {method} {path}: {response.status_code} {_detail(response)}",
                where=self.url,
                code="airflow_refused",
            )
        return dict(response.json())

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            if "Authorization" not in self._http.headers:
                self._sign_in()
            response = self._http.request(method, path, **options)
            if response.status_code == httpx.codes.UNAUTHORIZED:
                self._sign_in()
                response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise UnavailableError(
                f"Airflow does not answer ({type(error).__name__})",
                where=self.url,
                fix="look at `cityledger status` and `cityledger logs api-server`",
                code="airflow_unavailable",
            ) from error
        return response

    def _sign_in(self) -> None:
        response = self._http.post("/auth/token", json=self._credentials)
        if response.is_error:
            raise UnavailableError(
                f"Airflow does not let user '{self._credentials['username']}' in",
                where=self.url,
                fix="check the user and password in CITYLEDGER_AIRFLOW_URL",
                code="airflow_login",
            )
        self._http.headers["Authorization"] = f"Bearer {response.json()['access_token']}"


def wait_until(
    condition: Callable[[], bool], *, seconds: float, every: float, failure: CityLedgerError
) -> None:
    """Ask again and again.

    Raises:
        CityLedgerError: ``failure``, when the time is over.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise failure
        time.sleep(every)


def tail(lines: Iterable[str], count: int) -> str:
    """The last lines that say something."""
    return "\n".join([line for line in lines if line.strip()][-count:])


def _message(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    details = entry.get("error_detail") or ()
    causes = [f"{detail.get('exc_type')}: {detail.get('exc_value')}" for detail in details]
    return " ".join([str(entry.get("event", "")), *causes])


def _detail(response: httpx.Response) -> str:
    try:
        return str(response.json().get("detail", ""))
    except ValueError:
        return response.text[:200]
