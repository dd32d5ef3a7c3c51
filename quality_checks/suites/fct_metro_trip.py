"""Metro trips (地铁行程): possible times and fares, cards by pseudonym only."""

from __future__ import annotations

from quality_checks.suites.base import Severity, TableSuite, check

SUITE = TableSuite(
    "core.fct_metro_trip",
    (
        check("not_null", "operating_date", why="每程有运营日 a trip has an operating day"),
        check("between", "entry_hour", minimum=0, maximum=23, why="0 至 23 时 hours of a day"),
        check(
            "compare", "duration_seconds", operator=">=", value=0, why="时长不为负 no negative time"
        ),
        check("between", "fare", minimum=0, maximum=50, why="票价范围 possible fares"),
        check(
            "pattern",
            "card_key",
            pattern="[0-9a-f]{64}",
            gb_code="0106",
            why="假名，不是卡号 a pseudonym, no card number",
        ),
        check(
            "references",
            "area_code",
            dataset="core.dim_area",
            severity=Severity.WARN,
            at_most=1.0,
            why="区划在维表中 the area is known",
        ),
    ),
)
