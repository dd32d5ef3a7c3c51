"""Charts: Altair writes the specification, the server draws it, the browser may bring it to life.

Writing a specification costs some 20 ms of work and drawing it 150 to 200 (every text is measured),
so both are kept by the content of the figures, in memory and below ``<home>/console``, and no page
waits for a drawing: one that is not there yet is an image that the browser asks for.
What is a table of figures (the heat map of scores, sparklines) is no chart here but HTML: it has
links, reads aloud, and costs nothing. Every chart stands beside the table of its figures.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cityledger.console.fonts import font_file
from cityledger.console.scale import Point
from cityledger.storage.private_files import write_private

_VEGA_LITE = "6.4"
_KEPT = 500  # in memory
_STORED = 5_000  # on disk; some 200 MB


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart for ``parts.chart``.

    Attributes:
        name: SHA-256 of everything that decides the drawing.
        title: What the chart shows, in the reader's language; its accessible name.
        source: The specification as JSON that may stand inside a script element.
        svg: The server's drawing; empty while it has not been made.
    """

    name: str
    title: str
    source: Markup
    svg: Markup


@dataclass(frozen=True, slots=True)
class _Kept:
    source: str
    svg: str = ""


class Charts:
    """Makes charts and keeps them.

    Args:
        folder: Where charts are kept between processes and restarts.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock, self._pen = threading.Lock(), threading.Lock()
        self._recent: OrderedDict[str, Chart] = OrderedDict()

    def lines(
        self,
        points: Sequence[Point],
        *,
        title: str,
        unit: str = "",
        bounds: tuple[float, float] | None = None,
        levels: Sequence[tuple[str, float]] = (),
    ) -> Chart:
        """Lines over time (``specs.lines``)."""
        key = [[astuple(point) for point in points], unit, bounds, list(levels)]
        return self._chart(
            "lines", key, title, lambda specs: specs.lines(points, unit, bounds, levels)
        )

    def heat(
        self, cells: Iterable[tuple[str, str, float | None]], *, title: str, unit: str
    ) -> Chart:
        """Scores of 0 to 100 by row and day (``specs.heat``)."""
        rows = list(cells)
        return self._chart("heat", [rows, unit], title, lambda specs: specs.heat(rows, unit))

    def calendar(
        self, marks: Iterable[tuple[str, str, str]], *, title: str, states: Mapping[str, str]
    ) -> Chart:
        """Deliveries by row and period (``specs.calendar``)."""
        rows = list(marks)
        return self._chart(
            "calendar", [rows, dict(states)], title, lambda specs: specs.calendar(rows, states)
        )

    def _chart(
        self, kind: str, figures: Any, title: str, write: Callable[[Any], dict[str, Any]]
    ) -> Chart:
        text = json.dumps([_origin(), kind, figures, title], ensure_ascii=False)
        name = hashlib.sha256(text.encode()).hexdigest()
        with self._lock:
            known = self._recent.get(name)
            if known is not None and known.svg:
                self._recent.move_to_end(name)
                return known
        kept = self._from_disk(name) or self._written(name, write)
        # Both are our own: JSON without < and &, and a drawing in which vl-convert escapes texts.
        chart = Chart(name, title, Markup(kept.source), Markup(kept.svg))  # noqa: S704
        with self._lock:
            self._recent[name] = chart
            while len(self._recent) > _KEPT:
                self._recent.popitem(last=False)
        return chart

    def drawing(self, name: str) -> str | None:
        """The drawing of a chart that stood on a page, made now if need be; None of any other.

        One at a time: pages go on while charts are drawn.
        """
        with self._pen:
            kept = self._from_disk(name)
            if kept is None:
                return None
            if kept.svg:
                return kept.svg
            svg: str = _vl_convert().vegalite_to_svg(kept.source, vl_version=_VEGA_LITE)
            self._keep(name, _Kept(kept.source, svg))
        return svg

    def _from_disk(self, name: str) -> _Kept | None:
        try:
            kept = json.loads((self._folder / f"{name}.json").read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return _Kept(**kept)

    def _written(self, name: str, write: Callable[[Any], dict[str, Any]]) -> _Kept:
        # Altair is large: a process that never draws does not load it.
        from cityledger.console import specs

        spec = json.dumps(write(specs), ensure_ascii=False, separators=(",", ":"))
        kept = _Kept(spec.replace("<", "\\u003c").replace("&", "\\u0026"))
        self._keep(name, kept)
        return kept

    def _keep(self, name: str, kept: _Kept) -> None:
        text = json.dumps(asdict(kept), ensure_ascii=False)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # What a power cut spoils is drawn anew.
        with write_private(self._folder / f"{name}.json", lasting=False) as draft:
            draft.write_text(text, "utf-8")
        self._prune()

    def _prune(self) -> None:
        """Forget the older half when there are too many; what is asked for again is drawn anew."""
        kept = list(self._folder.glob("*.json"))
        if len(kept) > _STORED:
            for path in sorted(kept, key=lambda one: one.stat().st_mtime)[: len(kept) // 2]:
                path.unlink(missing_ok=True)


def sparkline(values: Sequence[float | None], *, height: int = 20, step: int = 6) -> Markup:
    """A tiny line of figures without axes; their newest stands in the row that it is in."""
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


@lru_cache(maxsize=1)
def _origin() -> str:
    """What besides the figures decides the drawing: how we draw, and the library."""
    ours = (Path(__file__).parent / "specs.py").read_bytes()
    return f"{hashlib.sha256(ours).hexdigest()} {version('vl-convert-python')} {version('altair')}"


@lru_cache(maxsize=1)
def _vl_convert() -> Any:
    import vl_convert

    vl_convert.register_font_directory(str(font_file().parent))
    return vl_convert
