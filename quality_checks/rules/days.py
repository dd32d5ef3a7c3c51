"""Rules about days: their precision, the delivery's period, and days that stand for "unknown"."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl
from cityledger.contracts.model import ColumnType, Scope

from quality_checks.rules.base import Call, Example, row_rule
from quality_checks.rules.columns import unless_null

_DAYS = (ColumnType.DATE, ColumnType.TIMESTAMP)
DEFAULT_DAYS = (date(1900, 1, 1), date(1970, 1, 1), date(9999, 12, 31))
"""What systems write when nobody entered a day: the epochs of Excel and Unix, and no end."""

# From the finest on; "cumulative" (1-3月) and "open" (长期) are no precision at all.
_PRECISIONS: Mapping[str, tuple[str, ...]] = {
    "day": ("day",),
    "month": ("day", "month"),
    "quarter": ("day", "month", "quarter"),
    "half": ("day", "month", "quarter", "half"),
    "year": ("day", "month", "quarter", "half", "year"),
}


def _day(call: Call) -> pl.Expr:
    if call.types[call.column] not in _DAYS:
        raise call.refuse(f"'{call.column}' is no date", "name a date or timestamp column")
    return call.value.cast(pl.Date)


def _whole(call: Call, name: str) -> int:
    given = call.get(name, 0)
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise call.refuse(f"argument '{name}' is no number of days", "write 0, 1, 2 …")
    return int(given)


@row_rule(
    gb_code="0104",
    source="GB/T 36344 0104; a record can't report what lies after its own period",
    optional=("days",),
    scopes=(Scope.ROW,),
    example=Example(good={"a": [date(2026, 3, 31), None]}, bad={"a": [date(2026, 4, 1)]}),
)
def not_in_future(call: Call) -> pl.Expr:
    """The day is not after the last day of the delivery's period, ``days`` more allowed."""
    latest = call.as_of + timedelta(days=_whole(call, "days"))
    return unless_null(call.value, _day(call) <= latest)


@row_rule(
    gb_code="0501",
    source="GB/T 36344 0501 基于时间段的正确性; operating day against calendar day",
    optional=("daysBefore", "daysAfter"),
    scopes=(Scope.ROW,),
    example=Example(
        good={"a": [date(2026, 3, 31), date(2026, 3, 30)]},
        bad={"a": [date(2026, 4, 1), date(2026, 3, 29)]},
        arguments={"daysBefore": 1},
    ),
)
def in_period(call: Call) -> pl.Expr:
    """The day lies in the delivery's period, give or take ``daysBefore`` and ``daysAfter``."""
    since = call.since or call.as_of
    low = since - timedelta(days=_whole(call, "daysBefore"))
    high = call.as_of + timedelta(days=_whole(call, "daysAfter"))
    return unless_null(call.value, _day(call).is_between(low, high))


@row_rule(
    gb_code="0302",
    source="GB/T 7408.1 (ISO 8601): a date of reduced precision is no day",
    required=("precision",),
    scopes=(Scope.ROW,),
    example=Example(
        good={"a": [date(2026, 3, 5), date(2026, 3, 1)], "a_precision": ["day", "month"]},
        bad={"a": [date(2026, 1, 1)], "a_precision": ["year"]},
        arguments={"precision": "month"},
        columns=("a",),
    ),
)
def precise_to(call: Call) -> pl.Expr:
    """A ``chinese_date`` is known to the ``precision`` (day, month, quarter, half, year) or finer.

    A cumulative period (1-3月) and an open end (长期) are known to none.
    """
    wanted, extra = str(call.get("precision")), f"{call.column}_precision"
    if wanted not in _PRECISIONS:
        raise call.refuse(f"no precision is called '{wanted}'", f"use {', '.join(_PRECISIONS)}")
    if extra not in call.types:
        raise call.refuse(f"'{call.column}' keeps no precision", "give it valueType chinese_date")
    fine = pl.col(extra).is_in(list(_PRECISIONS[wanted])).fill_null(value=False)
    return unless_null(call.value, fine)


@row_rule(
    gb_code="0305",
    source="GB/T 36344 0305; 1900-01-01 and 1970-01-01 are what systems write for no day",
    optional=("values",),
    example=Example(good={"a": [date(2026, 3, 5)]}, bad={"a": [date(1970, 1, 1)]}),
)
def no_default_day(call: Call) -> pl.Expr:
    """The day is no stand-in for a missing one: ``values``, or the epochs and 9999-12-31."""
    given = call.get("values")
    try:
        days = DEFAULT_DAYS if given is None else [date.fromisoformat(str(day)) for day in given]
    except ValueError:
        raise call.refuse("argument 'values' holds no days", "write YYYY-MM-DD") from None
    return unless_null(call.value, ~_day(call).is_in(list(days)))
