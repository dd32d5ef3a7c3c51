"""Uniqueness across batches: the first row stays, each later one fails, memory is bounded."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quality_checks.rules import uniqueness
from quality_checks.rules.uniqueness import KeySet

batches = st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=8)


def _seen(keys: list[list[int]], head_bits: int) -> list[bool]:
    known = KeySet()
    found: list[bool] = []
    for batch in keys:
        if not batch:
            continue
        values = np.array(batch, dtype=np.uint64)
        heads = (values * np.uint64(2654435761)) % np.uint64(2**head_bits)
        found += known.add(heads, values, min(batch), max(batch)).tolist()
    return found


@pytest.mark.parametrize("head_bits", [1, 3, 63])
@given(keys=batches)
def test_same_as_a_python_set(keys: list[list[int]], head_bits: int) -> None:
    """Runs, merges and colliding halves of hashes (forced by few bits) must not lose a key."""
    flat = [key for batch in keys for key in batch]
    expected = [key in flat[:place] for place, key in enumerate(flat)]
    assert _seen(keys, head_bits) == expected


def test_runs_stay_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """One run per batch would make a delivery of n batches cost n² look-ups."""
    known = KeySet()
    generator = np.random.default_rng(7)
    for _ in range(64):
        values = generator.integers(0, 2**63, 1000, dtype=np.uint64)
        known.add(values, values, 0, 1)
    assert len(known._runs) <= 8
    assert sum(len(run.head) for run in known._runs) == 64_000
    monkeypatch.setattr(uniqueness, "_RUN_LIMIT", 10)


def test_across_batches_and_columns(suite, column, rule) -> None:
    """A duplicate in a later batch is found; a key with a null in it is not judged."""
    made = suite([column("a"), column("n", "integer")], [rule("unique", "a", "n")])
    session = made.session()
    first = session.check(made.read(pl.DataFrame({"a": ["x", "x", None], "n": ["1", "2", "1"]})))
    second = session.check(made.read(pl.DataFrame({"a": ["y", "x", None], "n": ["1", "1.0", "1"]})))
    assert not first.failing
    assert second.blocked.to_list() == [False, True, False]
    result = session.finish()[0]
    assert (result.evaluated, result.failed) == (4, 1)


def test_sessions_do_not_share_keys(suite, column, rule) -> None:
    """A re-run of the same delivery must not find itself duplicated."""
    made = suite([column("a")], [rule("unique", "a")])
    typed = made.read(pl.DataFrame({"a": ["x"]}))
    assert not made.session().check(typed).failing
    assert not made.session().check(typed).failing
