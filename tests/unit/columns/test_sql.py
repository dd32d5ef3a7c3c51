"""Column lineage of single queries, construct by construct."""

from __future__ import annotations

from typing import Any

import pytest
import sqlglot
from cityledger.errors import BadInputError
from cityledger.ledger.columns.model import How, compose
from cityledger.ledger.columns.sql import DIALECT, QueryColumns
from hypothesis import given
from hypothesis import strategies as st

SCHEMA = {
    "lake": {
        "core": {
            "cases": dict.fromkeys(("id", "area", "days", "done", "at"), "UNKNOWN"),
            "areas": dict.fromkeys(("area", "name", "people"), "UNKNOWN"),
        }
    }
}
CASES, AREAS = "lake.core.cases", "lake.core.areas"


def columns(sql: str) -> QueryColumns:
    return QueryColumns(sqlglot.parse_one(sql, dialect=DIALECT), SCHEMA)


def told(sql: str, name: str) -> dict[str, Any]:
    found = columns(sql).column(name)
    return {
        f"{table.split('.')[-1]}.{column}": sorted(f"{how.type}:{how.subtype}" for how in hows)
        for (table, column), hows in found.items()
    }


def rows(sql: str) -> dict[str, list[str]]:
    found = columns(sql).rows()
    return {
        f"{table.split('.')[-1]}.{column}": sorted({how.subtype for how in hows})
        for (table, column), hows in found.items()
    }


IDENTITY, TRANSFORMATION, AGGREGATION = (
    ["DIRECT:IDENTITY"],
    ["DIRECT:TRANSFORMATION"],
    ["DIRECT:AGGREGATION"],
)


@pytest.mark.parametrize(
    ("sql", "name", "expected"),
    [
        (f"select id from {CASES}", "id", {"cases.id": IDENTITY}),
        (f"select id as number from {CASES}", "number", {"cases.id": IDENTITY}),
        (f"select days + 1 as d from {CASES}", "d", {"cases.days": TRANSFORMATION}),
        (f"select cast(days as varchar) as d from {CASES}", "d", {"cases.days": TRANSFORMATION}),
        (f"select * from {CASES}", "done", {"cases.done": IDENTITY}),
        (f"select c.* from {CASES} c join {AREAS} a using (area)", "at", {"cases.at": IDENTITY}),
        (
            (f"with a as (select *, days * 2 as twice from {CASES}), b as (select * from a)"
             " select sum(twice) as total from b"),
            "total",
            {"cases.days": AGGREGATION},
        ),
        (
            (f"select a.name, c.days / a.people as d from {CASES} c, {AREAS} a"
             " where a.area = c.area"),
            "d",
            {"cases.days": TRANSFORMATION, "areas.people": TRANSFORMATION},
        ),
        (
            f"select case when done then days else 0 end as d from {CASES}",
            "d",
            {"cases.done": ["INDIRECT:CONDITIONAL"], "cases.days": TRANSFORMATION},
        ),
        (
            f"select case area when 'x' then days end as d from {CASES}",
            "d",
            {"cases.area": ["INDIRECT:CONDITIONAL"], "cases.days": TRANSFORMATION},
        ),
        (
            f"select sum(case when done then 1 else 0 end) as d from {CASES}",
            "d",
            {"cases.done": ["INDIRECT:CONDITIONAL"]},
        ),
        (
            f"select count(id) filter (where done) as d from {CASES}",
            "d",
            {"cases.id": AGGREGATION, "cases.done": ["INDIRECT:CONDITIONAL"]},
        ),
        (
            f"select row_number() over (partition by area order by at) as n from {CASES}",
            "n",
            {"cases.area": ["INDIRECT:WINDOW"], "cases.at": ["INDIRECT:WINDOW"]},
        ),
        (
            f"select sum(days) over (partition by area) as n from {CASES}",
            "n",
            {"cases.area": ["INDIRECT:WINDOW"], "cases.days": AGGREGATION},
        ),
        (
            f"select string_agg(name, ',' order by people) as n from {AREAS}",
            "n",
            {"areas.name": AGGREGATION, "areas.people": ["INDIRECT:SORT"]},
        ),
        (
            f"select id, area as x from {CASES} union all select 'none', name from {AREAS}",
            "x",
            {"cases.area": IDENTITY, "areas.name": IDENTITY},
        ),
        (
            f"select area, name from {AREAS} union all by name select id name, area from {CASES}",
            "name",
            {"areas.name": IDENTITY, "cases.id": IDENTITY},
        ),
        (
            (f"(select id from {CASES} union select area from {CASES}) union all"
             f" select name from {AREAS}"),
            "id",
            {"cases.id": IDENTITY, "cases.area": IDENTITY, "areas.name": IDENTITY},
        ),
        (
            f"select (select max(people) from {AREAS}) as most, id from {CASES}",
            "most",
            {"areas.people": AGGREGATION},
        ),
        (
            (f"select id, exists (select 1 as one from {AREAS} a where a.area = c.area) as known"
             f" from {CASES} c"),
            "known",
            {},
        ),
        (
            ("with recursive r as (select id, days from lake.core.cases union all"
             " select id, days - 1 from r where days > 0) select days from r"),
            "days",
            {"cases.days": IDENTITY},
        ),
        (f"select s.d from (select days as d from {CASES}) s", "d", {"cases.days": IDENTITY}),
        (f"select days as d, d + 1 as e from {CASES}", "e", {"cases.days": TRANSFORMATION}),
    ],
)  # fmt: skip
def test_columns(sql: str, name: str, expected: dict[str, list[str]]) -> None:
    """Prevents lineage that loses a source, or calls a decision a value."""
    found = told(sql, name)
    if "recursive" in sql:
        assert set(found) == set(expected)
    else:
        assert found == expected


