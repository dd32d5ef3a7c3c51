"""What is embedded and what is somebody else's: one variable moves a part out of the stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from cityledger.errors import BadInputError

DATABASE = "CITYLEDGER_DATABASE_URL"
OBJECTS = "CITYLEDGER_S3_URL"
PSEUDONYM_KEY = "CITYLEDGER_PSEUDONYM_KEY"
BUCKET_PREFIX = "CITYLEDGER_BUCKET_PREFIX"
AIRFLOW = "CITYLEDGER_AIRFLOW_URL"
AIRFLOW_DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
BROKER = "CITYLEDGER_BROKER_URL"
WORKERS = "CITYLEDGER_WORKERS"

#: More on one machine is a mistake in writing; more machines have a stack of their own kind.
MOST_WORKERS = 32

AIRFLOW_PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")
#: The parts of a stack without workers.
PARTS = ("postgres", "s3", *AIRFLOW_PARTS)
BROKER_PART, LOGS_PART = "redis", "worker-logs"


@dataclass(frozen=True)
class Plan:
    """Which parts this stack starts; the URLs are those that the environment gives.

    Attributes:
        workers: Celery workers; with none, the scheduler runs the tasks itself (LocalExecutor).
    """

    database_url: str | None
    s3_url: str | None
    airflow_database_url: str | None
    airflow_url: str | None
    with_airflow: bool
    workers: int = 0
    broker_url: str | None = None

    @classmethod
    def from_environment(
        cls,
        *,
        airflow: bool,
        workers: int | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Plan:
        """Read the plan from the environment (default: this process's).

        Args:
            airflow: Whether Airflow is wanted.
            workers: How many Celery workers; None asks the environment.
            environ: Instead of this process's.

        Raises:
            BadInputError: The number of workers is none.
        """
        env = os.environ if environ is None else environ
        return cls(
            database_url=env.get(DATABASE) or None,
            s3_url=env.get(OBJECTS) or None,
            airflow_database_url=env.get(AIRFLOW_DATABASE) or None,
            airflow_url=env.get(AIRFLOW) or None,
            with_airflow=airflow,
            workers=wanted_workers(env) or 0 if workers is None else _checked(workers),
            broker_url=env.get(BROKER) or None,
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
    def runs_workers(self) -> bool:
        """Whether tasks go through a queue to workers."""
        return self.runs_airflow and self.workers > 0

    @property
    def runs_broker(self) -> bool:
        """Whether the embedded message broker is started."""
        return self.runs_workers and self.broker_url is None

    @property
    def runs_s3(self) -> bool:
        """Whether the embedded object store is started."""
        return self.s3_url is None

    def external(self) -> dict[str, str]:
        """Parts that somebody else runs, with their addresses (no credentials)."""
        airflow = self.airflow_url if self.with_airflow else None
        given: dict[str, str | None] = dict.fromkeys(AIRFLOW_PARTS, airflow)
        given["s3"] = self.s3_url
        given[BROKER_PART] = self.broker_url if self.runs_workers else None
        if not self.runs_postgres:
            given["postgres"] = self.database_url
        return {part: without_credentials(url) for part, url in given.items() if url}

    def embedded(self) -> tuple[str, ...]:
        """The parts that this stack runs, in the order of their start."""
        servers = {
            "postgres": self.runs_postgres,
            "s3": self.runs_s3,
            BROKER_PART: self.runs_broker,
        }
        airflow = AIRFLOW_PARTS if self.runs_airflow else ()
        return (*(part for part, runs in servers.items() if runs), *airflow, *self.worker_parts())

    def worker_parts(self) -> tuple[str, ...]:
        """The workers and the server of their logs."""
        if not self.runs_workers:
            return ()
        return (LOGS_PART, *(worker_name(number) for number in range(1, self.workers + 1)))


def worker_name(number: int) -> str:
    """The part's name of a worker."""
    return f"worker-{number}"


def wanted_workers(environ: Mapping[str, str]) -> int | None:
    """The number of workers that an environment asks for; None when it says nothing.

    Raises:
        BadInputError: It is no number of workers.
    """
    written = environ.get(WORKERS, "").strip()
    if not written:
        return None
    return _checked(int(written) if written.isascii() and written.isdigit() else -1)


def _checked(workers: int) -> int:
    if not 0 <= workers <= MOST_WORKERS:
        raise BadInputError(
            "the number of workers is not usable",
            where=f"--workers or {WORKERS}",
            fix=f"write a number from 0 (no queue) to {MOST_WORKERS}",
            code="bad_workers",
        )
    return workers


def without_credentials(url: str) -> str:
    """A URL that may be shown: scheme, host and port."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}"
