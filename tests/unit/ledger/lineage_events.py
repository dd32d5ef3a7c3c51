"""Makes lineage events for tests; every name in them is invented."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

_START = datetime(2026, 4, 1, 8, 0, tzinfo=UTC)
_URN = {"_producer": "urn:test", "_schemaURL": "urn:test:facet"}


def facet(**content: Any) -> dict[str, Any]:
    """A facet with what every facet needs."""
    return _URN | content


def run_id(number: int) -> str:
    """The id of a test's n-th run."""
    return f"01961a00-0000-7000-8000-{number:012d}"


def minute(number: float) -> datetime:
    """So many minutes after the tests' beginning of time."""
    return _START + timedelta(minutes=number)


def dataset(name: str, version: str | None = None, **facets: Any) -> dict[str, Any]:
    """A dataset of namespace ``s3://lake``."""
    if version is not None:
        facets["version"] = facet(datasetVersion=version)
    return {"namespace": "s3://lake", "name": name, "facets": facets}


def schema(*columns: str) -> dict[str, Any]:
    """A schema facet with text columns."""
    return facet(fields=[{"name": one, "type": "VARCHAR"} for one in columns])


def column_lineage(**columns: list[tuple[str, str]]) -> dict[str, Any]:
    """A column lineage facet: target column to ``(dataset, column)`` pairs."""
    return facet(
        fields={
            target: {
                "inputFields": [
                    {
                        "namespace": "s3://lake",
                        "name": source,
                        "field": column,
                        "transformations": [{"type": "DIRECT", "subtype": "IDENTITY"}],
                    }
                    for source, column in sources
                ]
            }
            for target, sources in columns.items()
        }
    )


def run_event(
    job: str,
    kind: str | None = "COMPLETE",
    *,
    run: int = 1,
    at: float = 0,
    read: list[dict[str, Any]] | None = None,
    written: list[dict[str, Any]] | None = None,
    run_facets: dict[str, Any] | None = None,
    job_facets: dict[str, Any] | None = None,
) -> bytes:
    """A run event of namespace ``city``."""
    event: dict[str, Any] = {
        "eventTime": minute(at).isoformat(),
        "producer": "urn:test",
        "schemaURL": "urn:test:event",
        "run": {"runId": run_id(run), "facets": run_facets or {}},
        "job": {"namespace": "city", "name": job, "facets": job_facets or {}},
        "inputs": read or [],
        "outputs": written or [],
    }
    if kind is not None:
        event["eventType"] = kind
    return json.dumps(event, ensure_ascii=False).encode()


def whole_run(
    job: str,
    *,
    run: int,
    at: float = 0,
    read: list[dict[str, Any]] | None = None,
    written: list[dict[str, Any]] | None = None,
    **more: Any,
) -> list[bytes]:
    """START and COMPLETE of a run that takes a minute."""
    return [
        run_event(job, "START", run=run, at=at, **more),
        run_event(job, "COMPLETE", run=run, at=at + 1, read=read, written=written),
    ]
