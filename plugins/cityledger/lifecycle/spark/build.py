"""One dbt build on the engine, up to the snapshot of the lake that holds its tables."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from cityledger.lifecycle.content_digest import TableDigest
from cityledger.lifecycle.dbt_run import invoke, tables
from cityledger.lifecycle.spark.adopt import adopt
from cityledger.lifecycle.spark.session import Engine, engine_address, open_engine
from cityledger.lifecycle.spark.tables import engine_digest, lake_types
from cityledger.records import ModelResult
from cityledger.settings import Settings
from cityledger.storage.objects import LAKE, ObjectStore

_FOLDER = "engine"  # below it, in the lake's bucket, each build has a folder of its own


@dataclass(frozen=True)
class EngineTables:
    """What a build has left on the engine; its session is open.

    Attributes:
        folder: Key prefix of the tables' files in the lake's bucket.
        types: ``schema.table`` → column → DuckDB type.
        digests: ``schema.table`` → digest and rows, computed on the engine.
    """

    engine: Engine
    folder: str
    models: tuple[ModelResult, ...]
    types: Mapping[str, Mapping[str, str]]
    digests: Mapping[str, TableDigest]

    def adopt(self, settings: Settings) -> int:
        """Hand the tables to the lake; returns its snapshot."""
        rows = {table: digest.rows for table, digest in self.digests.items()}
        store = ObjectStore.from_settings(settings)
        return adopt(settings, store, self.types, rows, folder=self.folder)


@contextmanager
def build(
    settings: Settings,
    key: SecretStr,
    *,
    inputs: Path,
    target_dir: Path,
    environment: Mapping[str, str],
    command: Sequence[str] = ("build", "--exclude-resource-type", "unit_test"),
) -> Iterator[EngineTables]:
    """Run dbt on the engine over files that the object store holds.

    Args:
        settings: Where engine and store are.
        key: Of the pseudonyms.
        inputs: Folder of the input files; they are copied into the store for the engine.
        target_dir: For dbt's artefacts of this target; keep it from run to run.
        environment: What the macros read besides.
        command: dbt's.

    Raises:
        CityLedgerError: a model or a test failed, or the engine is not configured.
        UnavailableError: engine or store do not answer.
    """
    store = ObjectStore.from_settings(settings)
    folder = f"{_FOLDER}/{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
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
    with open_engine(settings, key) as engine:
        models = invoke(
            command,
            project_dir=settings.dbt_project_dir,
            target_dir=target_dir,
            environment=variables,
            target="spark",
        )
        types = {table: lake_types(engine, table) for table in tables(target_dir)}
        yield EngineTables(
            engine=engine,
            folder=folder,
            models=models,
            types=types,
            digests={table: engine_digest(engine, table, kinds) for table, kinds in types.items()},
        )
