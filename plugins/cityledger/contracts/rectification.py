"""When a rectification order (整改单) is opened, and how long a department has.

City-wide figures stand in ``city.yaml`` under ``rectification``; a contract may differ in the
custom property of the same name. Both have the same keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cityledger.contracts.node import Node

_MAX_WORKING_DAYS = 250


@dataclass(frozen=True, slots=True)
class Rectification:
    """The terms of rectification orders.

    Attributes:
        open_above_percent: An order is opened when a larger share of a delivery's records than
            this is quarantined or rejected (rows that layouts foresee don't count).
        open_on_held: An order is opened when the gate holds the delivery.
        due_working_days: Time to deliver again, in working days after the opening.
        escalate_after_working_days: Working days after the due date until somebody else hears.
        escalate_to: Who hears then: a mail address or a name; empty for the contract's steward.
    """

    open_above_percent: float = 5.0
    open_on_held: bool = True
    due_working_days: int = 5
    escalate_after_working_days: int = 3
    escalate_to: str = ""

    def but(self, differences: Mapping[str, Any]) -> Rectification:
        """These terms with a contract's own in place of some."""
        return replace(self, **differences)


def read_rectification(node: Node | None) -> dict[str, Any]:
    """Read the keys that are given, as field names of :class:`Rectification`."""
    if node is None or not node.present:
        return {}
    readers: dict[str, tuple[str, Callable[[Node], Any]]] = {
        "openAbovePercent": ("open_above_percent", _percent),
        "openOnHeld": ("open_on_held", Node.flag),
        "dueWorkingDays": ("due_working_days", _working_days),
        "escalateAfterWorkingDays": ("escalate_after_working_days", _working_days),
        "escalateTo": ("escalate_to", Node.text),
    }
    node.only(readers)
    given = {field: read(node[key]) for key, (field, read) in readers.items() if node[key].present}
    return {field: value for field, value in given.items() if value is not None}


def _percent(node: Node) -> float | None:
    value = node.number()
    if value is not None and not 0 <= value <= 100:
        node.add(f"{value} is no percentage", "write 0 to 100 (5 means five in a hundred)")
        return None
    return None if value is None else float(value)


def _working_days(node: Node) -> int | None:
    value = node.integer(minimum=1)
    if value is not None and value > _MAX_WORKING_DAYS:
        node.add(f"{value} working days are more than a year", f"1 to {_MAX_WORKING_DAYS}")
        return None
    return value