def test_hashes_mask() -> None:
    """Prevents a pseudonym from being shown as readable personal data downstream."""
    found = columns(f"select sha256('k' || id) as k, id from {CASES}")
    assert found.column("k") == {(CASES, "id"): {How("DIRECT", "TRANSFORMATION", masking=True)}}
    assert found.column("id") == {(CASES, "id"): {How("DIRECT", "IDENTITY")}}


def test_rows() -> None:
    """Prevents a filter from being invisible to who asks what a change of its column does."""
    sql = (
        f"with c as (select * from {CASES} where done) select a.name, count(*) as n from c"
        f" join {AREAS} a on a.area = c.area group by a.name having max(c.days) > 3"
    )
    assert rows(sql) == {
        "cases.done": ["FILTER"],
        "cases.area": ["JOIN"],
        "areas.area": ["JOIN"],
        "areas.name": ["GROUP_BY"],
        "cases.days": ["FILTER"],
    }
    assert rows(f"select distinct area from {CASES}") == {"cases.area": ["GROUP_BY"]}
    assert rows(f"select id from {CASES} qualify row_number() over (order by at) = 1") == {
        "cases.at": ["FILTER"]
    }


@pytest.mark.parametrize(
    ("sql", "name", "reason"),
    [
        ("select 'SVC-01' as code", "code", "constant"),
        ("select cast(null as varchar) as code", "code", "constant"),
        (f"select count(*) as n, max(id) as i from {CASES}", "n", "count of rows"),
        (
            f"with a as (select count(*) as n from {CASES}) select cast(n as integer) as m from a",
            "m",
            "count of rows",
        ),
        ("select unnest(generate_series(1, 3)) as n", "n", "generated"),
        ("select 1 as a union all select 2", "a", "constant"),
    ],
)
def test_reasons(sql: str, name: str, reason: str) -> None:
    """Prevents a column without source from looking like one that was lost."""
    found = columns(sql)
    assert found.column(name) == {}
    assert found.reason(name) == reason


@pytest.mark.parametrize("sql", [f"select nothing from {CASES}", "select x.y from lake.core.cases"])
def test_unknown_names_are_refused(sql: str) -> None:
    """Prevents silently short lineage when a name cannot be resolved."""
    with pytest.raises(BadInputError, match="cannot be resolved"):
        columns(sql)


DIRECT = ("IDENTITY", "TRANSFORMATION", "AGGREGATION")
hows = st.one_of(
    st.builds(How, st.just("DIRECT"), st.sampled_from(DIRECT), st.booleans()),
    st.builds(How, st.just("INDIRECT"), st.sampled_from(("JOIN", "FILTER", "CONDITIONAL"))),
)


@given(hows, hows, hows)
def test_composition(one: How, two: How, three: How) -> None:
    """Prevents lineage that depends on where a chain of CTEs is cut."""
    assert compose(compose(one, two), three) == compose(one, compose(two, three))
    assert compose(How("DIRECT", "IDENTITY"), one) == one == compose(one, How("DIRECT", "IDENTITY"))
