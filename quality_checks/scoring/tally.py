"""Counting: what rule results add up to, before anybody weighs them.

Sums are all that is kept. They can be added in any order and grouping, so the card of a department
or of the city comes from the same formula as a single delivery's, and a large dataset counts for
more than a small one, as the standard's A / B over elements says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Self

from cityledger.records import Record, RuleResult, RuleStatus
from pydantic import Field


class Count(Record):
    """Elements of one indicator.

    Attributes:
        evaluated: Elements looked at: B of the standard.
        failed: Elements among them that broke a rule.
        rules: Verdicts of rules that the sums come from.
    """

    evaluated: int
    failed: int
    rules: int = 1

    def __add__(self, other: Self) -> Self:
        return self.model_copy(
            update={
                "evaluated": self.evaluated + other.evaluated,
                "failed": self.failed + other.failed,
                "rules": self.rules + other.rules,
            }
        )


class Unchecked(Record):
    """A rule that could not be checked: it says nothing about the data, neither good nor bad."""

    key: str
    gb_code: str
    message: str = ""


class Tally(Record):
    """The sums of some rule results.

    Attributes:
        counts: Indicator code → its elements; an indicator that nothing assessed is missing.
        unchecked: Rules that ended in an error, each key once, in order of key.
    """

    counts: Mapping[str, Count] = Field(default_factory=dict)
    unchecked: tuple[Unchecked, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        counts = dict(self.counts)
        for code, count in other.counts.items():
            counts[code] = counts[code] + count if code in counts else count
        return Tally(counts=counts, unchecked=_once((*self.unchecked, *other.unchecked)))


def tally(results: Iterable[RuleResult]) -> Tally:
    """Add up rule results.

    A result in error counts as not assessed. One that looked at nothing has assessed nothing. All
    severities count: severity says what a broken rule does to a row, not how true it is.
    """
    counts: dict[str, Count] = {}
    unchecked: list[Unchecked] = []
    for result in results:
        if result.status is RuleStatus.ERROR:
            unchecked.append(
                Unchecked(key=result.key, gb_code=result.gb_code, message=result.message)
            )
            continue
        # A rule that counts more failures than elements (rows missing from a short table) has
        # failed entirely, not by more than a hundred percent.
        evaluated = max(result.evaluated, result.failed)
        if evaluated:
            found = Count(evaluated=evaluated, failed=result.failed)
            code = result.gb_code
            counts[code] = counts[code] + found if code in counts else found
    return Tally(counts=counts, unchecked=_once(unchecked))


def _once(unchecked: Iterable[Unchecked]) -> tuple[Unchecked, ...]:
    # The smallest message of a key: which one is shown must not depend on the order of adding.
    found: dict[str, Unchecked] = {}
    for one in sorted(unchecked, key=lambda one: (one.key, one.message, one.gb_code)):
        found.setdefault(one.key, one)
    return tuple(found.values())
