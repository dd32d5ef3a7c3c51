"""Areas (区划): effective-dated; one code means one area on one day (GB/T 2260)."""

from __future__ import annotations

from quality_checks.suites.base import TableSuite, check

SUITE = TableSuite(
    "core.dim_area",
    (
        check("pattern", "area_code", pattern="[0-9]{6}", why="六位数字 six digits"),
        check("not_before", "valid_to", "valid_from", why="有效期首尾有序 in order"),
        check(
            "not_overlapping",
            "valid_from",
            "valid_to",
            by=["area_code"],
            why="同码有效期不重叠 no overlap",
        ),
        check(
            "in_set",
            "level",
            values=["city", "district", "county", "county_city"],
            why="层级取值 known levels",
        ),
        check("compare", "population", operator=">", value=0, why="人口为正 residents"),
    ),
)
