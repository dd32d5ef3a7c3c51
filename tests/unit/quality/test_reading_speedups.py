"""The quick ways to read a clean column give what the thorough ways give."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from quality_checks.values.base import BLANKS
from quality_checks.values.formats import parse_datetime
from quality_checks.values.text import stripped

# Bytes of these end or start like those of a blank: 。〿 like U+3000, ġ like U+00A0, ‚ like U+200B.
_CELLS = st.text(alphabet=BLANKS + "ab办〿。\u0820ġ‚\u2000\u00bf\ufefe", max_size=6)
_CLOCK = "%Y-%m-%d %H:%M:%S"


@given(st.lists(st.none() | _CELLS, min_size=1), st.integers(0, 3))
@example(["", "\u3000"], 0)
@example(["", " "], 0)
@example(["", "\u00bf"], 0)
def test_padding_is_found_wherever_it_is(cells: list[str | None], skipped: int) -> None:
    """Prevents padding that the cheap test overlooks, in whole columns and in slices."""
    texts = pl.Series("text", cells, pl.String)[skipped:]
    found = texts.to_frame().select(stripped(pl.col("text"), ("ab",))).to_series()
    want = [None if cell is None else cell.strip(BLANKS) for cell in cells[skipped:]]
    assert found.to_list() == [None if cell in ("", "ab") else cell for cell in want]


@pytest.mark.parametrize(
    "odd",
    [
        None,
        "2026-02-30 09:05:00",
        "2026-03-31 09:05:60",
        "2026-03-31 24:00:00",
        "2026-03-31T09:05+08",
        "2026-03-31 09:05 AM",
        "0026-03-31 09:05:00",
        "9999-12-31 23:59:59",
        "２026-03-31 9:05:0",
    ],
)
def test_clock_times_are_read_alike_with_and_without_odd_neighbours(odd: str | None) -> None:
    """Prevents a time whose value depends on which reader its batch happened to get."""
    plain = ["2026-03-31 09:05:00", "1986-05-04 23:59:59", "2024-02-29 00:00:00"]
    texts = pl.Series([*plain, odd], dtype=pl.String)
    want = texts.str.to_datetime(_CLOCK, strict=False, time_unit="us").to_list()
    want = [when if when and 1000 <= when.year < 9999 else None for when in want]
    assert parse_datetime(texts, _CLOCK).to_list() == want
    alone = pl.Series([odd], dtype=pl.String)
    assert parse_datetime(alone, _CLOCK).to_list() == want[-1:]
