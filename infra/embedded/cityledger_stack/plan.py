"""What is embedded and what is somebody else's: one variable moves a part out of the stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

DATABASE = "CITYLEDGER_DATABASE_URL"
OBJECTS = "CITYLEDGER_S3_URL"
PSEUDONYM_KEY = "CITYLEDGER_PSEUDONYM_KEY"
AIRFLOW = "CITYLEDGER_AIRFLOW_URL"
AIRFLOW_DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"

AIRFLOW_PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")
PARTS = ("postgres", "s3", *AIRFLOW_PARTS)


@dataclass(frozen=True)
class Plan:
    """Which parts this stack starts; the URLs are those that the environment gives."""

    database_url: str | None
    s3_url: str | None
    airflow_database_url: str | None
    airflow_url: str | None
    with_airflow: bool

    @classmethod
    def from_environment(cls, *, airflow: bool, environ: Mapping[str, str] | None = None) -> Plan:
        """Read the plan from the environment (default: this process's)."""
        env = os.environ if environ is None else environ
        return cls(
            database_url=env.get(DATABASE) or None,
            s3_url=env.get(OBJECTS) or None,
            airflow_database_url=env.get(AIRFLOW_DATABASE) or None,
            airflow_url=env.get(AIRFLOW) or None,
            with_airflow=airflow,
        )

    @property
    def runs_airflow(self) -> bool:
        """Whether Airflow's own processes are started."""
        return self.with_airflow and self.airflow_url is None

    @property
    def runs_postgres(self) -> bool:
        """Whether anybody needs the embedded database server."""
        for_airflow = self.runs_airflow and self.airflow_database_url is None
        return self.database_url is None or for_airflow

    @property
    def runs_s3(self) -> bool:
        """Whether the embedded object store is started."""
        return self.s3_url is None

    def external(self) -> dict[str, str]:
        """Parts that somebody else runs, with their addresses (no credentials)."""
        airflow = self.airflow_url if self.with_airflow else None
        given: dict[str, str | None] = dict.fromkeys(AIRFLOW_PARTS, airflow)
        given["s3"] = self.s3_url
        if not self.runs_postgres:
            given["postgres"] = self.database_url
        return {part: without_credentials(url) for part, url in given.items() if url}

    def embedded(self) -> tuple[str, ...]:
        """The parts that this stack runs, in the order of their start."""
        runs = {"postgres": self.runs_postgres, "s3": self.runs_s3}
        return tuple(part for part in PARTS if runs.get(part, self.runs_airflow))


def without_credentials(url: str) -> str:
    """A URL that may be shown: scheme, host and port."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}"
