"""Figures of charts, and the classes that scores are coloured by; needs no chart library."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from cityledger.ledger.quality_records import RulePoint

#: Classes of scores: cividis, dark to light, finer where good data lies. The stylesheet has the
#: same colours (``--heat-0`` …), with the text colour that reads on each.
HEAT_BOUNDS = (50, 60, 70, 80, 90, 95, 99)
HEAT = (
    "#002051",
    "#16396d",
    "#47536d",
    "#6e6d71",
    "#8c8877",
    "#aea575",
    "#d8c462",
    "#fce647",
)


@dataclass(frozen=True, slots=True)
class Point:
    """One figure of a series.

    Attributes:
        at: ISO day or period; they sort as text.
        value: None leaves a gap.
    """

    series: str
    at: str
    value: float | None


def heat_class(score: float | None) -> int | None:
    """The class of a score in :data:`HEAT`; None when it was not assessed."""
    return None if score is None else bisect_right(HEAT_BOUNDS, score)


def shares(history: Iterable[RulePoint]) -> list[float | None]:
    """The broken share of each verdict, 0 to 1; None where nothing was evaluated."""
    return [one.failed / one.evaluated if one.evaluated else None for one in history]
