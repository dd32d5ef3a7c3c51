"""Checks of Airflow, through its API."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
from cityledger.demo.airflow_client import AirflowClient
from cityledger.errors import CityLedgerError
from cityledger.settings import Settings

from cityledger_stack.airflow import health
from cityledger_stack.findings import Finding, finding
from cityledger_stack.plan import without_credentials

#: Without them nothing is signed and nobody examines what was.
_KEEPERS = ("ledger", "ledger_verify")
_SHOWN = 5


def airflow(settings: Settings) -> Iterator[Finding]:
    """Whether Airflow's parts are well, it can load every DAG, and the ledger's are on."""
    if settings.airflow_url is None:
        return
    url = settings.airflow_url.get_secret_value()
    where = without_credentials(url)
    parts = health(where)
    if not parts:
        fix = "cityledger logs api-server; for an external one check CITYLEDGER_AIRFLOW_URL"
        yield Finding("airflow", "problem", f"{where} does not answer", fix)
        return
    for name, healthy in parts.items():
        detail = "healthy" if healthy else "has not been heard of"
        yield finding(f"airflow {name}", healthy, detail, f"cityledger logs {name}")
    try:
        with AirflowClient(url) as client:
            yield from _dags(client)
    except (CityLedgerError, httpx.HTTPError) as error:
        what = error.what if isinstance(error, CityLedgerError) else type(error).__name__
        fix = "check user and password in CITYLEDGER_AIRFLOW_URL"
        yield Finding("airflow login", "problem", what, fix)


def _dags(client: AirflowClient) -> Iterator[Finding]:
    # The file alone: a stack trace may quote settings.
    errors = sorted({error.partition(": ")[0] for error in client.import_errors()})
    shown = ", ".join(errors[:_SHOWN]) + (" …" if len(errors) > _SHOWN else "")
    fix = "cityledger contract lint; the whole error is on Airflow's page Dags, Import Errors"
    yield finding("airflow DAGs", not errors, shown or "all can be loaded", fix)
    known, paused = client.dag_ids(), client.paused_dag_ids()
    for name in _KEEPERS:
        state = "is missing" if name not in known else "is paused" if name in paused else "is on"
        fix = f"unpause the DAG {name}: it keeps the ledger signed and examined"
        yield finding(f"airflow DAG {name}", state == "is on", state, fix, bad="warning")
