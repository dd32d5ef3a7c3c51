"""Sums of elements by indicator, to be added to: what windows over many scores are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from quality_checks.scoring import Count, Tally


@dataclass(slots=True)
class Sums:
    """Indicator code → elements evaluated, failed, and verdicts of rules."""

    counts: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        codes: Sequence[str],
        evaluated: Sequence[int],
        failed: Sequence[int],
        rules: Sequence[int],
    ) -> Self:
        """Of columns side by side, one place for each code; places beyond the codes are empty."""
        sums = cls()
        sums.add_columns(codes, evaluated, failed, rules)
        return sums

    def add_columns(
        self,
        codes: Sequence[str],
        evaluated: Sequence[int],
        failed: Sequence[int],
        rules: Sequence[int],
    ) -> None:
        """Add columns as ``of`` takes them."""
        for place, code in enumerate(codes):
            self.add(code, evaluated[place], failed[place], rules[place])

    def add(self, code: str, evaluated: int, failed: int, rules: int) -> None:
        """Add elements of one indicator."""
        count = self.counts.get(code)
        if count is None:
            self.counts[code] = [evaluated, failed, rules]
        else:
            count[0] += evaluated
            count[1] += failed
            count[2] += rules

    def add_all(self, other: Sums, sign: int = 1) -> None:
        """Add all of other sums, or take them away (``sign`` -1)."""
        for code, (evaluated, failed, rules) in other.counts.items():
            self.add(code, sign * evaluated, sign * failed, sign * rules)

    def tally(self) -> Tally:
        """The sums for scoring."""
        return Tally(
            counts={
                code: Count(evaluated=evaluated, failed=failed, rules=rules)
                for code, (evaluated, failed, rules) in self.counts.items()
                if evaluated > 0
            }
        )
