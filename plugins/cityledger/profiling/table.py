"""Profile the columns of a table: one pass for the figures, a short query for each picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from itertools import combinations
from typing import TYPE_CHECKING, Any

from cityledger.contracts.model import Column
from cityledger.profiling.personal import suspicions
from cityledger.profiling.records import Bin, ColumnProfile, TopValue

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TOP = 10
_BINS = 20
_SAMPLE = 10_000
# HyperLogLog errs by a few percent: few values and nearly unique columns are counted exactly.
_NEARLY_ALL = 0.9
_FEW = 1_000
_KEY_COLUMNS = 6  # pairs of these are tried as a key
_OPEN = frozenset({"public", "internal"})
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "DOUBLE", "FLOAT", "DECIMAL")
_FLOATS = ("DOUBLE", "FLOAT")  # measurements differ in the last digit; that makes no key
_TIMES = ("DATE", "TIMESTAMP")


@dataclass(frozen=True, slots=True)
class Described:
    """A column as it will be shown.

    Attributes:
        source: The contract's column; a value type's extra column has its parent's.
    """

    name: str
    type: str
    source: Column | None

    @property
    def is_open(self) -> bool:
        """Whether values may be shown; a column that no contract knows is not shown."""
        return self.source is not None and self.source.classification in _OPEN

    @property
    def is_number(self) -> bool:
        """Whether it has a mean."""
        return self.type.startswith(_NUMBERS)

    @property
    def is_ordered(self) -> bool:
        """Whether smallest, largest and a histogram mean something."""
        return self.is_number or self.type.startswith(_TIMES)

    @property
    def is_text(self) -> bool:
        """Whether it has lengths, and may hide personal data."""
        return self.type == "VARCHAR"


def profile_columns(
    connection: DuckDBPyConnection, table: str, columns: Sequence[Column]
) -> tuple[int, tuple[ColumnProfile, ...]]:
    """Rows, and a profile of each column whose name has no leading underscore.

    Args:
        connection: Where the table is.
        table: Name of a table or view with a column ``_row_id``.
        columns: Of the contract; they say what may be shown.
    """
    described = list(_described(connection, table, columns))
    figures = _figures(connection, table, described)
    rows = figures["rows"]
    sample = _sample(connection, table, [one.name for one in described if one.is_text])
    profiles = [_column(connection, table, one, figures, sample) for one in described]
    return rows, tuple(profiles)


def likely_keys(
    connection: DuckDBPyConnection, table: str, rows: int, profiles: Sequence[ColumnProfile]
) -> tuple[tuple[str, ...], ...]:
    """Single columns that tell all rows apart, or, if there is none, pairs that do."""
    full = [one for one in profiles if not one.nulls and rows and one.type not in _FLOATS]
    single = tuple((one.name,) for one in full if one.distinct_exact and one.distinct == rows)
    if single or rows < 2:
        return single
    likely = sorted(full, key=lambda one: -one.distinct)[:_KEY_COLUMNS]
    pairs = [
        (left.name, right.name)
        for left, right in combinations(likely, 2)
        if left.distinct * right.distinct >= rows
    ]
    return tuple(pair for pair in pairs if _distinct(connection, table, pair) == rows)


def _described(
    connection: DuckDBPyConnection, table: str, columns: Sequence[Column]
) -> Iterator[Described]:
    known = {column.name: column for column in columns}
    for name, kind, *_ in connection.execute(f"DESCRIBE {table}").fetchall():
        if not name.startswith("_"):
            yield Described(name, kind, known.get(name) or _parent(name, known))


def _parent(name: str, known: Mapping[str, Column]) -> Column | None:
    """``capital_currency`` is made from ``capital``, and is classified like it."""
    parents = [column for column in known if name.startswith(f"{column}_")]
    return known[max(parents, key=len)] if parents else None


def _figures(
    connection: DuckDBPyConnection, table: str, described: Sequence[Described]
) -> dict[str, Any]:
    parts = ["count(*) AS rows"]
    for number, one in enumerate(described):
        name = _quoted(one.name)
        parts += [f"count({name}) AS n{number}", f"approx_count_distinct({name}) AS d{number}"]
        if one.is_text:
            parts += [f"min(len({name})) AS s{number}", f"max(len({name})) AS l{number}"]
        if one.is_ordered:
            parts += [f"min({name}) AS min{number}", f"max({name}) AS max{number}"]
        if one.is_number:
            parts.append(f"avg({name}) AS mean{number}")
    cursor = connection.execute(f"SELECT {', '.join(parts)} FROM {table}")
    names = [column[0] for column in cursor.description or ()]
    figures: dict[str, Any] = dict(zip(names, cursor.fetchone() or (), strict=True))
    by_name = {one.name: number for number, one in enumerate(described)}
    return figures | {"number": by_name}


def _column(
    connection: DuckDBPyConnection,
    table: str,
    one: Described,
    figures: Mapping[str, Any],
    sample: Mapping[str, Sequence[str]],
) -> ColumnProfile:
    number, rows = figures["number"][one.name], figures["rows"]
    filled, distinct = figures[f"n{number}"], figures[f"d{number}"]
    exact = distinct <= _FEW or distinct >= _NEARLY_ALL * filled
    if exact:
        distinct = _distinct(connection, table, (one.name,))
    found = suspicions(sample.get(one.name, ())) if one.is_open else ()
    shown = one.is_open and not found
    low, high = figures.get(f"min{number}"), figures.get(f"max{number}")
    return ColumnProfile(
        name=one.name,
        business_name=one.source.business_name if one.source else one.name,
        type=one.type,
        classification=one.source.classification if one.source else "unknown",
        nulls=rows - filled,
        distinct=distinct,
        distinct_exact=exact,
        minimum=_text(low) if shown else None,
        maximum=_text(high) if shown else None,
        mean=_text(figures.get(f"mean{number}")) if shown else None,
        shortest=figures.get(f"s{number}"),
        longest=figures.get(f"l{number}"),
        hidden=not shown,
        top=_top(connection, table, one.name) if shown else (),
        histogram=_histogram(connection, table, one, low, high) if shown else (),
        suspicions=found,
    )


def _distinct(connection: DuckDBPyConnection, table: str, names: Sequence[str]) -> int:
    listed = ", ".join(_quoted(name) for name in names)
    filled = " AND ".join(f"{_quoted(name)} IS NOT NULL" for name in names)
    query = f"SELECT count(*) FROM (SELECT DISTINCT {listed} FROM {table} WHERE {filled})"
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _top(connection: DuckDBPyConnection, table: str, name: str) -> tuple[TopValue, ...]:
    found = connection.execute(
        f"SELECT {_quoted(name)} AS value, count(*) AS rows FROM {table}"
        f" WHERE {_quoted(name)} IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
        f" ORDER BY rows DESC, value LIMIT {_TOP}"
    ).fetchall()
    return tuple(TopValue(value=_text(value) or "", rows=rows) for value, rows in found)


def _histogram(
    connection: DuckDBPyConnection, table: str, one: Described, low: Any, high: Any
) -> tuple[Bin, ...]:
    if not one.is_ordered or low is None or low == high:
        return ()
    axis = _quoted(one.name) if one.is_number else f"epoch({_quoted(one.name)})"
    start, end = (_axis(low), _axis(high))
    width = (end - start) / _BINS
    found = connection.execute(
        f"SELECT least(floor(({axis} - $low) / $width), {_BINS - 1})::INTEGER AS bin, count(*)"
        f" FROM {table} WHERE {_quoted(one.name)} IS NOT NULL AND isfinite(({axis})::DOUBLE)"
        " GROUP BY 1",
        {"low": start, "width": width},
    ).fetchall()
    counts: dict[int, int] = dict(found)
    edges = [start + width * step for step in range(_BINS + 1)]
    texts = [_edge(edge, one) for edge in edges]
    return tuple(
        Bin(low=texts[step], high=texts[step + 1], rows=counts.get(step, 0))
        for step in range(_BINS)
    )


def _axis(value: Any) -> float:
    """A number, or seconds since 1970 as DuckDB's ``epoch`` counts them (no time zone)."""
    match value:
        case datetime():
            return (value.replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()
        case date():
            return (value - date(1970, 1, 1)).days * 86_400.0
        case _:
            return float(value)


def _edge(edge: float, one: Described) -> str:
    if one.is_number:
        return f"{edge:.6g}"
    moment = datetime.fromordinal(date(1970, 1, 1).toordinal() + int(edge // 86_400))
    return f"{moment:%Y-%m-%d}"


def _sample(
    connection: DuckDBPyConnection, table: str, names: Sequence[str]
) -> dict[str, list[str]]:
    """Texts of up to 10,000 rows; the same rows each time, spread over the table."""
    if not names:
        return {}
    listed = ", ".join(_quoted(name) for name in names)
    rows = connection.execute(
        f"SELECT {listed} FROM {table} ORDER BY hash(_row_id), _row_id LIMIT {_SAMPLE}"
    ).fetchall()
    return {
        name: [row[place] for row in rows if row[place] is not None]
        for place, name in enumerate(names)
    }


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: Any) -> str | None:
    match value:
        case None:
            return None
        case float():
            return f"{value:.6g}"
        case Decimal():
            return f"{value.normalize():f}"
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds")
        case date() | time():
            return value.isoformat()
        case _:
            return str(value)
