"""One dbt build on the engine, up to the snapshot of the lake that holds its tables."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from pydantic import SecretStr

from cityledger.lifecycle.content_digest import TableDigest
from cityledger.lifecycle.dbt_run import invoke, tables
from cityledger.lifecycle.spark.adopt import adopt
from cityledger.lifecycle.spark.session import engine_address, open_engine, refusals
from cityledger.lifecycle.spark.tables import engine_digest, lake_types
from cityledger.records import ModelResult, RuleResult
from cityledger.settings import Settings
from cityledger.storage.objects import LAKE, ObjectStore
from quality_checks.suites import SUITES_OF
from quality_checks.suites.distributed import check_tables_on_engine

_FOLDER = "engine"  # below it, in the lake's bucket, each build has a folder of its own
_BUILD = ("build", "--exclude-resource-type", "unit_test")


@dataclass(frozen=True)
class EngineBuild:
    """What a build has left in the lake.

    Attributes:
        digests: ``schema.table`` → digest and rows, computed on the engine.
        results: Of the suites of core and indicators, judged on the engine.
    """

    snapshot_id: int
    models: tuple[ModelResult, ...]
    digests: Mapping[str, TableDigest]
    results: tuple[RuleResult, ...]


def build_on_engine(
    settings: Settings,
    key: SecretStr,
    *,
    inputs: Path,
    target_dir: Path,
    environment: Mapping[str, str],
    as_of: date,
) -> EngineBuild:
    """Build every table on the engine and hand them to the lake.

    Afterwards ``target_dir`` holds dbt's artefacts as a build by DuckDB leaves them: lineage and
    evidence read their SQL, which the lake can run again. Those of the engine lie in ``spark``
    below it.

    Args:
        settings: Where engine, store and lake are.
        key: Of the pseudonyms.
        inputs: Folder of the input files; they are copied into the store for the engine.
        target_dir: Keep it from run to run.
        environment: What the macros read.
        as_of: Last day of the newest period.

    Raises:
        CityLedgerError: a model or a test failed, or the engine is not configured; the lake is as
            before.
        UnavailableError: engine, store or database do not answer.
    """
    store = ObjectStore.from_settings(settings)
    folder = f"{_FOLDER}/{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    artefacts = target_dir / "spark"
    with open_engine(settings, key) as engine:
        models = run_dbt(
            _BUILD,
            settings,
            store=store,
            folder=folder,
            inputs=inputs,
            target_dir=artefacts,
            environment=environment,
        )
        types = {table: lake_types(engine, table) for table in tables(artefacts)}
        digests = {table: engine_digest(engine, table, kinds) for table, kinds in types.items()}
        with refusals():
            results = check_tables_on_engine(
                engine.spark,
                tables(artefacts, project=SUITES_OF),
                codes_dir=settings.contracts_dir / "codes",
                as_of=as_of,
            )
    rows = {table: digest.rows for table, digest in digests.items()}
    snapshot = adopt(settings, store, types, rows, folder=folder)
    invoke(
        ("compile", "--full-refresh"),
        project_dir=settings.dbt_project_dir,
        target_dir=target_dir,
        environment=environment,
    )
    version = {"object_version": f"snapshot:{snapshot}"}
    return EngineBuild(
        snapshot_id=snapshot,
        models=models,
        digests=digests,
        results=tuple(result.model_copy(update=version) for result in results),
    )


def run_dbt(
    command: Sequence[str],
    settings: Settings,
    *,
    store: ObjectStore,
    folder: str,
    inputs: Path,
    target_dir: Path,
    environment: Mapping[str, str],
) -> tuple[ModelResult, ...]:
    """Run dbt in the open session; tables and inputs lie below ``folder`` of the lake's bucket."""
    for path in sorted(inputs.glob("*.parquet")):
        store.put_file(LAKE, f"{folder}/input/{path.name}", path)
    bucket = store.bucket(LAKE)
    variables = {
        **environment,
        "SPARK_REMOTE": engine_address(settings),
        "CITYLEDGER_DBT_INPUT_DIR": f"s3://{bucket}/{folder}/input",
        "CITYLEDGER_SPARK_STORE": settings.spark_store,
        "CITYLEDGER_SPARK_LOCATION": f"{settings.spark_store}{bucket}/{folder}",
    }
    return invoke(
        command,
        project_dir=settings.dbt_project_dir,
        target_dir=target_dir,
        environment=variables,
        target="spark",
    )
