"""Rules over all partitions, on the table as DuckDB holds it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pytest
from cityledger.contracts.model import Scope

from quality_checks.suite import check_history

AS_OF = date(2026, 3, 31)


@pytest.fixture
def cases(contract, column, rule):
    """Cumulative cases per province and day."""
    columns = [
        column("day", "date"),
        column("province"),
        column("city"),
        column("confirmed", "integer"),
    ]
    series = {"orderBy": "day", "by": ["province", "city"]}
    parts = {"by": ["day", "province"], "total": {"city": None}, "parts": {"city": "*"}}
    return contract(
        columns,
        [
            rule("non_decreasing", "confirmed", arguments=series),
            rule("sum_of_parts", "confirmed", arguments=parts, scope=Scope.HISTORY),
            rule("unique", "day", "province", "city", scope=Scope.HISTORY),
            rule("complete_calendar", "day", arguments={"by": ["province"]}, scope=Scope.HISTORY),
            rule("not_null", "day"),
        ],
    )


ROWS = [
    (date(2020, 2, 3), "甲", "一", 4),
    (date(2020, 2, 1), "甲", "一", 5),
    (date(2020, 2, 1), "甲", None, 5),
    (date(2020, 2, 3), "甲", None, 6),
    (date(2020, 2, 1), "乙", "二", 1),
    (date(2020, 2, 2), "乙", "二", 1),
]


def test_on_a_duckdb_table(cases, codes_dir: Path) -> None:
    """The falling series, the wrong sum and the missing day are each found once."""
    frame = pl.DataFrame(ROWS, schema=["day", "province", "city", "confirmed"], orient="row")
    frame = frame.with_columns(_partition=pl.lit("2020-02"))
    connection = duckdb.connect()
    connection.register("frame", frame.to_arrow())
    connection.execute("create table staged as select * from frame")
    found = {
        result.rule: (result.evaluated, result.failed)
        for result in check_history(
            cases, connection.table("staged"), codes_dir=codes_dir, as_of=AS_OF
        )
    }
    assert found == {
        "non_decreasing": (6, 1),
        "sum_of_parts": (2, 1),
        "unique": (4, 0),  # a key with a null in it is not judged
        "complete_calendar": (2, 1),
    }


def test_delivery_sessions_leave_history_out(suite, cases) -> None:
    """One day's delivery can't be judged by last week's figures."""
    made = suite(cases.columns, cases.rules)
    keys = [result.rule for result in made.session().finish()]
    assert keys == ["not_null"]


def test_without_history_rules_nothing_is_fetched(contract, column, rule, codes_dir: Path) -> None:
    """Most datasets have none: their tables must not be read for nothing."""
    plain = contract([column("a")], [rule("not_null", "a")])
    assert check_history(plain, None, codes_dir=codes_dir, as_of=AS_OF) == ()  # type: ignore[arg-type]
