"""Things that hold for a period: codes and areas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from cityledger.contracts.node import Node


@dataclass(frozen=True, slots=True)
class Code:
    """A code in one period of its validity.

    Attributes:
        aliases: Spellings that departments use for it.
        valid_from: First day; None for always.
        valid_to: Last day, inclusive; None while it is in force.
        successors: Codes that took over.
    """

    code: str
    name: str
    english: str = ""
    aliases: tuple[str, ...] = ()
    valid_from: date | None = None
    valid_to: date | None = None
    successors: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def valid_on(self, day: date) -> bool:
        """Whether it is in force on a day."""
        return (self.valid_from or date.min) <= day <= (self.valid_to or date.max)


def read_period(node: Node) -> tuple[date | None, date | None]:
    """Read ``valid_from`` and ``valid_to``."""
    first, last = node["valid_from"].day(), node["valid_to"].day()
    if first is not None and last is not None and first > last:
        node["valid_to"].add("the period ends before it begins", "correct the dates")
    return first, last


def check_periods(nodes: Node, entries: Sequence[Code]) -> None:
    """Note codes that are in force twice on one day."""
    seen: dict[str, list[Code]] = {}
    for index, entry in enumerate(entries):
        for other in seen.setdefault(entry.code, []):
            if _overlap(entry, other):
                nodes[index].add(
                    f"code '{entry.code}' is in the list twice for the same days",
                    "remove one, or end its period with valid_to",
                )
        seen[entry.code].append(entry)


def _overlap(one: Code, other: Code) -> bool:
    starts = max(one.valid_from or date.min, other.valid_from or date.min)
    return starts <= min(one.valid_to or date.max, other.valid_to or date.max)
