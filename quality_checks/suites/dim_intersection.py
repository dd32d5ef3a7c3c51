"""Signalised intersections (信控路口): one row a month, on the city's map."""

from __future__ import annotations

from quality_checks.suites.base import TableSuite, check

SUITE = TableSuite(
    "core.dim_intersection",
    (
        check("unique", "intersection_id", "month_start", why="一处一月一行 one row each month"),
        check("not_before", "renewed_on", "installed_on", why="更新不早于安装 in order"),
        check(
            "between", "longitude", minimum=73, maximum=136, why="中国经度范围 longitudes of China"
        ),
        check("between", "latitude", minimum=3, maximum=54, why="中国纬度范围 latitudes of China"),
        check(
            "references", "area_code", dataset="core.dim_area", why="区划在维表中 the area is known"
        ),
    ),
)
