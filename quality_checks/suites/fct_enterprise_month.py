"""Market entities by month (市场主体)."""

from __future__ import annotations

import polars as pl

from quality_checks.suites.base import TableSuite, check, holds

SUITE = TableSuite(
    "core.fct_enterprise_month",
    (
        check("unique", "uscc", "month_start", why="一户一月一行 one row an entity and month"),
        holds(
            "first_of_the_month",
            pl.col("month_start").dt.day() == 1,
            "month_start",
            why="以月初代表该月 a month is its first day",
        ),
        check(
            "references", "area_code", dataset="core.dim_area", why="区划在维表中 the area is known"
        ),
    ),
)
