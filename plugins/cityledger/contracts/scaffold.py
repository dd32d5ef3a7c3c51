"""A dataset's staging model and its description, written from the contract.

The checked-in models equal what these functions write (a test compares them), so a column cannot
be in the contract and missing in the warehouse, or the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from cityledger.contracts.model import Column, ColumnType, Contract

OutputColumn = tuple[str, ColumnType, tuple[int, int] | None]

# Spelled as both DuckDB and Spark read them.
_TYPES = {
    ColumnType.STRING: "string",
    ColumnType.INTEGER: "bigint",
    ColumnType.NUMBER: "double",
    ColumnType.BOOLEAN: "boolean",
    ColumnType.DATE: "date",
    ColumnType.TIMESTAMP: "timestamp",
    ColumnType.TIME: "time",
}

_REFERENCE = re.compile(r"ref\('(\w+)'\)")
_REFERENCES = re.compile(r"(?:^        ref\('\w+'\),\n)+", flags=re.MULTILINE)

_LINEAGE_COLUMNS = {
    "_cast_failures": "Values of the row that could not be cast to their type (0 in sound data)",
    "_source_object": "Landed object that holds the row, with #member inside an archive",
    "_source_row": "1-based line (text) or row (Excel) in that object",
    "_row_id": "delivery-file-row: unique in the warehouse, the same in every re-run",
    "_partition": "Period that the delivery covers, as an ISO key",
    "_delivery": "Delivery that the row came with",
    "_contract": "First 8 hex digits of the SHA-256 of the contract that the row was judged by",
}


def model_name(contract: Contract) -> str:
    """``stg_<department>__<dataset>``."""
    return f"stg_{contract.id.model}"


def enlist(audit_sql: str, model: str) -> str:
    """The audit model with a staging model among those it counts; the list stays in name order.

    Raises:
        ValueError: the text holds no list of references.
    """
    listed = set(_REFERENCE.findall(audit_sql)) | {model}
    entries = "".join(f"        ref('{name}'),\n" for name in sorted(listed))
    text, found = _REFERENCES.subn(entries, audit_sql, count=1)
    if not found:
        raise ValueError("no list of references")
    return text


def sql_type(kind: ColumnType, precision: tuple[int, int] | None) -> str:
    """The portable SQL type of a column of the validated Parquet."""
    if kind is ColumnType.NUMBER and precision:
        return f"decimal({precision[0]}, {precision[1]})"
    return _TYPES[kind]


def scaffold(contract: Contract, output_columns: Sequence[OutputColumn]) -> str:
    """The SQL of the staging model.

    Args:
        contract: The dataset's contract.
        output_columns: Columns of its validated Parquet, without the underscore ones
            (``quality_checks.suite.Suite.output_columns``).
    """
    lines = "".join(
        f"        ('{name}', '{sql_type(kind, precision)}'),\n"
        for name, kind, precision in output_columns
    )
    return f"{{{{ stage(\n    dataset='{contract.id}',\n    columns=[\n{lines}    ],\n) }}}}\n"


def scaffold_properties(contract: Contract, output_columns: Sequence[OutputColumn]) -> str:
    """The YAML beside the model: descriptions (the data dictionary) and tests."""
    model = {
        "name": model_name(contract),
        "description": _text(contract.title, contract.description),
        "config": {"group": contract.id.department, "meta": {"dataset": str(contract.id)}},
        "data_tests": [{"staged_soundly": {"arguments": {"dataset": str(contract.id)}}}],
        "columns": [*_columns(contract, output_columns), *_lineage_columns()],
    }
    return yaml.safe_dump(
        {"version": 2, "models": [model]}, allow_unicode=True, sort_keys=False, width=100
    )


def _columns(
    contract: Contract, output_columns: Sequence[OutputColumn]
) -> Iterator[dict[str, Any]]:
    own = {column.name: column for column in contract.columns}
    origin: Column | None = None
    for name, kind, precision in output_columns:
        origin = own.get(name, origin)
        yield _column(name, sql_type(kind, precision), origin)


def _column(name: str, data_type: str, origin: Column | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": name, "data_type": data_type}
    if origin is None:
        return entry
    derived = "" if origin.name == name else f"Derived from {origin.name}"
    unit = f"Unit: {origin.unit}" if origin.unit and not derived else ""
    entry["description"] = _text(origin.business_name, derived or origin.description, unit)
    entry["config"] = {"meta": {"classification": origin.classification}}
    return entry


def _lineage_columns() -> Iterator[dict[str, Any]]:
    for name, description in _LINEAGE_COLUMNS.items():
        yield {"name": name, "description": description}


def _text(*parts: str) -> str:
    return ". ".join(part.strip().rstrip(".。") for part in parts if part and part.strip())
