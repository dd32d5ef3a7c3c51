"""Draws a lineage graph as SVG: columns from left to right, boxes with links, arrows.

The drawing needs no script and no style sheet but the console's own. Every text is escaped, every
address is one of ours; a name out of an event is never more than a text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from markupsafe import Markup

from cityledger.console.graph_layout import Size, lay_out

_WIDTH, _HEIGHT, _ROW = 212, 46, 20
_ACROSS = 70
_MARGIN, _HEAD = 16, 40
_UNITS = 26  # half-width characters that fit into a box

_TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7"'
    ' orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>'
)


@dataclass(frozen=True, slots=True)
class Row:
    """A line inside a box that arrows can begin and end at (a column of a table)."""

    id: str
    text: str
    href: str = ""
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A box.

    Attributes:
        band: Place among the columns of the picture; boxes of a band stand side by side.
        kind: Class of its looks: ``data``, ``job``, ``group``.
        note: Second line.
        signs: Words for its state, each with the class of its looks (``bad``, ``warn``, ``gone``).
    """

    id: str
    band: int
    title: str
    note: str
    href: str
    kind: str = "data"
    full: str = ""
    signs: tuple[tuple[str, str], ...] = ()
    rows: tuple[Row, ...] = ()
    root: bool = False

    @property
    def height(self) -> int:
        """In units of the drawing."""
        return _HEIGHT + _ROW * len(self.rows)


