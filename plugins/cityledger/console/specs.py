"""Vega-Lite specifications, written by Altair: lines, scores by day, deliveries by day.

Marks differ by shape or dash as well as by colour. Altair takes some 20 ms for a specification, of
which nothing but the figures changes from page to page: what it has written is kept without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import altair as alt

from cityledger.console.scale import HEAT, HEAT_BOUNDS, Point

#: Colours that stand out 3:1 from the light and from the dark sheet (computed in a test), chosen
#: to stay apart for people with red-green or blue-yellow blindness.
SERIES = ("#2f7cc0", "#c4661f", "#0e8f80", "#9a63b0", "#7d7f86", "#b0527a")
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [10, 4])
_FONT = "Noto Sans SC, sans-serif"

#: State of a delivery → colour and shape.
DELIVERY_MARKS = {
    "on_time": ("#0e8f80", "circle"),
    "late": ("#c4661f", "triangle-up"),
    "held": ("#9a63b0", "square"),
    "missing": ("#c23a54", "cross"),
    "not_due": ("#7d7f86", "stroke"),
}
_FIGURES = alt.NamedData(name="figures")
_KEPT = 200  # each some 3 kB
#: One page holds any number of charts; their own drawings are as wide as this, in px.
_WIDTH = 620


def lines(
    points: Sequence[Point],
    unit: str,
    bounds: tuple[float, float] | None,
    levels: Sequence[tuple[str, float]],
) -> dict[str, Any]:
    """Lines over time, each series in a colour and a dash of its own.

    Args:
        points: All series.
        unit: Title of the upright axis.
        bounds: Of the upright axis; None fits the figures.
        levels: Named horizontal lines: a target, a threshold.
    """
    names = tuple(dict.fromkeys(point.series for point in points))
    rows = [{"s": point.series, "x": point.at, "y": point.value} for point in points]
    return _filled(_lines(names, unit, bounds, tuple(levels)), rows)


@lru_cache(_KEPT)
def _lines(
    names: tuple[str, ...],
    unit: str,
    bounds: tuple[float, float] | None,
    levels: tuple[tuple[str, float], ...],
) -> dict[str, Any]:
    scale = alt.Scale(domain=list(bounds), nice=False) if bounds else alt.Scale(zero=False)
    legend = alt.Legend(title=None, orient="bottom", columns=3) if len(names) > 1 else None
    base = alt.Chart(_FIGURES).encode(
        x=_days(),
        y=alt.Y("y:Q", title=unit or None, scale=scale, axis=alt.Axis(tickCount=5)),
        color=alt.Color("s:N", scale=_scale(names, SERIES), legend=legend),
    )
    dashes = alt.StrokeDash("s:N", scale=_scale(names, _DASHES), legend=None)
    drawn = base.mark_line(strokeWidth=2).encode(strokeDash=dashes)
    dots = base.mark_point(filled=True, size=36, opacity=1).encode(
        tooltip=_tooltips("x:O", "s:N", "y:Q")
    )
    return _spec(alt.layer(drawn, dots, *_levels(levels)).properties(width=_WIDTH, height=220))


def heat(cells: Iterable[tuple[str, str, float | None]], unit: str) -> dict[str, Any]:
    """Scores of 0 to 100 by row and day, light where good.

    Args:
        cells: ``(row, day, score)``; None leaves the cell empty.
        unit: Title of the legend.
    """
    rows = [{"r": row, "x": at, "v": value} for row, at, value in cells if value is not None]
    return _filled(_heat(unit), rows)


@lru_cache(_KEPT)
def _heat(unit: str) -> dict[str, Any]:
    classes = alt.Scale(type="threshold", domain=list(HEAT_BOUNDS), range=list(HEAT))
    chart = (
        alt.Chart(_FIGURES)
        .mark_rect()
        .encode(
            x=_days(),
            y=_rows(),
            color=alt.Color("v:Q", scale=classes, legend=alt.Legend(title=unit, orient="right")),
            tooltip=_tooltips("r:N", "x:O", "v:Q"),
        )
        .properties(width=_WIDTH - 100, height=alt.Step(26))
    )
    return _spec(chart)


def calendar(marks: Iterable[tuple[str, str, str]], states: Mapping[str, str]) -> dict[str, Any]:
    """Deliveries by row and period, each state with a colour and a shape of its own.

    Args:
        marks: ``(row, period, state)``; states are those of :data:`DELIVERY_MARKS`.
        states: State → text in the reader's language.
    """
    rows = [{"r": row, "x": at, "s": states[state]} for row, at, state in marks]
    present = {row["s"] for row in rows}
    shown = tuple((state, states[state]) for state in DELIVERY_MARKS if states[state] in present)
    return _filled(_calendar(shown), rows)


@lru_cache(_KEPT)
def _calendar(shown: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    names = [name for _, name in shown]
    legend = alt.Legend(title=None, orient="bottom", columns=5)
    colours, shapes = ([DELIVERY_MARKS[state][part] for state, _ in shown] for part in (0, 1))
    chart = (
        alt.Chart(_FIGURES)
        .mark_point(filled=True, size=90, opacity=1)
        .encode(
            x=_days(),
            y=_rows(),
            color=alt.Color("s:N", scale=_scale(names, colours), legend=legend),
            shape=alt.Shape("s:N", scale=_scale(names, shapes), legend=legend),
            tooltip=_tooltips("r:N", "x:O", "s:N"),
        )
        .properties(width=_WIDTH, height=alt.Step(28))
    )
    return _spec(chart)


def _days() -> alt.X:
    """The axis of days or periods; the year of a day is left out, labels never touch."""
    axis = alt.Axis(
        labelAngle=0,
        labelOverlap="greedy",
        labelSeparation=14,
        labelExpr="length(datum.label) == 10 ? slice(datum.label, 5) : datum.label",
    )
    return alt.X("x:O", title=None, axis=axis)


def _rows() -> alt.Y:
    return alt.Y("r:N", title=None, sort=None, axis=alt.Axis(labelLimit=240))


def _scale(names: Sequence[str], values: Sequence[Any]) -> alt.Scale:
    return alt.Scale(domain=list(names), range=[values[i % len(values)] for i in range(len(names))])


def _tooltips(*fields: str) -> list[alt.Tooltip]:
    """Without names: the tooltip shows figures that the axes have named (titles must differ)."""
    return [alt.Tooltip(field, title=" " * (place + 1)) for place, field in enumerate(fields)]


def _levels(levels: Sequence[tuple[str, float]]) -> list[alt.Chart]:
    drawn: list[alt.Chart] = []
    for name, value in levels:
        level = alt.Chart(alt.InlineData(values=[{"y": value, "n": name}]))
        drawn.append(level.mark_rule(strokeDash=[5, 4], color="currentColor").encode(y="y:Q"))
        text = level.mark_text(align="left", dy=-6, dx=4, color="currentColor")
        drawn.append(text.encode(y="y:Q", x=alt.value(0), text="n:N"))
    return drawn


def _filled(spec: Mapping[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A kept specification with its figures."""
    return {**spec, "datasets": {**spec.get("datasets", {}), _FIGURES.name: rows}}


def _spec(chart: Any) -> dict[str, Any]:
    """The specification in the look of the pages; ``currentColor`` follows light and dark."""
    ink = "currentColor"
    spec: dict[str, Any] = (
        chart.configure(background="transparent", font=_FONT, padding=4)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=ink,
            titleColor=ink,
            domainColor=ink,
            tickColor=ink,
            gridColor=ink,
            gridOpacity=0.12,
            domainOpacity=0.4,
            tickOpacity=0.4,
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
        )
        .configure_legend(
            labelColor=ink,
            titleColor=ink,
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            symbolSize=80,
        )
        .to_dict(validate=False)
    )
    return spec
