"""Every setting of CityLedger, read from ``CITYLEDGER_*`` or from the embedded stack's file."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_DIR = Path(__file__).resolve().parents[2]


def home_dir() -> Path:
    """The folder that holds everything a local installation creates (default ``.cityledger``)."""
    return Path(os.environ.get("CITYLEDGER_HOME", PROJECT_DIR / ".cityledger")).resolve()


def stack_file() -> Path:
    """Where ``cityledger up`` leaves the addresses of the embedded parts (mode 0600)."""
    return home_dir() / "stack.env"


class LineageTarget(BaseModel):
    """Another catalogue that is fed from the ledger.

    Attributes:
        url: Where it answers; ``path`` is added (``/openapi/openlineage/api/v1/lineage`` for
            DataHub, the default for Marquez, OpenMetadata and OpenLineage's own proxy).
    """

    name: str = Field(pattern=r"^[a-z0-9_-]{1,40}$")
    url: str = Field(repr=False)  # may hold a password
    path: str = "/api/v1/lineage"
    token: SecretStr | None = None
    timeout: float = Field(default=10.0, gt=0)


class Settings(BaseSettings):
    """Settings with embedded defaults.

    A URL that the environment gives wins over the one in the embedded stack's file, so one
    variable moves a part from embedded to external.
    """

    model_config = SettingsConfigDict(
        env_prefix="CITYLEDGER_", extra="ignore", hide_input_in_errors=True
    )

    home: Path = Field(default_factory=home_dir)
    contracts_dir: Path = PROJECT_DIR / "contracts"
    dbt_project_dir: Path = PROJECT_DIR / "dbt_project"
    database_url: SecretStr | None = Field(
        default=None, description="postgresql://user:password@host:port/database"
    )
    s3_url: SecretStr | None = Field(
        default=None, description="http[s]://access-key:secret-key@host:port"
    )
    airflow_url: SecretStr | None = Field(
        default=None, description="http[s]://user:password@host:port of Airflow's api-server"
    )
    lineage_namespace: str = Field(
        default="cityledger", description="OpenLineage namespace of this installation's jobs"
    )
    collector_url: SecretStr | None = Field(
        default=None,
        description="http[s]://token@host:port of the lineage collector that events are sent to;"
        " without it they are written into the database",
    )
    collector_tokens: Path = Field(
        default_factory=lambda: home_dir() / "collector-tokens.json",
        description="Hashes of the tokens that may write to and read from the collector",
    )
    collector_body_mb: int = Field(
        default=32, ge=1, le=1024, description="The largest request that the collector takes"
    )
    lineage_targets: tuple[LineageTarget, ...] = Field(
        default=(),
        description="OpenLineage endpoints that get every event as well:"
        ' [{"name": "marquez", "url": "http://host:5000", "token": "…"}]',
    )
    otlp_url: SecretStr | None = Field(
        default=None,
        description="http[s]://host:port of a receiver of traces (OTLP over HTTP); none are sent"
        " without it",
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Bearer token of whoever reads /metrics; without it only this machine may",
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="json: one JSON object a line, with run, dataset and trace"
    )
    engine: Literal["duckdb", "spark"] = Field(
        default="duckdb", description="What standardise computes on; spark: see docs/scale.md"
    )
    spark_remote: SecretStr | None = Field(
        default=None, description="sc://host:port[/;token=…] of a Spark Connect engine"
    )
    spark_store: str = Field(
        default="s3://",
        description="What the engine puts before <bucket>/<key> to read the object store:"
        " s3:// (Sail), s3a:// (hadoop-aws), file:///mount/",
    )
    bucket_prefix: str = Field(default="", description="Put before each bucket name")
    pseudonym_key: SecretStr | None = Field(
        default=None, min_length=32, description="Key of the pseudonyms in dim_person; never stored"
    )
    ledger_key: SecretStr | None = Field(
        default=None,
        description="Signing key of the transparency log; without it home/secrets/ledger.key",
    )
    ledger_retention_days: int = Field(
        default=3650, ge=1, description="How long the store refuses to delete the log and packs"
    )
    oidc_issuer: str | None = Field(
        default=None,
        description="https:// address of the identity provider; without it, people have accounts"
        " in Airflow's database",
    )
    oidc_client_id: str = Field(default="cityledger", description="Our name at the provider")
    oidc_client_secret: SecretStr | None = Field(
        default=None, description="The secret that the provider gave us"
    )
    oidc_name_claim: str = Field(
        default="preferred_username", description="The claim that names a person, for good"
    )
    oidc_groups_claim: str = Field(default="groups", description="The claim that lists groups")
    oidc_groups: dict[str, str] = Field(
        default_factory=dict,
        description='Own groups\' roles: {"data-office": "steward", "g7": "department-health"}',
    )
    postgres_bin: Path | None = Field(
        default=None, description="Folder of pg_dump and pg_restore; without it the wheel's"
    )
    threads: int = Field(default_factory=lambda: min(4, os.cpu_count() or 1), ge=1)
    memory_limit_mb: int = Field(default=1024, ge=256, description="Bound for DuckDB, in MiB")
    patience_seconds: float = Field(
        default=420.0,
        ge=0,
        description="How long a run waits for a database or object store that does not answer",
    )
    drop_dir: Path = Field(
        default_factory=lambda: home_dir() / "drop",
        description="The folder where departments put their files",
    )
    spool_dir: Path = Field(
        default_factory=lambda: home_dir() / "spool",
        description="Scratch space for bytes on their way to the landing bucket",
    )


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process (cached; tests call ``get_settings.cache_clear()``)."""
    return Settings(_env_file=stack_file())
