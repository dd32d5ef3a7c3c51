"""The determinism lint: each kind of doubt is found, and sound SQL passes."""

from __future__ import annotations

import pytest
from cityledger.ledger.columns.determinism import doubts

SCHEMA = {"lake": {"core": {"t": {"id": "varchar", "x": "double", "n": "decimal(18,2)",
                                  "at": "timestamp", "_row_id": "varchar"}}}}  # fmt: skip
T = "lake.core.t"


def kinds(sql: str) -> list[str]:
    return [one.kind for one in doubts("m", sql, schema=SCHEMA)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (f"select current_date as d from {T}", ["clock"]),
        (f"select id from {T} where at < now()", ["clock"]),
        ("select today() as d", ["clock"]),
        (f"select random() as r from {T}", ["random"]),
        (f"select uuid() as r from {T}", ["random"]),
        (f"select sum(x) as s from {T}", ["float_sum"]),
        (f"select avg(x) as s from {T}", ["float_sum"]),
        (f"select sum(cast(n as double)) as s from {T}", ["float_sum"]),
        (f"with a as (select x * 2 as y from {T}) select sum(y) as s from a", ["float_sum"]),
        (f"select string_agg(id, ',') as s from {T}", ["unordered"]),
        (f"select first(id) as s from {T}", ["unordered"]),
        (f"select any_value(id) as s from {T}", ["unordered"]),
        (f"select arg_max(id, n) as s from {T}", ["unordered"]),
        (f"select id from {T} limit 1", ["unordered"]),
        (f"select row_number() over (partition by id) as n from {T}", ["unordered"]),
        (f"select row_number() over (partition by id order by at) as n from {T}", ["ties"]),
        ("select from where", ["unreadable"]),
    ],
)
def test_doubts(sql: str, expected: list[str]) -> None:
    """Prevents a number that changes from run to run from being published."""
    assert kinds(sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        f"select sum(n) as s, count(*) as c, max(x) as m from {T}",
        f"select string_agg(id, ',' order by id) as s from {T}",
        f"select row_number() over (partition by id order by at, _row_id) as n from {T}",
        f"select id from {T} order by id limit 1",
        f"select sum(n) over (order by at rows unbounded preceding) as s from {T}",
    ],
)
def test_sound_sql_passes(sql: str) -> None:
    """Prevents a lint that people learn to ignore."""
    assert kinds(sql) == []
