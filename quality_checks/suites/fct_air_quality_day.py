"""Daily air quality (空气质量日报): the index follows from its parts (HJ 633)."""

from __future__ import annotations

import polars as pl

from quality_checks.suites.base import Severity, TableSuite, check, holds

_PARTS = ("iaqi_so2", "iaqi_no2", "iaqi_pm10", "iaqi_pm25", "iaqi_co", "iaqi_o3")
_LEVELS = (50, 100, 150, 200, 300)

SUITE = TableSuite(
    "core.fct_air_quality_day",
    (
        check(
            "unique", "place_type", "place_code", "day", why="一地一日一行 one row a place and day"
        ),
        check("between", "aqi", minimum=0, maximum=500, why="AQI 在 0 至 500 之间 HJ 633"),
        check("between", "level", minimum=1, maximum=6, why="一至六级 six levels"),
        holds(
            "index_is_the_largest_part",
            pl.col("aqi") == pl.max_horizontal(*_PARTS),
            "aqi",
            *_PARTS,
            where=pl.col("aqi").is_not_null(),
            gb_code="0301",
            why="AQI 为各分指数最大值 the index is the largest of its parts",
        ),
        holds(
            "level_follows_from_index",
            pl.col("level")
            == 1 + pl.sum_horizontal((pl.col("aqi") > limit).cast(pl.Int32) for limit in _LEVELS),
            "level",
            "aqi",
            where=pl.col("aqi").is_not_null() & pl.col("level").is_not_null(),
            gb_code="0301",
            why="级别与 AQI 一致 the level follows from the index",
        ),
        holds(
            "primary_pollutant_above_50_only",
            (pl.col("primary_pollutants").is_not_null() & (pl.col("primary_pollutants") != ""))
            == (pl.col("aqi") > 50),
            "primary_pollutants",
            "aqi",
            where=pl.col("aqi").is_not_null(),
            why="AQI 大于 50 才有首要污染物 HJ 633",
        ),
        check(
            "at_least_column",
            "pm10",
            "pm25",
            severity=Severity.WARN,
            at_most=None,
            why="PM10 含 PM2.5 the coarse include the fine",
        ),
        check(
            "complete_calendar",
            "day",
            by=["place_type", "place_code"],
            at_most=None,
            severity=Severity.WARN,
            why="逐日连续 no day is missing",
        ),
    ),
)
