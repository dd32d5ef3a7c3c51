"""Outpatient visits (门急诊): persons by pseudonym only, fees that add up."""

from __future__ import annotations

from quality_checks.suites.base import TableSuite, check

SUITE = TableSuite(
    "core.fct_outpatient_visit",
    (
        check("unique", "visit_no", why="一次一行 one row a visit"),
        check("not_null", "person_key", why="人员以假名出现 persons by pseudonym"),
        check(
            "pattern",
            "person_key",
            pattern="[0-9a-f]{64}",
            gb_code="0106",
            why="假名，不是证件号 a pseudonym, no citizen id",
        ),
        check(
            "references",
            "person_key",
            dataset="core.dim_person",
            why="人员在维表中 the person is known",
        ),
        check(
            "references", "area_code", dataset="core.dim_area", why="区划在维表中 the area is known"
        ),
        check(
            "at_least_sum",
            "total_fee",
            "insurance_fee",
            "self_fee",
            why="总费用不小于各部分之和 sums",
        ),
        check("compare", "total_fee", operator=">=", value=0, why="费用不为负 no negative fee"),
    ),
)
