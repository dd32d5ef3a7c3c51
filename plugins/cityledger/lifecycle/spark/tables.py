"""Content digests and types of tables on the engine, as DuckDB would give them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from cityledger.errors import CityLedgerError
from cityledger.lifecycle.content_digest import TableDigest
from cityledger.lifecycle.spark.session import Engine

_TYPES: Mapping[str, str] = {
    "string": "VARCHAR",
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "date": "DATE",
    "timestamp_ntz": "TIMESTAMP",
}
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")


def lake_types(engine: Engine, table: str) -> dict[str, str]:
    """Column → DuckDB's type, in order.

    Raises:
        CityLedgerError: a column has a type that the lake cannot take over (``engine_type``).
    """
    return {name: _lake_type(table, name, kind) for name, kind in engine.columns(table).items()}


def engine_digest(engine: Engine, table: str, types: Mapping[str, str]) -> TableDigest:
    """The digest of :func:`~cityledger.lifecycle.content_digest.table_digest`, on the engine.

    Equal content gives equal digests on every engine for texts, whole numbers, decimals, dates,
    timestamps and booleans. Doubles are spelled alike from 0.001 to 10 million only; no published
    table holds one.
    """
    spelled = ", ".join(_spell(name) for name in types)
    ((rows, first, second),) = engine.rows(
        "SELECT count(*), coalesce(sum(cast(conv(substr(digest, 1, 15), 16, 10) AS bigint)"
        " * cast(1 AS decimal(20, 0))), 0),"
        " coalesce(sum(cast(conv(substr(digest, 16, 15), 16, 10) AS bigint)"
        " * cast(1 AS decimal(20, 0))), 0)"
        f" FROM (SELECT md5(concat({spelled})) AS digest FROM {table}) AS hashed"
    )
    schema = ",".join(f"{name} {kind}" for name, kind in types.items())
    text = f"{schema}\n{rows}\n{int(first)}\n{int(second)}\n"
    return TableDigest(hashlib.sha256(text.encode()).hexdigest(), int(rows))


def _spell(column: str) -> str:
    text = f"cast(`{column}` AS string)"
    return f"coalesce(concat(cast(length({text}) AS string), ':', {text}), 'N')"


def _lake_type(table: str, column: str, kind: str) -> str:
    decimal = _DECIMAL.fullmatch(kind)
    found = f"DECIMAL({decimal[1]},{decimal[2]})" if decimal else _TYPES.get(kind)
    if found is None:
        raise CityLedgerError(
            f"the lake takes no column of the engine's type {kind}",
            where=f"{table}.{column}",
            fix="cast it in the model",
            code="engine_type",
        )
    return found
