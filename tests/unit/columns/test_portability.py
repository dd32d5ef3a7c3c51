"""What DuckDB, Sail and Apache Spark do not do alike is found; what they do alike passes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cityledger.ledger.columns.portability import portability_doubts, project_portability_doubts

_DIFFERENT = {
    "select a from t qualify row_number() over (order by a nulls last) = 1": "QUALIFY",
    "select * exclude (a) from t": "star",
    "select * replace (a + 1 as a) from t": "star",
    "select a::bigint from t": "colons",
    "select list(a) as l from t": "list()",
    "select arg_max(a, b) as l from t": "arg_max()",
    "select strftime(a, '%Y') as y from t": "strftime()",
    "select regexp_matches(a, 'x') as y from t": "regexp_matches()",
    "select unnest(a) as y from t": "unnest()",
    "select hash(a) as y from t": "hash()",
    "select round(a, 2) as y from t": "round()",
    "select avg(a) as y from t": "avg()",
    "select concat(a, b) as y from t": "concat()",
    "select a, count(*) as n from t group by all": "GROUP BY ALL",
    "select a ->> '$.x' as x from t": "arrow",
    "select a // 2 as x from t": "whole-number",
    "select cast(a as varchar) as x from t": "varchar",
    "select cast(a as real) as x from t": "32-bit",
    "select cast(a as hugeint) as x from t": "hugeint",
    "select [1, 2] as x": "list",
    "select {'a': 1} as x": "struct",
    "select a from t order by a": "NULLS",
    "select a from t order by a nulls last, b desc": "NULLS",
    "select a from t order by a, b nulls first limit 3": "NULLS",
    "select row_number() over (partition by a order by b desc) as n from t": "NULLS",
    "select a from t union all by name select b from u": "by name",
    "with recursive r as (select 1 as n union all select n from r) select n from r": "recursive",
    'select "a" from t': "double quotes",
    "select a + 1 as b, b * 2 as c from t": "same SELECT",
    "select * from t pivot (sum(a) for b in (1, 2))": "PIVOT",
    "select a from read_parquet('elsewhere.parquet')": "read_parquet()",
}
_ALIKE = [
    'select t.a, count(*) as n from "lake"."core"."t" as t group by t.a',
    "with c (x, y) as (values ('a', 1), ('b', 2)) select x, max_by(x, y) as m from c group by x",
    "select row_number() over (order by coalesce(a, 0) desc nulls last, b nulls last) as n from t",
    "select sum(a) over (order by d nulls last rows 2 preceding) as n from t",
    "select a from t order by a nulls last, b desc nulls first limit 2",
    "select cast(a as decimal(12, 4)) as a, cast(b as string) as b, try_cast(c as date) as c",
    "select a as b, a as c from t where a in (1, 2) and not (b is distinct from c)",
    "select cast(date_trunc('month', d) as date) + interval '1' day as e from t",
    "select count(*) filter (where a > 0) as n from t",
    "select percentile_cont(0.5) within group (order by a nulls last) as m from t",
]


@pytest.mark.parametrize(("sql", "what"), _DIFFERENT.items(), ids=_DIFFERENT.values())
def test_what_engines_do_differently_is_found(sql: str, what: str) -> None:
    """A city that moves to a cluster would find it at night, or as another number."""
    assert any(what in doubt.sql for doubt in portability_doubts("m", sql))


@pytest.mark.parametrize("sql", _ALIKE)
def test_what_engines_do_alike_passes(sql: str) -> None:
    """A lint that cries at good SQL is switched off."""
    assert portability_doubts("m", sql) == []


def test_unreadable_sql_is_said() -> None:
    """Text that no parser reads would pass as free of doubts."""
    assert [doubt.kind for doubt in portability_doubts("m", "select (")] == ["unreadable"]


def test_tests_and_unit_tests_are_read_too_and_inputs_are_not_blamed(tmp_path: Path) -> None:
    """A test that only DuckDB understands leaves the other engines untested."""
    read = f"select a from read_parquet('{tmp_path}/input/areas.parquet')"
    nodes = {
        "model.p.m": {"resource_type": "model", "name": "m", "compiled_code": read},
        "test.p.t": {"resource_type": "test", "name": "t", "compiled_code": "select a::date"},
        "seed.p.s": {"resource_type": "seed", "name": "s", "compiled_code": "select a::date"},
    }
    fixtures = [{"format": "dict", "rows": []}, {"format": "sql", "rows": "select unnest(b) as b"}]
    unit = {"name": "u", "given": fixtures, "expect": {"format": "sql", "rows": "select 1 as b"}}
    manifest = {"nodes": nodes, "unit_tests": {"unit_test.p.u": unit}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    found = project_portability_doubts(tmp_path, tmp_path / "input")
    assert [doubt.model for doubt in found] == ["t", "u"]
