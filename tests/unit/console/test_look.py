"""Colours that can be read, charts that are kept, figures that do not flatter."""

from __future__ import annotations

import json
import re
from datetime import datetime
from itertools import product
from pathlib import Path

import pytest
from cityledger.console import charts as charts_module
from cityledger.console import formats, scale, specs
from cityledger.console.charts import Charts, sparkline
from cityledger.console.scale import Point
from hypothesis import given
from hypothesis import strategies as st

CSS = (Path(charts_module.__file__).parent / "static" / "console.css").read_text("utf-8")
_TOKEN = re.compile(r"--([a-z0-9-]+):\s*(#[0-9a-f]{6})")
#: Text on ground: WCAG AA asks for 4.5:1.
TEXTS = [
    *product(("ink", "ink-soft", "accent"), ("paper", "sheet")),
    *product(("good", "warn", "bad"), ("sheet",)),
    ("good", "good-paper"),
    ("warn", "warn-paper"),
    ("bad", "bad-paper"),
    ("plain", "plain-paper"),
    ("accent-ink", "accent"),
    ("masthead-ink", "masthead"),
    ("masthead-soft", "masthead"),
    *((("heat-ink-dark"), f"heat-{n}") for n in range(4)),
    *((("heat-ink-light"), f"heat-{n}") for n in range(4, 8)),
]
#: Lines, borders of fields, focus rings and marks: 3:1.
MARKS = [*product(("focus", "series-1", "series-2", "rule-strong"), ("sheet", "paper"))]


def tokens() -> dict[str, dict[str, str]]:
    light, rest = CSS.split("@media (prefers-color-scheme: dark)", 1)
    dark = rest.split("\n}\n", 1)[0]
    base = dict(_TOKEN.findall(light))
    return {"light": base, "dark": base | dict(_TOKEN.findall(dark))}


def luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read(scheme: str) -> None:
    """Grey on grey looks elegant and shuts out everybody over fifty."""
    colours = tokens()[scheme]
    bad = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in TEXTS}
    assert not {pair: round(value, 2) for pair, value in bad.items() if value < 4.5}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_marks_stand_out(scheme: str) -> None:
    """A focus ring or a line that melts into its ground is not there."""
    colours = tokens()[scheme]
    pairs = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in MARKS}
    for colour in (*specs.SERIES, *(mark for mark, _ in specs.DELIVERY_MARKS.values())):
        pairs[colour, "sheet"] = contrast(colour, colours["sheet"])
    assert not {pair: round(value, 2) for pair, value in pairs.items() if value < 3}


def test_page_and_chart_colour_scores_alike() -> None:
    """A score must not be dark in the table and light in the chart beside it."""
    colours = tokens()["light"]
    assert tuple(colours[f"heat-{n}"] for n in range(8)) == scale.HEAT


def test_scores_get_lighter_as_they_get_better() -> None:
    """Printed in grey, the heat map has to say the same."""
    values = [luminance(colour) for colour in scale.HEAT]
    assert values == sorted(values)
    assert [scale.heat_class(x) for x in (0, 49.9, 50, 98.9, 99, 100)] == [0, 0, 1, 6, 7, 7]
    assert scale.heat_class(None) is None


def test_states_differ_without_colour() -> None:
    """Red and green are one colour to one man in twelve."""
    shapes = [shape for _, shape in specs.DELIVERY_MARKS.values()]
    assert len(set(shapes)) == len(shapes)


