"""The objects that the database names: each must be in a backup of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import psycopg

from cityledger.storage.objects import BUCKETS, LAKE, ObjectStore

_LANDED: Final = """
    SELECT one->>'bucket', one->>'key'
    FROM cityledger.delivery, jsonb_array_elements(record->'objects') one
"""
_VALIDATED: Final = """
    SELECT DISTINCT record->'validated'->>'bucket', record->'validated'->>'key'
    FROM cityledger.validation
"""
# Paths below the lake's folder unless they are marked as whole ones, which we never make.
_LAKE: Final = """
    SELECT DISTINCT s.path || t.path || f.path
    FROM ducklake.ducklake_data_file f
    JOIN ducklake.ducklake_table t USING (table_id)
    JOIN ducklake.ducklake_schema s USING (schema_id)
    WHERE f.path_is_relative AND t.path_is_relative AND s.path_is_relative
"""


def named_objects(
    session: psycopg.Connection[Any], store: ObjectStore
) -> Iterator[tuple[str, str]]:
    """Logical bucket and key of landed, validated and lake files, as a session sees them."""
    logical = {store.bucket(name): name for name in BUCKETS}
    for query in (_LANDED, _VALIDATED):
        for bucket, key in session.execute(query):
            yield logical.get(bucket, bucket), key
    row = session.execute("SELECT to_regclass('ducklake.ducklake_data_file')").fetchone()
    if row and row[0] is not None:
        for (key,) in session.execute(_LAKE):
            yield LAKE, key
