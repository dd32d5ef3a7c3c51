"""Indicator cards (指标卡): a target has a direction, a version its dates."""

from __future__ import annotations

import polars as pl

from quality_checks.suites.base import TableSuite, check, holds

SUITE = TableSuite(
    "indicators.dim_indicator",
    (
        check("unique", "indicator_code", why="一码一卡 one card a code"),
        check("not_null", "definition", why="口径必须写明 a definition is given", gb_code="0103"),
        check(
            "in_set",
            "direction",
            values=["higher", "lower", "none"],
            why="方向取值 known directions",
        ),
        holds(
            "a_target_has_a_direction",
            pl.col("direction") != "none",
            "direction",
            "target",
            where=pl.col("target").is_not_null(),
            why="有目标即有方向 a target is to be reached from one side",
        ),
        check("not_before", "valid_to", "valid_from", why="有效期首尾有序 in order"),
        check("compare", "at_risk_percent", operator=">=", value=0, why="容差不为负 a tolerance"),
    ),
)
