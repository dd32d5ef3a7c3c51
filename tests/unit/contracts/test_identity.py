"""Dataset ids and partition keys: the two names that everything is called by."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from cityledger.contracts.identity import DatasetId, Partition
from cityledger.errors import BadInputError
from hypothesis import given
from hypothesis import strategies as st

_NAMES = st.from_regex(r"[a-z][a-z0-9]{0,5}(_[a-z0-9]{1,5}){0,2}", fullmatch=True)
_DAYS = st.dates(date(1000, 1, 2), date(9999, 12, 31))
_GRAINS = st.sampled_from(["day", "month", "quarter", "year"])


@given(department=_NAMES, name=_NAMES)
def test_dataset_ids_round_trip(department: str, name: str) -> None:
    """The id is path, prefix, model and DAG id: it must come back unchanged."""
    dataset = DatasetId.parse(f"{department}.{name}")
    assert str(dataset) == f"{department}.{name}"
    assert dataset.prefix == f"{department}/{name}"
    assert dataset.model == f"{department}__{name}"


@given(text=st.text(max_size=20))
def test_other_texts_are_no_dataset_ids(text: str) -> None:
    """An id reaches object keys and SQL: nothing but two snake-case names may pass."""
    try:
        dataset = DatasetId.parse(text)
    except BadInputError:
        return
    assert str(dataset) == text
    assert text.isascii()


@pytest.mark.parametrize(
    "text", ["a.b\n", "a..b", "A.b", "a.b.c", "a__b.c", "_a.b", "a/b.c", "甲.乙"]
)
def test_near_misses(text: str) -> None:
    """A trailing line feed slips through a careless regular expression."""
    with pytest.raises(BadInputError):
        DatasetId.parse(text)


@given(day=_DAYS, grain=_GRAINS)
def test_a_partition_covers_its_day_and_round_trips(day: date, grain: str) -> None:
    """A day in no partition, or in two, is lost or counted twice."""
    partition = Partition.covering(day, grain)
    assert partition.grain == grain
    assert partition.start <= day <= partition.end
    assert Partition.parse(partition.key) == partition
    assert Partition.covering(partition.start, grain) == partition
    assert Partition.covering(partition.end, grain) == partition


@given(day=st.dates(date(1001, 1, 1), date(9999, 12, 31)), grain=_GRAINS)
def test_partitions_adjoin(day: date, grain: str) -> None:
    """`previous` ends the day before: no gap, no overlap."""
    partition = Partition.covering(day, grain)
    assert partition.previous().end + timedelta(days=1) == partition.start
    assert partition.previous().grain == grain


@given(text=st.text(st.sampled_from("0123456789-Q \n"), max_size=12))
def test_other_texts_are_no_partition_keys(text: str) -> None:
    """A key reaches object keys and file patterns."""
    try:
        partition = Partition.parse(text)
    except BadInputError:
        return
    assert partition.key == text == text.strip()


@pytest.mark.parametrize(
    "text",
    ["2026-13", "2026-02-30", "2026-Q5", "26-01", "0000-01-01", "2026-1", "2026-01\n", "２０２６"],
)
def test_bad_partition_keys(text: str) -> None:
    """Each of these was seen in a department's file name."""
    with pytest.raises(BadInputError):
        Partition.parse(text)
