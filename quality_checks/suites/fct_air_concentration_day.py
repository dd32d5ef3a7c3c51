"""Daily concentrations (日均浓度): physically possible, one row a place, day and pollutant."""

from __future__ import annotations

from quality_checks.suites.base import TableSuite, check

SUITE = TableSuite(
    "core.fct_air_concentration_day",
    (
        check(
            "unique",
            "place_type",
            "place_code",
            "day",
            "pollutant",
            why="一地一日一物一行 one row each",
        ),
        check("not_null", "concentration", why="无值不成行 a row has a value"),
        check(
            "between",
            "concentration",
            minimum=0,
            maximum=10000,
            why="浓度的可能范围 possible values",
        ),
        check(
            "in_set",
            "pollutant",
            values=["so2", "no2", "pm10", "pm25", "co", "o3", "o3_1h"],
            why="HJ 633 的污染物 pollutants of HJ 633",
        ),
        check("compare", "stations", operator=">=", value=1, why="至少一个站点 a station at least"),
    ),
)
