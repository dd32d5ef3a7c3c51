"""A suite that many tasks judge, each its share of the rows, finds what one task finds."""

from __future__ import annotations

from collections import Counter
from datetime import date
from itertools import pairwise

import polars as pl
import pyarrow as pa
from cityledger.contracts.model import ColumnType
from cityledger.settings import PROJECT_DIR
from hypothesis import given, settings
from hypothesis import strategies as st

from quality_checks.session import Session
from quality_checks.suites.base import TableSuite, check, holds
from quality_checks.suites.distributed import count
from quality_checks.suites.runner import bind

_CODES = str(PROJECT_DIR / "contracts" / "codes")
_DAY = date(2026, 3, 31)
_TYPES = {"a": ColumnType.INTEGER, "b": ColumnType.STRING}
_SUITE = TableSuite(
    "core.t",
    (
        check("not_null", "a", why="given"),
        check("between", "a", minimum=0, maximum=5, why="small"),
        check("in_set", "b", values=["x", "y"], why="known"),
        holds("b_means_positive", pl.col("a") > 0, "a", "b", where=pl.col("b") == "x", why="so"),
    ),
)
_ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(-3, 9)), st.one_of(st.none(), st.sampled_from("xyz"))
    )
)


def _batch(rows: list[tuple[int | None, str | None]]) -> pa.RecordBatch:
    columns = [
        pa.array([a for a, _ in rows], pa.int64()),
        pa.array([b for _, b in rows], pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, ["a", "b"])


@settings(max_examples=40, deadline=None)
@given(_ROWS, st.lists(st.integers(0, 20), max_size=4))
def test_counts_of_the_tasks_add_up_to_those_of_one(
    rows: list[tuple[int | None, str | None]], cuts: list[int]
) -> None:
    """A rule that looked at a share twice, or at none, would pass a bad table."""
    bound, missing = bind(_SUITE, _TYPES, PROJECT_DIR / "contracts" / "codes", _DAY, None)
    assert missing == {}
    alone = Session("core.t", {"a": None, "b": None}, list(bound.values()))
    alone.check(pl.DataFrame(_batch(rows)))
    edges = [0, *sorted(cuts), len(rows)]
    evaluated: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for start, end in pairwise(edges):
        share = [_batch(rows[start:end])]
        for found in count(_SUITE, frozenset(bound), _TYPES, _CODES, _DAY, share):
            for one in found.to_pylist():
                evaluated[one["key"]] += one["evaluated"]
                failed[one["key"]] += one["failed"]
                assert (one["undecided"], one["error"]) == (0, "")
    for key, tally in alone.tallies.items():
        assert (evaluated[key], failed[key]) == (tally.evaluated, tally.failed), key


def test_a_task_judges_only_the_rules_that_it_was_given() -> None:
    """Uniqueness within one share says nothing about the table."""
    found = list(
        count(_SUITE, frozenset({"core.t.a.not_null"}), _TYPES, _CODES, _DAY, [_batch([(1, "x")])])
    )
    assert [one["key"] for batch in found for one in batch.to_pylist()] == ["core.t.a.not_null"]
