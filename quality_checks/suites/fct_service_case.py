"""Government service cases (政务服务办件): times in order, limits and results that agree."""

from __future__ import annotations

import polars as pl

from quality_checks.suites.base import TableSuite, check, holds

_FINISHED = pl.col("is_finished")

SUITE = TableSuite(
    "core.fct_service_case",
    (
        check("not_null", "case_no", why="办件必须有编号 a case has a number"),
        check("unique", "case_no", why="一件一行 one row a case"),
        check(
            "references",
            "area_code",
            dataset="core.dim_area",
            why="区划在维表中 the area is known",
        ),
        check("not_before", "finished_at", "accepted_at", why="办结不早于受理 in order"),
        check(
            "required_if", "finished_at", "is_finished", equals=True, why="办结有时间 finished when"
        ),
        holds(
            "working_days_only_when_finished",
            pl.col("working_days").is_not_null() == _FINISHED,
            "working_days",
            "is_finished",
            why="仅办结件有用时 only finished cases took a time",
        ),
        holds(
            "working_days_not_negative",
            pl.col("working_days") >= 0,
            "working_days",
            where=pl.col("working_days").is_not_null(),
            why="用时不为负 a time is not negative",
        ),
        holds(
            "limit_judged_as_said",
            pl.col("is_within_statutory_limit")
            == (pl.col("working_days") <= pl.col("statutory_limit_days")),
            "is_within_statutory_limit",
            "working_days",
            "statutory_limit_days",
            where=_FINISHED & pl.col("statutory_limit_days").is_not_null(),
            why="时限结论与天数一致 the verdict follows from the days",
        ),
        check(
            "at_most_column",
            "promised_limit_days",
            "statutory_limit_days",
            why="承诺时限不超过法定时限 a promise is no worse than the law",
        ),
        check(
            "between", "satisfaction", minimum=1, maximum=5, why="满意度 1 至 5 a score of 1 to 5"
        ),
    ),
)