def test_a_chart_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing at every request would make each page slow; a restart must not forget either."""
    points = [Point("总分", f"2026-03-{day:02}", 90.0 + day) for day in range(1, 9)]
    charts = Charts(tmp_path)
    first = charts.lines(points, title="总分", unit="分", levels=[("目标", 95)])
    assert first.svg == ""  # no page waits for a drawing
    drawn = charts.drawing(first.name)
    assert drawn is not None
    assert drawn.startswith("<svg")
    assert json.loads(first.source)["$schema"].startswith("https://vega.github.io/schema/vega-lite")

    def refuse() -> None:
        raise AssertionError("drawn again")

    monkeypatch.setattr(charts_module, "_vl_convert", refuse)
    for again in (charts, Charts(tmp_path)):
        assert again.lines(points, title="总分", unit="分", levels=[("目标", 95)]).svg == drawn
        assert again.drawing(first.name) == drawn
    other = charts.lines(points[:-1], title="总分", unit="分", levels=[("目标", 95)])
    with pytest.raises(AssertionError, match="drawn again"):
        charts.drawing(other.name)
    assert charts.drawing("0" * 64) is None


def test_a_torn_kept_chart_is_drawn_anew(tmp_path: Path) -> None:
    """A full disk leaves half a file; the page must not show half a chart for ever."""
    points = [Point("a", "2026-03", 1.0), Point("a", "2026-04", 2.0)]
    first = Charts(tmp_path).lines(points, title="t")
    for file in tmp_path.glob("*.json"):
        file.write_text(file.read_text()[:100])
    assert Charts(tmp_path).lines(points, title="t") == first


def test_a_name_cannot_end_the_script_element(tmp_path: Path) -> None:
    """A dataset's title stands inside a script element as JSON."""
    points = [Point("</script><script>alert(1)//", "2026-03", 1.0)]
    charts = Charts(tmp_path)
    chart = charts.lines(points, title="t", unit="<b>&")
    assert "</script>" not in chart.source
    assert "<script>" not in (charts.drawing(chart.name) or "<script>")
    assert json.loads(chart.source)


def test_every_kind_of_chart_draws(tmp_path: Path) -> None:
    """Gaps, single figures and all states at once are everyday, not exceptions."""
    charts = Charts(tmp_path)
    heat = charts.heat(
        [("完整性", "2026-03-01", 99.0), ("x", "2026-03-02", None)], title="t", unit="u"
    )
    states = {state: state for state in specs.DELIVERY_MARKS}
    marks = [("门诊", f"2026-03-0{n}", state) for n, state in enumerate(states, 1)]
    calendar = charts.calendar(marks, title="t", states=states)
    gap = charts.lines([Point("a", "1", None), Point("a", "2", 3.0)], title="t", bounds=(0, 100))
    for chart in (heat, calendar, gap):
        assert "currentColor" in (charts.drawing(chart.name) or "")


@given(st.lists(st.none() | st.floats(0, 1e6), max_size=40))
def test_sparklines_stay_in_their_box(values: list[float | None]) -> None:
    """A spike that leaves the box paints over the neighbouring row."""
    drawn = sparkline(values)
    for pair in re.findall(r"[\d.]+,([\d.-]+)", drawn):
        assert 0 <= float(pair) <= 20


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_nearly_all_is_not_all(part: int, whole: int) -> None:
    """`100 %` beside three broken rows is how trust in a report is lost."""
    part = min(part, whole)
    shown = formats.percent(part, whole)
    assert (shown == "100.0%") == (part == whole)
    assert (shown == "0.0%") == (part == 0)


@given(st.floats(0, 100))
def test_scores_are_cut_not_rounded(value: float) -> None:
    """99.96 shown as 100.0 hides that something is wrong."""
    assert float(formats.score(value)) <= value + 1e-6


def test_figures() -> None:
    """What is not known is a dash, never a nought."""
    assert formats.figure("100.0000") == "100"
    assert formats.figure("1234.5000") == "1,234.5"
    assert formats.figure("1200") == "1,200"
    assert formats.brief("11.9414") == "11.94"
    assert formats.number(1234567) == "1,234,567"
    assert formats.size(2048) == "2.0 KiB"
    nothing = (formats.figure(None), formats.brief(""), formats.number(None), formats.percent(1, 0))
    assert {*nothing, formats.score(None), formats.day(None), formats.moment(None)} == {"—"}
    assert formats.day(datetime(2026, 3, 31)) == "2026-03-31"
    assert formats.figure("n/a") == formats.brief("n/a") == formats.number("n/a") == "n/a"
