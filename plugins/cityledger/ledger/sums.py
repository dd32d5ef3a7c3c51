"""Sums of elements by indicator, to be added to: what windows over many scores are made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from quality_checks.scoring import Count, Tally


@dataclass(slots=True)
class Sums:
    """Indicator code → elements evaluated, failed, and verdicts of rules."""

    counts: dict[str, list[int]] = field(default_factory=dict)

    def add(self, code: str, evaluated: int, failed: int, rules: int) -> None:
        """Add elements of one indicator."""
        count = self.counts.get(code)
        if count is None:
            self.counts[code] = [evaluated, failed, rules]
        else:
            count[0] += evaluated
            count[1] += failed
            count[2] += rules

    def add_all(self, other: Sums) -> None:
        """Add all of other sums."""
        for code, (evaluated, failed, rules) in other.counts.items():
            self.add(code, evaluated, failed, rules)

    def tally(self) -> Tally:
        """The sums for scoring."""
        return Tally(
            counts={
                code: Count(evaluated=evaluated, failed=failed, rules=rules)
                for code, (evaluated, failed, rules) in self.counts.items()
                if evaluated > 0
            }
        )
