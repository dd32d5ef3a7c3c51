"""Legal entities (法人): codes that fit, days in order."""

from __future__ import annotations

from quality_checks.suites.base import Severity, TableSuite, check

SUITE = TableSuite(
    "core.dim_legal_entity",
    (
        check("unique", "uscc", why="一户一行 one row an entity"),
        check(
            "known_uscc_kind",
            "uscc",
            severity=Severity.WARN,
            at_most=1.0,
            why="GB 32100 前两位 kinds",
        ),
        check(
            "regno_fits",
            "uscc",
            severity=Severity.WARN,
            at_most=1.0,
            why="GB/T 17710 校验位 check digit",
        ),
        check("not_before", "approved_on", "established_on", why="核准不早于成立 in order"),
        check(
            "references", "area_code", dataset="core.dim_area", why="区划在维表中 the area is known"
        ),
        check("not_before", "last_partition", "first_partition", why="报送期次有序 in order"),
    ),
)
