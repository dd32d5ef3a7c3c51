"""Charts: Altair writes the specification, the server draws it, the browser may bring it to life.

A drawing costs 50 to 250 ms (vl-convert measures every text), so drawings are kept by the content
of their specification, in memory and under ``<home>/console/charts``. What is a table of figures
(the heat map of datasets × dimensions, sparklines) is no chart here but HTML: it has links, reads
aloud, and costs nothing. Marks differ by shape or dash as well as by colour, and every chart stands
beside the table of its figures.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cityledger.console.fonts import font_file

#: Colours that stand out 3:1 from the light and from the dark sheet (computed in a test), chosen
#: to stay apart for people with red-green or blue-yellow blindness.
SERIES = ("#2f7cc0", "#c4661f", "#0e8f80", "#9a63b0", "#7d7f86", "#b0527a")
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [10, 4])
_FONT = "Noto Sans SC, sans-serif"
_VERSION = "6.4"
_KEPT = 500

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

#: State of a delivery → colour and shape.
DELIVERY_MARKS = {
    "on_time": ("#0e8f80", "circle"),
    "late": ("#c4661f", "triangle-up"),
    "held": ("#9a63b0", "square"),
    "missing": ("#c23a54", "cross"),
    "not_due": ("#7d7f86", "stroke"),
}


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


@dataclass(frozen=True, slots=True)
class Chart:
    """A specification and what it shows.

    Attributes:
        spec: Vega-Lite.
        title: What the chart shows, in the reader's language; its accessible name.
        svg: The server's drawing.
    """

    spec: Mapping[str, Any]
    title: str
    svg: Markup

    @property
    def source(self) -> Markup:
        """The specification as JSON that may stand inside a script element."""
        text = json.dumps(self.spec, ensure_ascii=False, separators=(",", ":"))
        return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))  # noqa: S704  JSON


class Charts:
    """Makes charts and keeps their drawings.

    Args:
        folder: Where drawings are kept between processes and restarts.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._recent: OrderedDict[str, str] = OrderedDict()

    def lines(
        self,
        points: Sequence[Point],
        *,
        title: str,
        unit: str = "",
        bounds: tuple[float, float] | None = None,
        levels: Sequence[tuple[str, float]] = (),
    ) -> Chart:
        """Lines over time.

        Args:
            points: All series; each is drawn in its own colour and dash.
            title: What it shows.
            unit: Title of the upright axis.
            bounds: Of the upright axis; None fits the figures.
            levels: Named horizontal lines: a target, a threshold.
        """
        import altair as alt

        names = list(dict.fromkeys(point.series for point in points))
        rows = [{"s": p.series, "x": p.at, "y": p.value} for p in points]
        scale = alt.Scale(domain=list(bounds), nice=False) if bounds else alt.Scale(zero=False)
        several = len(names) > 1
        base = alt.Chart(_data(rows)).encode(
            x=alt.X("x:O", title=None, axis=alt.Axis(labelAngle=0, labelOverlap="greedy")),
            y=alt.Y("y:Q", title=unit or None, scale=scale, axis=alt.Axis(tickCount=5)),
            color=alt.Color(
                "s:N",
                scale=alt.Scale(domain=names, range=list(_cycle(SERIES, len(names)))),
                legend=alt.Legend(title=None, orient="bottom", columns=3) if several else None,
            ),
        )
        drawn = base.mark_line(strokeWidth=2).encode(
            strokeDash=alt.StrokeDash(
                "s:N",
                scale=alt.Scale(domain=names, range=list(_cycle(_DASHES, len(names)))),
                legend=None,
            )
        )
        dots = base.mark_point(filled=True, size=36, opacity=1).encode(
            tooltip=[
                alt.Tooltip("x:O", title=" "),
                alt.Tooltip("s:N", title="  "),
                alt.Tooltip("y:Q", title=unit or "   "),
            ]
        )
        layers = [drawn, dots, *_levels(levels)]
        return self._chart(alt.layer(*layers).properties(width=620, height=220), title)

    def heat(
        self, cells: Iterable[tuple[str, str, float | None]], *, title: str, unit: str
    ) -> Chart:
        """Scores of 0 to 100 by row and day, light where good (cividis).

        Args:
            cells: ``(row, day, score)``; None leaves the cell empty.
            title: What it shows.
            unit: Title of the legend.
        """
        import altair as alt

        rows = [{"r": row, "x": at, "v": value} for row, at, value in cells if value is not None]
        chart = (
            alt.Chart(_data(rows))
            .mark_rect(stroke=None)
            .encode(
                x=alt.X("x:O", title=None, axis=alt.Axis(labelAngle=0, labelOverlap="greedy")),
                y=alt.Y("r:N", title=None, sort=None, axis=alt.Axis(labelLimit=260)),
                color=alt.Color(
                    "v:Q",
                    scale=alt.Scale(type="threshold", domain=list(HEAT_BOUNDS), range=list(HEAT)),
                    legend=alt.Legend(title=unit, orient="right"),
                ),
                tooltip=[
                    alt.Tooltip("r:N", title=" "),
                    alt.Tooltip("x:O", title="  "),
                    alt.Tooltip("v:Q", title=unit),
                ],
            )
            .properties(width=520, height=alt.Step(26))
        )
        return self._chart(chart, title)

    def calendar(
        self,
        marks: Iterable[tuple[str, str, str]],
        *,
        title: str,
        states: Mapping[str, str],
    ) -> Chart:
        """Deliveries by row and due day, each state with a colour and a shape of its own.

        Args:
            marks: ``(row, day or period, state)``; states are those of :data:`DELIVERY_MARKS`.
            title: What it shows.
            states: State → text in the reader's language.
        """
        import altair as alt

        rows = [{"r": row, "x": at, "s": states[state]} for row, at, state in marks]
        present = {row["s"] for row in rows}
        shown = [state for state in DELIVERY_MARKS if states[state] in present]
        domain = [states[state] for state in shown]
        legend = alt.Legend(title=None, orient="bottom", columns=5)
        chart = (
            alt.Chart(_data(rows))
            .mark_point(filled=True, size=90, opacity=1)
            .encode(
                x=alt.X("x:O", title=None, axis=alt.Axis(labelAngle=0, labelOverlap="greedy")),
                y=alt.Y("r:N", title=None, sort=None, axis=alt.Axis(labelLimit=260)),
                color=alt.Color(
                    "s:N",
                    scale=alt.Scale(domain=domain, range=[DELIVERY_MARKS[s][0] for s in shown]),
                    legend=legend,
                ),
                shape=alt.Shape(
                    "s:N",
                    scale=alt.Scale(domain=domain, range=[DELIVERY_MARKS[s][1] for s in shown]),
                    legend=legend,
                ),
                tooltip=[
                    alt.Tooltip("r:N", title=" "),
                    alt.Tooltip("x:O", title="  "),
                    alt.Tooltip("s:N", title="   "),
                ],
            )
            .properties(width=620, height=alt.Step(28))
        )
        return self._chart(chart, title)

    def _chart(self, chart: Any, title: str) -> Chart:
        styled = (
            chart.configure(background="transparent", font=_FONT, padding=4)
            .configure_view(stroke=None)
            .configure_axis(
                labelColor="currentColor",
                titleColor="currentColor",
                domainColor="currentColor",
                tickColor="currentColor",
                gridColor="currentColor",
                gridOpacity=0.12,
                domainOpacity=0.4,
                tickOpacity=0.4,
                labelFontSize=12,
                titleFontSize=12,
                titleFontWeight="normal",
            )
            .configure_legend(
                labelColor="currentColor",
                titleColor="currentColor",
                labelFontSize=12,
                titleFontSize=12,
                titleFontWeight="normal",
                symbolSize=80,
            )
        )
        spec = styled.to_dict(validate=False)
        return Chart(spec, title, Markup(self._drawing(spec)))  # noqa: S704  drawn by vl-convert

    def _drawing(self, spec: Mapping[str, Any]) -> str:
        text = json.dumps(spec, sort_keys=True, ensure_ascii=False)
        name = hashlib.sha256(f"{_VERSION}:{text}".encode()).hexdigest()
        with self._lock:
            known = self._recent.get(name)
            if known is not None:
                self._recent.move_to_end(name)
                return known
        drawing = self._from_disk(name) or self._draw(name, text)
        with self._lock:
            self._recent[name] = drawing
            while len(self._recent) > _KEPT:
                self._recent.popitem(last=False)
        return drawing

    def _from_disk(self, name: str) -> str | None:
        try:
            return (self._folder / f"{name}.svg").read_text("utf-8")
        except FileNotFoundError:
            return None

    def _draw(self, name: str, spec: str) -> str:
        drawing: str = _vl_convert().vegalite_to_svg(spec, vl_version=_VERSION)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._folder / f".{name}.{secrets.token_hex(4)}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as target:
            target.write(drawing)
        fresh.replace(self._folder / f"{name}.svg")
        return drawing


