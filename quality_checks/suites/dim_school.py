"""Schools (学校): counts that fit together."""

from __future__ import annotations

from quality_checks.suites.base import TableSuite, check

SUITE = TableSuite(
    "core.dim_school",
    (
        check("unique", "school_code", "school_year", why="一校一年一行 one row a school and year"),
        check("compare", "students", operator=">=", value=0, why="学生数不为负 students"),
        check("at_least_column", "students", "classes", why="每班至少一人 a pupil in every class"),
        check(
            "references", "area_code", dataset="core.dim_area", why="区划在维表中 the area is known"
        ),
    ),
)
