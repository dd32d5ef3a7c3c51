"""How departments stand with their orders."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from itertools import groupby

from cityledger.contracts.working_days import WorkingDays
from cityledger.orders.records import DepartmentStatistics, Order, OrderState


def summarise(
    orders: Iterable[Order], today: date, working_days: WorkingDays
) -> list[DepartmentStatistics]:
    """Count orders by department, in order of its id."""
    ranked = sorted(orders, key=lambda order: order.department)
    return [
        _of(department, list(group), today, working_days)
        for department, group in groupby(ranked, key=lambda order: order.department)
    ]


def _of(
    department: str, orders: list[Order], today: date, working_days: WorkingDays
) -> DepartmentStatistics:
    took = [
        working_days.between(order.opened_on, order.finished_on)
        for order in orders
        if order.state is OrderState.CLOSED and order.finished_on
    ]
    return DepartmentStatistics(
        department=department,
        open=sum(not order.final for order in orders),
        overdue=sum(order.overdue(today) for order in orders),
        closed=len(took),
        waived=sum(order.state is OrderState.WAIVED for order in orders),
        average_working_days=sum(took) / len(took) if took else None,
    )
