"""A digest of a table's content that does not depend on the order of its rows.

Each row is spelled as text, hashed by MD5, and the hashes are added up as whole numbers: any
engine, thread count or file layout gives the same sums. MD5 is enough to notice a change; whoever
needs proof against forgery takes the SHA-256 of the published file, which evidence records, too.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import duckdb


class TableDigest(NamedTuple):
    """Digest (hex) and row count of one table."""

    sha256: str
    rows: int


def table_digest(
    connection: duckdb.DuckDBPyConnection, table: str, snapshot_id: int
) -> TableDigest:
    """Digest of ``schema.table`` of the attached lake at a snapshot.

    A value is spelled as ``<length>:<text>`` and a NULL as ``N``, so no two rows share a spelling.
    The final digest covers column names and types, the row count and the two sums (first and second
    60 bits of the MD5 of each row).
    """
    source = f"lake.{table} AT (VERSION => {int(snapshot_id)})"
    columns = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    spelled = ", ".join(_spell(name) for name, *_ in columns)
    row = connection.execute(
        "SELECT count(*), coalesce(sum(cast('0x' || substr(digest, 1, 15) AS bigint)), 0),"
        " coalesce(sum(cast('0x' || substr(digest, 16, 15) AS bigint)), 0)"
        f" FROM (SELECT md5(concat({spelled})) AS digest FROM {source})"
    ).fetchone()
    if row is None:
        raise RuntimeError("an aggregate without groups gives one row")
    rows, first, second = row
    schema = ",".join(f"{name} {kind}" for name, kind, *_ in columns)
    text = f"{schema}\n{rows}\n{first}\n{second}\n"
    return TableDigest(hashlib.sha256(text.encode()).hexdigest(), int(rows))


def _spell(column: str) -> str:
    text = f'cast("{column}" AS varchar)'
    return f"coalesce(length({text}) || ':' || {text}, 'N')"
