"""Working days: holidays, weekends that are worked, years that nobody has announced yet."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from cityledger.contracts.lint import lint
from cityledger.contracts.violations import ContractError
from cityledger.contracts.working_days import WorkingDays
from hypothesis import given
from hypothesis import strategies as st

from .conftest import PROJECT

DAYS = st.dates(date(2003, 1, 1), date(2040, 12, 31))
EVERY_DAY = WorkingDays()

YEARS = """
years:
  - year: 2099
    source: test
    off: [2099-01-01, 2099-01-05]
    working: [2099-01-03]
"""


def _load(folder: Path, text: str) -> WorkingDays:
    (folder / "working_days.yaml").write_text(text, encoding="utf-8")
    return WorkingDays.load(folder)


def test_holidays_and_worked_weekends_of_the_library_count() -> None:
    """Prevents a deadline that falls into the National Day week, or skips a Sunday that is worked.

    In 2026 the first to seventh of October are off and Sunday, 20 September is worked.
    """
    assert not EVERY_DAY.is_working(date(2026, 10, 1))
    assert EVERY_DAY.is_working(date(2026, 9, 20))
    assert EVERY_DAY.add(date(2026, 9, 30), 1) == date(2026, 10, 8)


def test_a_year_that_nobody_announced_has_weekends_only_and_says_so() -> None:
    """Prevents a crash, or a silently wrong deadline, after the library's last year."""
    assert EVERY_DAY.knows(2026)
    assert not EVERY_DAY.knows(2035)
    assert EVERY_DAY.is_working(date(2035, 10, 1))
    assert not EVERY_DAY.is_working(date(2035, 10, 6))


def test_the_file_announces_years_and_overrides_days(tmp_path: Path) -> None:
    """Prevents a city from waiting for a new release of the library."""
    days = _load(tmp_path, YEARS)
    assert days.knows(2099)
    assert [days.is_working(date(2099, 1, day)) for day in range(1, 7)] == [
        False,
        True,
        True,  # a Saturday, worked
        False,
        False,  # a Monday, off
        True,
    ]
    override = _load(tmp_path, YEARS.replace("2099", "2026"))
    assert not override.is_working(date(2026, 1, 5))
    assert override.is_working(date(2026, 1, 7))


def test_the_shipped_file_is_read() -> None:
    """Prevents a broken file in the house that we ship."""
    assert WorkingDays.load(PROJECT / "contracts").knows(2026)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("years: [{year: 2099, source: x, holidays: []}]", "unknown key 'holidays'"),
        ("year: []", "unknown key 'year'"),
        ("years: [{year: 2099, source: x, off: [2098-01-01]}]", "2098-01-01 is not in 2099"),
        ("years: [{year: 2099, source: x, off: ['1 May']}]", "not a date"),
        ("years: [{year: 2099, source: x, off: [~]}]", "a date is expected"),
        (
            "years: [{year: 2099, source: x, off: [2099-01-02], working: [2099-01-02]}]",
            "given twice",
        ),
        ("years: [{year: 2099, source: x}, {year: 2099, source: x}]", "2099 is given twice"),
        ("years: [{source: x}]", "'year' is missing"),
        ("years: [{year: 2099}]", "'source' is missing"),
        ("years: [{year: 99999, source: x}]", "no year"),
        ("years: 2099", "a list is expected"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    """Prevents a typing error from becoming a wrong deadline; the lint names it as well."""
    with pytest.raises(ContractError, match=message) as caught:
        _load(tmp_path, text)
    assert caught.value.violations[0].line == 1
    assert any(message in found.message for found in lint(tmp_path))


@given(DAYS, st.integers(1, 60))
def test_add_and_between_agree(day: date, n: int) -> None:
    """Prevents "overdue by one day" where the clock was set to just now."""
    due = EVERY_DAY.add(day, n)
    assert EVERY_DAY.is_working(due)
    assert EVERY_DAY.between(day, due) == n
    assert EVERY_DAY.between(day, due - timedelta(days=1)) == n - 1
    assert EVERY_DAY.between(due, day) == -n


@given(DAYS)
def test_adding_nothing_gives_the_day_or_the_next_working_one(day: date) -> None:
    """Prevents a due date on a holiday."""
    found = EVERY_DAY.add(day, 0)
    assert found >= day
    assert EVERY_DAY.is_working(found)
    assert EVERY_DAY.add(found, 0) == found
    assert EVERY_DAY.add(EVERY_DAY.add(day, -1), 1) == found
