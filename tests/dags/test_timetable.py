"""Which partition a scheduled run, a triggered run and a backfill are for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from airflow.exceptions import InvalidPartitionKeyError
from airflow.timetables.base import TimeRestriction
from cityledger.airflow.timetable import DeliveryTimetable
from cityledger.contracts.identity import Partition
from hypothesis import given
from hypothesis import strategies as st

GRAINS = ["day", "month", "quarter", "year"]
DAYS = st.dates(date(1999, 1, 1), date(2100, 12, 31))


def timetable(grain: str, cron: str | None = "0 6 * * *") -> DeliveryTimetable:
    return DeliveryTimetable(cron, grain=grain, timezone="Asia/Shanghai")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def next_key(table: DeliveryTimetable, earliest: str) -> tuple[datetime, str | None]:
    restriction = TimeRestriction(earliest=_pendulum(earliest), latest=None, catchup=True)
    info = table.next_dagrun_info_v2(last_dagrun_info=None, restriction=restriction)
    assert info is not None
    return info.run_after, info.partition_key


def _pendulum(text: str):
    from pendulum import instance

    return instance(at(text))


@pytest.mark.parametrize(
    ("grain", "cron", "earliest", "key"),
    [
        ("day", "0 6 * * *", "2026-03-31T12:00", "2026-03-31"),
        ("day", "30 0 * * *", "2026-02-28T16:10", "2026-02-28"),  # 00:30 in Shanghai, 1 March
        ("month", "0 7 3 * *", "2026-12-31T00:00", "2026-12"),
        ("quarter", "0 7 10 1,4,7,10 *", "2026-09-01T00:00", "2026-Q3"),
        ("year", "0 8 1 3 *", "2026-01-15T00:00", "2025"),
    ],
)
def test_a_scheduled_run_is_for_the_period_that_ended_last(
    grain: str, cron: str, earliest: str, key: str
) -> None:
    """A run for the day that is just beginning would find no file, every day."""
    assert next_key(timetable(grain, cron), earliest)[1] == key


@given(grain=st.sampled_from(GRAINS), day=DAYS)
def test_the_scheduled_period_is_over_and_the_next_is_not(grain: str, day: date) -> None:
    """Whatever the cron expression, no period is skipped and none is fetched before its end."""
    run_after, key = next_key(timetable(grain), day.isoformat())
    local = (run_after + timedelta(hours=8)).date()
    assert key is not None
    partition = Partition.parse(key)
    assert partition.grain == grain
    assert partition.end < local
    assert Partition.covering(partition.end + timedelta(days=1), grain).end >= local


@given(grain=st.sampled_from(GRAINS), first=DAYS, days=st.integers(0, 800))
def test_a_backfill_takes_every_period_that_starts_in_its_range_once(
    grain: str, first: date, days: int
) -> None:
    """A gap in a backfill is a gap in the published series."""
    last = first + timedelta(days=days)
    infos = timetable(grain).iter_partition_dagrun_infos(
        earliest=at(first.isoformat()), latest=at(last.isoformat())
    )
    keys = [info.partition_key for info in infos]
    every = [first + timedelta(days=step) for step in range(days + 1)]
    starts = {Partition.covering(day, grain) for day in every}
    assert keys == [
        str(partition)
        for partition in sorted(starts, key=lambda one: one.start)
        if first <= partition.start
    ]


@given(grain=st.sampled_from(GRAINS), day=DAYS)
def test_a_key_means_the_first_day_of_its_period(grain: str, day: date) -> None:
    """Airflow filters and sorts runs by that date."""
    partition = Partition.covering(day, grain)
    resolved = timetable(grain).resolve_partition_date(str(partition))
    assert resolved is not None
    assert resolved.date() == partition.start


@pytest.mark.parametrize(
    "key", ["2026-03", "2026", "2026-02-30", "yesterday", "2026-3-1", "2026-Q1"]
)
def test_a_key_of_another_spelling_or_grain_is_refused_when_triggered(key: str) -> None:
    """Accepted, it would fail minutes later in a task, or fetch the wrong files."""
    with pytest.raises(InvalidPartitionKeyError, match="→"):
        timetable("day").resolve_partition_date(key)


def test_a_dataset_without_schedule_waits_to_be_triggered() -> None:
    """Not every department delivers regularly."""
    table = timetable("year", None)
    restriction = TimeRestriction(earliest=None, latest=None, catchup=False)
    assert table.next_dagrun_info_v2(last_dagrun_info=None, restriction=restriction) is None
    assert not table.can_be_scheduled
    assert DeliveryTimetable.deserialize(table.serialize()).serialize() == table.serialize()
    assert table.resolve_partition_date("2026") is not None
