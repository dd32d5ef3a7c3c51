"""Follow-ups of tickets (热线回访)."""

from __future__ import annotations

import polars as pl

from quality_checks.suites.base import Severity, TableSuite, check, holds

SUITE = TableSuite(
    "core.fct_hotline_survey",
    (
        check("not_null", "survey_no", why="回访必须有编号 a follow-up has a number"),
        check("unique", "survey_no", why="一次一行 one row a follow-up"),
        check(
            "references",
            "ticket_no",
            dataset="core.fct_hotline_ticket",
            severity=Severity.WARN,
            at_most=None,
            why="回访的工单应已报送 the ticket should have been reported",
        ),
        check("between", "score", minimum=1, maximum=5, why="评分 1 至 5 a score of 1 to 5"),
        holds(
            "score_only_when_reached",
            pl.col("is_reached"),
            "is_reached",
            "score",
            where=pl.col("score").is_not_null(),
            why="未接通没有评分 nobody scores who was not reached",
        ),
    ),
)
