"""The daily air quality index of HJ 633-2012, once more, without SQL and without our macros.

Written from the regulation's tables to check the models against: exact fractions, one file at a
time, nothing shared with the project's code.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from math import ceil

INDEX = (0, 50, 100, 150, 200, 300, 400, 500)
# µg/m³, CO in mg/m³: means of 24 hours; O3: the largest mean of 8 hours, the largest hour.
NODES: Mapping[str, tuple[int, ...]] = {
    "SO2": (0, 50, 150, 475, 800, 1600, 2100, 2620),
    "NO2": (0, 40, 80, 180, 280, 565, 750, 940),
    "PM10": (0, 50, 150, 250, 350, 420, 500, 600),
    "PM2.5": (0, 35, 75, 115, 150, 250, 350, 500),
    "CO": (0, 2, 4, 14, 24, 36, 48, 60),
    "O3": (0, 100, 160, 215, 265, 800),
    "O3 1h": (0, 160, 200, 300, 400, 800, 1000, 1200),
}
MEANS = ("SO2", "NO2", "PM10", "PM2.5", "CO")

Hours = dict[int, Fraction]


def daily_indices(files: Mapping[str, bytes]) -> dict[tuple[str, date], int | None]:
    """Station and day → index; None where too few hours are valid for any pollutant."""
    found: dict[tuple[str, date], int | None] = {}
    for content in files.values():
        hours: dict[tuple[str, date], dict[str, Hours]] = defaultdict(lambda: defaultdict(dict))
        for row in csv.DictReader(io.StringIO(content.decode())):
            day = date(int(row["year"]), int(row["month"]), int(row["day"]))
            place = hours[row["station"], day]
            for pollutant in (*MEANS, "O3"):
                value = row[pollutant].strip()  # one cell holds a blank, the others NA
                if value not in ("", "NA"):
                    place[pollutant][int(row["hour"])] = Fraction(value)
        found |= {key: _index(measured) for key, measured in hours.items()}
    return found


def _index(measured: Mapping[str, Hours]) -> int | None:
    parts = []
    for pollutant in MEANS:
        values = list(measured.get(pollutant, {}).values())
        if len(values) >= 20:
            mean = _mean(values)
            parts.append(_part(pollutant, mean / 1000 if pollutant == "CO" else mean))
    ozone = measured.get("O3", {})
    eight = _largest_eight_hours(ozone)
    if eight is not None and round(eight) <= 800:
        parts.append(_part("O3", eight))
    elif eight is not None and len(ozone) >= 20:
        parts.append(_part("O3 1h", max(ozone.values())))
    return max(parts, default=None)


def _largest_eight_hours(hours: Hours) -> Fraction | None:
    """The means of 8 hours end at 08:00 to 24:00; 14 of them must be valid, unless over 160."""
    means = []
    for last in range(7, 24):
        window = [hours[hour] for hour in range(last - 7, last + 1) if hour in hours]
        if len(window) >= 6:
            means.append(_mean(window))
    largest = max(means, default=None)
    enough = len(means) >= 14 or (largest is not None and largest > 160)
    return largest if enough else None


def _part(pollutant: str, concentration: Fraction) -> int:
    """The individual index of a concentration in the places that the regulation reports."""
    places = Decimal("0.1") if pollutant == "CO" else Decimal(1)
    exact = Decimal(concentration.numerator) / Decimal(concentration.denominator)
    value = Fraction(exact.quantize(places, ROUND_HALF_EVEN))
    nodes = NODES[pollutant]
    for place in range(1, len(nodes)):
        if value <= nodes[place]:
            low, high = nodes[place - 1], nodes[place]
            share = (value - low) / (high - low)
            return ceil(share * (INDEX[place] - INDEX[place - 1]) + INDEX[place - 1])
    return INDEX[-1]


def _mean(values: Sequence[Fraction]) -> Fraction:
    return sum(values, Fraction()) / len(values)
