"""What lineage calls things: files, objects, tables, by OpenLineage's naming rules.

S3: namespace ``s3://bucket``, name the key. Files: namespace ``file``, name the path. DuckLake has
no rule yet; it follows the one for databases: namespace ``ducklake://host:port/database`` (where
the catalogue lies), name ``schema.table``. Versions are the S3 version id and the DuckLake snapshot
id; a temporary path is nobody's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from openlineage.client.facet_v2 import column_lineage_dataset

from cityledger.contracts.model import Contract
from cityledger.records import ObjectRef, RuleResult, SpooledFile
from cityledger.storage.address import DatabaseAddress


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a dataset's schema."""

    name: str
    type: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Data:
    """One version of one dataset, as an input or output of a run.

    Attributes:
        version: S3 version id or DuckLake snapshot id.
        rows: Rows read or written.
        size: In bytes.
        results: Verdicts of rules on it (counts only, never values).
        columns: Facet that says where its columns come from.
    """

    namespace: str
    name: str
    version: str | None = None
    fields: tuple[Field, ...] = ()
    rows: int | None = None
    size: int | None = None
    results: tuple[RuleResult, ...] = ()
    columns: column_lineage_dataset.ColumnLineageDatasetFacet | None = None


def file_data(file: SpooledFile) -> Data:
    """The department's file that was read (not the spooled copy)."""
    parts = urlsplit(file.source_uri)
    if parts.scheme in {"", "file"}:
        name = unquote(parts.path) if parts.scheme else file.source_uri
        return Data("file", name, size=file.size)
    host = parts.netloc.rpartition("@")[2]
    return Data(f"{parts.scheme}://{host}", parts.path.lstrip("/"), size=file.size)


def object_data(
    ref: ObjectRef,
    *,
    fields: Sequence[Field] = (),
    rows: int | None = None,
    results: Sequence[RuleResult] = (),
) -> Data:
    """One version of an object. In an unversioned bucket its content's hash is the version."""
    return Data(
        f"s3://{ref.bucket}",
        ref.key,
        version=ref.version_id or f"sha256:{ref.sha256}",
        fields=tuple(fields),
        rows=rows,
        size=ref.size,
        results=tuple(results),
    )


def table_data(
    catalogue: DatabaseAddress,
    table: str,
    snapshot_id: int,
    *,
    fields: Sequence[Field] = (),
    rows: int | None = None,
    results: Sequence[RuleResult] = (),
) -> Data:
    """A lake table, named ``schema.table``, as of a snapshot."""
    return Data(
        f"ducklake://{catalogue.host}:{catalogue.port}/{catalogue.database}",
        table,
        version=str(snapshot_id),
        fields=tuple(fields),
        rows=rows,
        results=tuple(results),
    )


def contract_fields(contract: Contract) -> tuple[Field, ...]:
    """The columns that a contract promises."""
    return tuple(
        Field(column.name, column.type.value, column.business_name) for column in contract.columns
    )
