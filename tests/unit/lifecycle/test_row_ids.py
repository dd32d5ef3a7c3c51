"""Row ids are what they say, however they are made."""

from __future__ import annotations

import polars as pl
from cityledger.lifecycle.row_ids import row_ids
from hypothesis import example, given
from hypothesis import strategies as st


@given(st.lists(st.integers(1, 10**12), max_size=20))
@example([7])
@example([10**9, 10**10 - 1, 4_294_967_296])
@example([9, 10])
def test_each_row_has_its_number(rows: list[int]) -> None:
    """Prevents ids that meet, when a batch passes a power of ten or 2^32."""
    made = row_ids("0123456789abcdef-1-", pl.Series("_source_row", rows, pl.Int64))
    assert made.to_list() == [f"0123456789abcdef-1-{row}" for row in rows]
    assert (made.name, made.dtype) == ("_row_id", pl.String)
