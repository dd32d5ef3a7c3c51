"""How departments stand with their orders."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from cityledger.contracts.working_days import WorkingDays
from cityledger.orders.records import FINAL, DepartmentStatistics, OrderState
from cityledger.orders.store import Tally


def summarise(tallies: Iterable[Tally], working_days: WorkingDays) -> list[DepartmentStatistics]:
    """Count orders by department.

    Args:
        tallies: In order of department.
        working_days: For the time that closing took.
    """
    return [
        _of(department, list(group), working_days)
        for department, group in groupby(tallies, key=lambda tally: tally.department)
    ]


def _of(department: str, tallies: list[Tally], working_days: WorkingDays) -> DepartmentStatistics:
    closed = [one for one in tallies if one.state is OrderState.CLOSED]
    count = sum(one.count for one in closed)
    took = sum(
        one.count * working_days.between(one.opened, one.changed)
        for one in closed
        if one.opened and one.changed
    )
    return DepartmentStatistics(
        department=department,
        open=sum(one.count for one in tallies if one.state not in FINAL),
        overdue=sum(one.overdue for one in tallies),
        closed=count,
        waived=sum(one.count for one in tallies if one.state is OrderState.WAIVED),
        average_working_days=took / count if count else None,
    )
