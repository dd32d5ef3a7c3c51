"""Rectification orders (整改单): who has to put which delivery right, and by when."""

from __future__ import annotations

from cityledger.orders.book import OrderBook
from cityledger.orders.desk import OrderDesk
from cityledger.orders.records import (
    DepartmentStatistics,
    EventKind,
    Order,
    OrderEvent,
    OrderState,
    Reminder,
    ReminderKind,
)

__all__ = [
    "DepartmentStatistics",
    "EventKind",
    "Order",
    "OrderBook",
    "OrderDesk",
    "OrderEvent",
    "OrderState",
    "Reminder",
    "ReminderKind",
]
