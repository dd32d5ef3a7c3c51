"""12345 tickets (热线工单): answers after questions, verdicts that follow from the times."""

from __future__ import annotations

import polars as pl

from quality_checks.suites.base import Severity, TableSuite, check, holds

SUITE = TableSuite(
    "core.fct_hotline_ticket",
    (
        check("not_null", "ticket_no", why="工单必须有编号 a ticket has a number"),
        check("unique", "ticket_no", why="一单一行 one row a ticket"),
        check(
            "references", "area_code", dataset="core.dim_area", why="区划在维表中 the area is known"
        ),
        check("not_before", "replied_at", "created_at", why="答复不早于受理 in order"),
        check("not_before", "reply_deadline", "created_at", why="时限不早于受理 in order"),
        holds(
            "in_time_as_said",
            pl.col("is_replied_in_time") == (pl.col("replied_at") <= pl.col("reply_deadline")),
            "is_replied_in_time",
            "replied_at",
            "reply_deadline",
            where=pl.all_horizontal(pl.col("replied_at", "reply_deadline").is_not_null()),
            why="按时结论与时间一致 the verdict follows from the times",
        ),
        check(
            "between",
            "satisfaction_score",
            minimum=1,
            maximum=5,
            why="评分 1 至 5 a score of 1 to 5",
        ),
        check(
            "between",
            "transfers",
            minimum=0,
            maximum=20,
            severity=Severity.WARN,
            at_most=1.0,
            why="转办过多可疑 so many transfers are odd",
        ),
    ),
)