def heat_class(score: float | None) -> int | None:
    """The class of a score in :data:`HEAT`; None when it was not assessed."""
    return None if score is None else bisect_right(HEAT_BOUNDS, score)


def sparkline(values: Sequence[float | None], *, height: int = 20, step: int = 6) -> Markup:
    """A tiny line of shares (0 to 1) without axes; the figures stand in the row that it is in."""
    width = max(1, len(values) - 1) * step + 6
    top = max((value for value in values if value is not None), default=0) or 1
    places = [
        (3 + index * step, height - 3 - (height - 6) * value / top)
        for index, value in enumerate(values)
        if value is not None
    ]
    if not places:
        return Markup("")
    line = " ".join(f"{x:g},{y:.1f}" for x, y in places)
    x, y = places[-1]
    return Markup(
        '<svg class="spark" width="{w}" height="{h}" viewBox="0 0 {w} {h}" aria-hidden="true">'
        '<polyline points="{line}"/><circle cx="{x}" cy="{y}" r="2.4"/></svg>'
    ).format(w=width, h=height, line=line, x=f"{x:g}", y=f"{y:.1f}")


def _levels(levels: Sequence[tuple[str, float]]) -> list[Any]:
    import altair as alt

    drawn: list[Any] = []
    for name, value in levels:
        level = alt.Chart(_data([{"y": value, "n": name}]))
        drawn.append(level.mark_rule(strokeDash=[5, 4], color="currentColor").encode(y="y:Q"))
        drawn.append(
            level.mark_text(align="left", dy=-6, dx=4, color="currentColor").encode(
                y="y:Q", x=alt.value(0), text="n:N"
            )
        )
    return drawn


def _data(rows: list[dict[str, Any]]) -> Any:
    import altair as alt

    return alt.InlineData(values=rows)


def _cycle(values: Sequence[Any], count: int) -> Iterable[Any]:
    return (values[index % len(values)] for index in range(count))


@lru_cache(maxsize=1)
def _vl_convert() -> Any:
    import vl_convert

    vl_convert.register_font_directory(str(font_file().parent))
    return vl_convert