@dataclass(frozen=True, slots=True)
class Arrow:
    """Data flows; ``source`` and ``target`` are ids of boxes, or of rows in them."""

    source: str
    target: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawn graph."""

    svg: Markup
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Spot:
    x: float
    y: float


def draw(
    boxes: Sequence[Box], arrows: Iterable[Arrow], *, bands: Sequence[str], title: str
) -> Drawing:
    """Lay out and draw.

    Args:
        boxes: In any order.
        arrows: Those with an unknown end are left out.
        bands: What stands above the columns; ``Box.band`` counts in it.
        title: What the picture shows, for screen readers.
    """
    owners = {row.id: box.id for box in boxes for row in box.rows} | {
        box.id: box.id for box in boxes
    }
    kept = [one for one in arrows if one.source in owners and one.target in owners]
    flows = [(owners[one.source], owners[one.target]) for one in kept]
    layout = lay_out([Size(box.id, box.band, box.height) for box in boxes], flows)
    ranks = layout.ranks
    spots = {one: _Spot(_column(ranks[one]), top + _HEAD) for one, top in layout.tops.items()}
    bends = {
        flow: [_Spot(_column(rank) + _WIDTH / 2, height + _HEAD) for rank, height in points]
        for flow, points in layout.bends.items()
    }
    width = round(max((spot.x for spot in spots.values()), default=0) + _WIDTH + _MARGIN)
    bottom = max((spots[box.id].y + box.height for box in boxes), default=0)
    height = round(bottom + _MARGIN)
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    label = f'role="group" aria-label="{escape(title)}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" class="lineage" {size} {label}>{_TIP}']
    parts += _heads(boxes, ranks, bands, height)
    marks = {one: f"b{number}" for number, one in enumerate(owners)}
    parts += _arrows(kept, boxes, owners, spots, bends, marks)
    ordered = sorted(boxes, key=lambda one: (ranks[one.id], spots[one.id].y))
    parts += [_box(box, spots[box.id], marks) for box in ordered]
    parts.append("</svg>")
    # Every part of it is escaped where it is made.
    return Drawing(Markup("".join(parts)), width, height)  # noqa: S704


def _column(rank: float) -> float:
    return rank * (_WIDTH + _ACROSS) + _MARGIN


def shorten(text: str, units: int = _UNITS) -> str:
    """A text that fits: its middle is left out; Chinese characters count twice."""
    if _units(text) <= units:
        return text
    head, tail, used = "", "", 1
    while head + tail != text and used < units:
        if len(head) <= len(tail):
            head += text[len(head)]
            used += _units(head[-1])
        else:
            tail = text[-len(tail) - 1] + tail
            used += _units(tail[0])
    return f"{head}…{tail}"


def _units(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def _heads(
    boxes: Sequence[Box],
    ranks: Mapping[str, int],
    bands: Sequence[str],
    height: int,
) -> list[str]:
    """Names of the bands, and a line between two of them."""
    first: dict[int, int] = {}
    for box in boxes:
        first[box.band] = min(first.get(box.band, ranks[box.id]), ranks[box.id])
    parts = []
    for number, (band, rank) in enumerate(sorted(first.items())):
        x = _column(rank)
        if number:
            line = x - _ACROSS / 2
            parts.append(f'<path class="border" d="M{line:.0f} 8V{height - 8}"/>')
        parts.append(f'<text class="band" x="{x:.0f}" y="22">{escape(bands[band])}</text>')
    return parts


def _arrows(
    arrows: Iterable[Arrow],
    boxes: Sequence[Box],
    owners: Mapping[str, str],
    spots: Mapping[str, _Spot],
    bends: Mapping[tuple[str, str], list[_Spot]],
    marks: Mapping[str, str],
) -> list[str]:
    heights = {box.id: _HEIGHT / 2 for box in boxes}
    for box in boxes:
        for number, row in enumerate(box.rows):
            heights[row.id] = _HEIGHT + _ROW * (number + 0.5) - 4
    parts = []
    for arrow in arrows:
        source, target = owners[arrow.source], owners[arrow.target]
        begin, end = spots[source], spots[target]
        points = [
            _Spot(begin.x + _WIDTH, begin.y + heights[arrow.source]),
            *bends.get((source, target), ()),
            _Spot(end.x, end.y + heights[arrow.target]),
        ]
        extra = f" {arrow.kind}" if arrow.kind else ""
        ends = f'data-from="{marks[arrow.source]}" data-to="{marks[arrow.target]}"'
        curve = f'marker-end="url(#tip)" d="{_curve(points)}"'
        parts.append(f'<path class="flow{extra}" {ends} {curve}/>')
    return parts


def _curve(points: Sequence[_Spot]) -> str:
    parts = [f"M{points[0].x:.0f} {points[0].y:.0f}"]
    for here, there in pairwise(points):
        reach = max((there.x - here.x) / 2, 40 if there.x <= here.x else 0)
        parts.append(
            f"C{here.x + reach:.0f} {here.y:.0f} {there.x - reach:.0f} {there.y:.0f}"
            f" {there.x:.0f} {there.y:.0f}"
        )
    return "".join(parts)


def _box(box: Box, spot: _Spot, marks: Mapping[str, str]) -> str:
    looks = " ".join(["box", box.kind, *dict.fromkeys(look for _, look in box.signs)])
    looks += " root" if box.root else ""
    signs = " · ".join(word for word, _ in box.signs)
    said = " · ".join(part for part in (box.full or box.title, box.note, signs) if part)
    note = " · ".join(part for part in (signs, box.note) if part)
    body = (
        f'<title>{escape(said)}</title><rect width="{_WIDTH}" height="{box.height}" rx="5"/>'
        f'<text class="name" x="10" y="19">{escape(shorten(box.title))}</text>'
        f'<text class="note" x="10" y="36">{escape(shorten(note, _UNITS + 5))}</text>'
    )
    head = f'<a href="{escape(box.href)}">{body}</a>' if box.href else body
    rows = "".join(_row(row, number, marks[row.id]) for number, row in enumerate(box.rows))
    where = f'data-id="{marks[box.id]}" transform="translate({spot.x:.0f} {spot.y:.0f})"'
    return f'<g class="{looks}" {where}>{head}{rows}</g>'


def _row(row: Row, number: int, mark: str) -> str:
    looks = "cell marked" if row.marked else "cell"
    place = f'data-id="{mark}" x="10" y="{_HEIGHT + _ROW * number + 10}"'
    name = escape(shorten(row.text))
    text = f'<title>{escape(row.text)}</title><text class="{looks}" {place}>{name}</text>'
    return f'<a href="{escape(row.href)}">{text}</a>' if row.href else f"<g>{text}</g>"
