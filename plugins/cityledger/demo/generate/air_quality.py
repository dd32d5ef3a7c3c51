"""environment.air_quality: a month of hours of eight stations, tab-separated in UTF-16."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from cityledger.demo.generate.answers import Place
from cityledger.demo.generate.delivery import Delivery, close
from cityledger.demo.generate.planting import NOTHING, Book, Corrected
from cityledger.demo.generate.table import Columns, Table
from cityledger.demo.generate.text_files import csv_line, encode_lines

DATASET = "environment.air_quality"
_STATIONS = (
    ("9901A01", "云港码头", "990102"),
    ("9901A02", "市民广场", "990102"),
    ("9901A03", "汐湾公园", "990103"),
    ("9901A04", "青屿植物园", "990104"),
    ("9901A05", "桥北新村", "990105"),
    ("9901A06", "桥北工业园", "990105"),
    ("9901A07", "松溪竹海", "990106"),
    ("9901A08", "澜山水库", "990181"),
)
_LEVELS = {
    "990102": 1.0,
    "990103": 0.9,
    "990104": 0.8,
    "990105": 1.25,
    "990106": 0.6,
    "990181": 0.7,
}
_HEADER = ("站点编码", "站点名称", "区划代码", "时间", "SO2", "NO2", "PM10", "PM2.5", "CO", "O3")
_SEASON = {1: 1.35, 2: 1.25, 3: 1.05, 12: 1.3}

Floats = npt.NDArray[np.float64]


def _weather(rng: np.random.Generator, hours: int) -> Floats:
    """How dirty the air is, hour by hour: slow episodes around 1."""
    days = np.minimum(rng.lognormal(0.0, 0.6, hours // 24 + 3), 3.0)
    smooth = np.convolve(days, (0.25, 0.5, 0.25), "same")
    weather: Floats = np.interp(np.arange(hours) / 24, np.arange(len(smooth)), smooth)
    return weather


def _pollutants(rng: np.random.Generator, weather: Floats, level: float) -> dict[str, Floats]:
    hours = np.arange(len(weather)) % 24
    day = np.sin((hours - 9) / 24 * 2 * np.pi)
    rush = 1 + 0.3 * np.exp(-((hours - 8) ** 2) / 6) + 0.3 * np.exp(-((hours - 19) ** 2) / 8)

    def noise(width: float) -> Floats:
        return rng.lognormal(0.0, width, len(weather))

    fine = np.minimum(38 * level * weather * noise(0.18), 400)
    return {
        "so2": 7 * level * weather * noise(0.3),
        "no2": 30 * level * rush * weather**0.5 * noise(0.2),
        "pm10": np.minimum(fine * (1.45 + 0.3 * noise(0.3)), 800),
        "pm25": fine,
        "co": 0.7 * level * weather**0.5 * noise(0.15),
        "o3": np.maximum(4, 78 + 45 * day) * noise(0.15),
    }


def _columns(rng: np.random.Generator, start: datetime, hours: int) -> Columns:
    season = _SEASON.get(start.month, 1.0)
    weather = _weather(rng, hours) * season
    columns: Columns = {"station_code": [], "station_name": [], "district": [], "observed_at": []}
    moments = [f"{start + timedelta(hours=hour):%Y-%m-%d %H:%M}" for hour in range(hours)]
    for code, name, area in _STATIONS:
        columns["station_code"] += [code] * hours
        columns["station_name"] += [name] * hours
        columns["district"] += [area] * hours
        columns["observed_at"] += moments
        for pollutant, values in _pollutants(rng, weather, _LEVELS[area]).items():
            form = "{:.2f}" if pollutant == "co" else "{:.1f}"
            columns.setdefault(pollutant, []).extend(map(form.format, values.tolist()))
    return columns


def _plant(table: Table) -> None:
    book = table.book
    for row in book.take("pm10_below_pm25", 0.012):
        fine = float(table.cell(row, "pm25"))
        table.put(row, "pm10", f"{fine * 0.8:.1f}")
        book.bad("pm10_below_pm25", row, warns=("_row.at_least_column",))
    table.spoil("sentinel", 0.002, "o3", "9999", "o3.between")
    table.spoil("sentinel", 0.001, "so2", "-99", "so2.between")
    for row in book.take("unit_mixed_up", 0.002):
        table.put(row, "co", f"{float(table.cell(row, 'co')) * 1000:.0f}")
        book.bad("unit_mixed_up", row, blocks=("co.between",))
    table.spoil("unreadable_number", 0.001, "no2", "仪器校准", "no2.type")
    table.former_area(0.001)
    table.drop(0.001, "station_name", "—")
    _repeat_hours(table, 0.001)


def _repeat_hours(table: Table, rate: float) -> None:
    """The hour before once more, with its own values: the same key twice."""
    station, moment = table.columns["station_code"], table.columns["observed_at"]
    book = table.book
    for row in book.take(
        "duplicate_key", rate, lambda row: row > 0 and station[row] == station[row - 1]
    ):
        moment[row] = moment[row - 1]
        book.bad("duplicate_key", row, blocks=("_key.unique",))


def _soil(table: Table) -> None:
    for column in ("so2", "no2", "o3", "co"):
        table.placeholder(0.003, column, ("—", "NA"))
    table.respell("date_spelling", 0.02, "observed_at", _slashes)
    table.respell("hour_24", 0.002, "observed_at", _hour_24)
    table.widen(0.001, "pm10")


def _slashes(_: int, text: str) -> tuple[str, str]:
    moment = datetime.fromisoformat(text)
    return (
        f"{moment.year}/{moment.month}/{moment.day} {moment.hour}:00:00",
        f"{moment:%Y-%m-%d %H:%M:%S}",
    )


def _hour_24(_: int, text: str) -> tuple[str, str]:
    moment = datetime.fromisoformat(text)
    if moment.hour:
        return _slashes(_, text)
    eve = moment - timedelta(days=1)
    return f"{eve:%Y-%m-%d} 24:00", f"{moment:%Y-%m-%d %H:%M:%S}"


def _present(rng: np.random.Generator, columns: Columns) -> Columns:
    """Half a percent of the hours never arrived."""
    keep: Sequence[bool] = (rng.random(len(columns["station_code"])) >= 0.005).tolist()
    return {
        name: [cell for cell, kept in zip(cells, keep, strict=True) if kept]
        for name, cells in columns.items()
    }


def build(
    rng: np.random.Generator, rows: int, partition: str, corrected: Corrected = NOTHING
) -> Delivery:
    """The delivery of a month (``2026-03``).

    Args:
        rng: Random stream.
        rows: Most hours to write for each station; a small demo has the month's first days.
        partition: The month.
        corrected: Defects that this delivery no longer has.
    """
    year, month = map(int, partition.split("-"))
    hours = min(rows, monthrange(year, month)[1] * 24)
    columns = _present(rng, _columns(rng, datetime(year, month, 1), hours))
    book = Book(DATASET, partition, len(columns["station_code"]), rng, corrected=corrected)
    table = Table(book, columns)
    _plant(table)
    _soil(table)
    for header in ("站点编码", "站点名称", "区划代码", "时间"):
        book.renamed(header)
    lines = [csv_line(_HEADER, "\t"), *(csv_line(record, "\t") for record in table.records())]
    data, starts = encode_lines(lines, "utf-16")
    path = f"environment/空气质量小时值_{year}{month:02d}.txt"
    return close(book, {path: data}, lambda row: Place(path, None, starts[row + 1]))
