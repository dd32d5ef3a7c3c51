"""Standardise: one dbt build over the released deliveries, in the lake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl
from pydantic import SecretStr

from cityledger.contracts.city import City, read_city
from cityledger.contracts.identity import DatasetId, Partition
from cityledger.contracts.model import Contract, Scope
from cityledger.contracts.registry import load_contracts
from cityledger.errors import BadInputError, CityLedgerError
from cityledger.ledger.journal import Journal
from cityledger.lifecycle.content_digest import TableDigest, table_digest
from cityledger.lifecycle.dbt_inputs import verdict_tag, write_inputs
from cityledger.lifecycle.dbt_run import ModelLineage, invoke, model_lineage, tables
from cityledger.records import (
    ModelResult,
    Release,
    RuleResult,
    Staged,
    Standardisation,
    Validation,
)
from cityledger.settings import Settings
from cityledger.storage import duck
from cityledger.storage.database import Database
from quality_checks.rules.base import Tables
from quality_checks.suite import check_history
from quality_checks.suites import SUITES_OF, check_tables

if TYPE_CHECKING:
    from cityledger.lifecycle.spark.build import EngineBuild

__all__ = ["ModelLineage", "model_lineage", "standardise"]


def standardise(
    releases: Sequence[Release],
    *,
    settings: Settings,
    target_dir: Path,
    full_refresh: bool = False,
    validations: Sequence[Validation] | None = None,
) -> Standardisation:
    """Build staging, core, indicators and audit from the released deliveries.

    With ``settings.engine`` = ``spark`` a distributed engine computes the tables, their digests and
    their suites, always from all releases; the lake takes its files over in one commit.

    The tables afterwards are a function of the releases: what is no longer released goes, a
    redelivery replaces its partition. Each model commits by itself; a build that was killed in the
    middle is completed by the next one. Two builds wait for each other.

    Args:
        releases: *All* current releases, the newest of each dataset and partition
            (``Journal.released()``); held ones count as known, but are not staged.
        settings: Where database, store, contracts and dbt project are.
        target_dir: Keep it from run to run: it holds dbt's partial parse.
        full_refresh: Build the staging tables anew instead of adding what is new.
        validations: Those that the releases came from; read from the journal if not given.

    Raises:
        BadInputError: a released dataset has no staging model yet.
        CityLedgerError: a model or a test failed, the journal lacks a validation, or there is no
            pseudonym key.
        UnavailableError: database or object store do not answer.
    """
    key = _pseudonym_key(settings)
    released = [release for release in releases if release.released]
    contracts = load_contracts(settings.contracts_dir)
    _check_staging_models(settings.dbt_project_dir, released)
    inputs = target_dir / "input"
    with Database.from_settings(settings).lock("lake"):
        write_inputs(
            inputs,
            releases=releases,
            validations=_validations(released, settings) if validations is None else validations,
            contracts=contracts,
            city=_city(settings.contracts_dir / "city.yaml"),
        )
        environment = _environment(settings, key, inputs)
        if settings.engine == "spark":
            # pyspark takes a second to import, and few cities need it.
            from cityledger.lifecycle.spark.build import build_on_engine

            built = build_on_engine(
                settings,
                key,
                inputs=inputs,
                target_dir=target_dir,
                environment=environment,
                as_of=_newest_day(released),
            )
            return _inspect(settings, target_dir, built.models, released, contracts, built)
        models = invoke(
            [
                *("build", "--exclude-resource-type", "unit_test"),
                *(("--full-refresh",) if full_refresh else ()),
            ],
            project_dir=settings.dbt_project_dir,
            target_dir=target_dir,
            environment=environment,
        )
        return _inspect(settings, target_dir, models, released, contracts)


def _check_staging_models(project_dir: Path, released: Sequence[Release]) -> None:
    there = {path.stem for path in (project_dir / "models").rglob("stg_*.sql")}
    for dataset in sorted({release.dataset for release in released}):
        if f"stg_{DatasetId.parse(dataset).model}" not in there:
            raise BadInputError(
                "the dataset has no staging model",
                where=dataset,
                fix=f"cityledger contract scaffold {dataset}",
                code="no_staging_model",
            )


def _pseudonym_key(settings: Settings) -> SecretStr:
    if settings.pseudonym_key is None:
        raise CityLedgerError(
            "there is no pseudonym key, so no person can be written",
            fix="run `cityledger up`, or set CITYLEDGER_PSEUDONYM_KEY (32+ secret characters)",
            code="pseudonym_key_missing",
        )
    return settings.pseudonym_key


def _city(path: Path) -> City:
    """The city; a house of contracts without one has neither areas nor departments."""
    return read_city(path) if path.exists() else City(name="", code="", areas=(), departments=())


def _validations(released: Sequence[Release], settings: Settings) -> list[Validation]:
    journal = Journal(Database.from_settings(settings))
    found = []
    for release in released:
        validation = journal.find_validation(
            release.dataset,
            release.partition,
            release.delivery,
            release.contract_sha256,
            validated=release.validated,
        )
        if validation is None:
            raise CityLedgerError(
                "the journal holds no validation of this release",
                where=f"{release.dataset} {release.partition} {release.delivery}",
                fix=f"run `cityledger run {release.dataset} --partition {release.partition}"
                " --from-stage validate`",
                code="validation_missing",
            )
        found.append(validation)
    return found


def _environment(settings: Settings, key: SecretStr, inputs: Path) -> Mapping[str, str]:
    secrets = {"DATABASE_URL": settings.database_url, "S3_URL": settings.s3_url}
    return {
        "CITYLEDGER_HOME": str(settings.home),
        "CITYLEDGER_THREADS": str(settings.threads),
        "CITYLEDGER_MEMORY_LIMIT_MB": str(settings.memory_limit_mb),
        "CITYLEDGER_BUCKET_PREFIX": settings.bucket_prefix,
        "CITYLEDGER_PSEUDONYM_KEY": key.get_secret_value(),
        "CITYLEDGER_DBT_INPUT_DIR": str(inputs),
        "DO_NOT_TRACK": "1",
        **{
            f"CITYLEDGER_{name}": secret.get_secret_value()
            for name, secret in secrets.items()
            if secret is not None
        },
    }


def _inspect(
    settings: Settings,
    target_dir: Path,
    models: Sequence[ModelResult],
    released: Sequence[Release],
    contracts: Mapping[str, Contract],
    built: EngineBuild | None = None,
) -> Standardisation:
    """Read the snapshot that the build left, and what is in it; an engine has read its tables."""
    with duck.connect(settings, lake=True, read_only=True) as connection:
        snapshot = built.snapshot_id if built else duck.snapshot_id(connection)
        digests = built.digests if built else _digests(connection, snapshot, target_dir)
        staged = tuple(_staged(connection, snapshot, released))
        results = (
            *_check_history(connection, settings, snapshot, released, contracts),
            *(
                built.results
                if built
                else _check_tables(connection, settings, snapshot, released, target_dir)
            ),
        )
    return Standardisation(
        snapshot_id=snapshot,
        models=tuple(_with_rows(model, digests) for model in models),
        staged=staged,
        digests={table: digest.sha256 for table, digest in digests.items()},
        results=results,
    )


def _digests(
    connection: duckdb.DuckDBPyConnection, snapshot: int, target_dir: Path
) -> dict[str, TableDigest]:
    return {table: table_digest(connection, table, snapshot) for table in tables(target_dir)}


def _staged(
    connection: duckdb.DuckDBPyConnection, snapshot: int, released: Sequence[Release]
) -> Iterator[Staged]:
    """Rows of every release in its staging table; one query a table, whatever the partitions."""
    counts: dict[tuple[str, ...], int] = {}
    for dataset in sorted({release.dataset for release in released}):
        found = connection.execute(
            f"SELECT _partition, _delivery, _contract, count(*) FROM lake.{_staging_table(dataset)}"
            f" AT (VERSION => {snapshot}) GROUP BY ALL"
        ).fetchall()
        counts |= {(dataset, *place): rows for *place, rows in found}
    for release in released:
        place = (release.dataset, release.partition, release.delivery)
        yield Staged(
            dataset=release.dataset,
            partition=release.partition,
            delivery=release.delivery,
            rows=counts.get((*place, verdict_tag(release)), 0),
        )


def _check_history(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    snapshot: int,
    released: Sequence[Release],
    contracts: Mapping[str, Contract],
) -> Iterator[RuleResult]:
    """Judge the staging tables that have rules over all partitions."""
    for dataset, contract in contracts.items():
        partitions = [Partition.parse(r.partition) for r in released if r.dataset == dataset]
        if partitions and any(rule.scope is Scope.HISTORY for rule in contract.rules):
            yield from check_history(
                contract,
                connection.sql(
                    f"SELECT * FROM lake.{_staging_table(dataset)}"
                    f" AT (VERSION => {snapshot}) ORDER BY _partition, _source_row, _row_id"
                ),
                codes_dir=settings.contracts_dir / "codes",
                as_of=max(partition.end for partition in partitions),
                tables=_released_tables(connection, snapshot, released),
                version=f"snapshot:{snapshot}",
            )


def _released_tables(
    connection: duckdb.DuckDBPyConnection, snapshot: int, released: Sequence[Release]
) -> Tables:
    """Finds what is released of a dataset, for rules that refer to another one."""
    known = {release.dataset for release in released}

    def find(dataset: str, columns: tuple[str, ...]) -> pl.DataFrame | None:
        if dataset not in known:
            return None
        table = connection.sql(
            f"SELECT * FROM lake.{_staging_table(dataset)} AT (VERSION => {snapshot})"
        )
        if not set(columns) <= set(table.columns):
            return None
        return table.select(*columns).distinct().pl()

    return find


def _check_tables(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    snapshot: int,
    released: Sequence[Release],
    target_dir: Path,
) -> tuple[RuleResult, ...]:
    """Judge core models and indicators by their hand-written suites.

    Only those of the dbt project that the suites were written for: a city's own project may give
    another table the same name.
    """
    return check_tables(
        connection,
        tables(target_dir, project=SUITES_OF),
        codes_dir=settings.contracts_dir / "codes",
        as_of=_newest_day(released),
        snapshot=snapshot,
    )


def _newest_day(released: Sequence[Release]) -> date:
    days = (Partition.parse(release.partition).end for release in released)
    return max(days, default=date.min)


def _staging_table(dataset: str) -> str:
    return f"staging.stg_{dataset.replace('.', '__', 1)}"


def _with_rows(model: ModelResult, digests: Mapping[str, TableDigest]) -> ModelResult:
    digest = digests.get(f"{model.layer}.{model.name}")
    return model if digest is None else model.model_copy(update={"rows": digest.rows})
