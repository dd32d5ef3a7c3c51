"""Charts of scores over time that several pages show."""

from __future__ import annotations

from collections.abc import Sequence

from cityledger.console.charts import Chart
from cityledger.console.i18n import mark
from cityledger.console.scale import Point
from cityledger.console.view import View
from cityledger.contracts.scoring import ScoringConfig
from cityledger.ledger.quality_records import DatasetStanding, TrendPoint

_TOTAL = mark("Total score")
_DIMENSIONS = mark("Dimensions by day")
_SCORE = mark("score")
_STANDARD = ScoringConfig()


def total_trend(view: View, trend: Sequence[TrendPoint]) -> Chart | None:
    """The total by day; None when no day has one."""
    title = view.gettext(_TOTAL)
    points = [Point(title, point.day.isoformat(), point.scores.total) for point in trend]
    known = [point.value for point in points if point.value is not None]
    if not known:
        return None
    # Scores of good data lie close together: the axis begins at the ten below the lowest.
    bounds = (max(0.0, (min(known) - 1) // 10 * 10), 100.0)
    return view.desk.charts.lines(points, title=title, unit=view.gettext(_SCORE), bounds=bounds)


def dimension_trend(view: View, trend: Sequence[TrendPoint]) -> Chart | None:
    """The six dimensions by day; None when nothing was assessed."""
    cells = [
        (view.named(one.name, one.name_en), point.day.isoformat(), point.scores.dimensions[one.key])
        for one in _STANDARD.dimensions
        for point in trend
        if point.scores.dimensions.get(one.key) is not None
    ]
    if not cells:
        return None
    return view.desk.charts.heat(cells, title=view.gettext(_DIMENSIONS), unit=view.gettext(_SCORE))


def judged(datasets: Sequence[DatasetStanding]) -> bool:
    """Whether any delivery has been judged: a line of what is merely missing tells nothing."""
    return any(one.newest_partition for one in datasets)
