"""Persons (人口): pseudonyms, no identifiers."""

from __future__ import annotations

from quality_checks.suites.base import TableSuite, check

SUITE = TableSuite(
    "core.dim_person",
    (
        check("unique", "person_key", why="一人一行 one row a person"),
        check(
            "pattern",
            "person_key",
            pattern="[0-9a-f]{64}",
            gb_code="0106",
            why="假名，不是证件号 a pseudonym, no citizen id",
        ),
        check("in_set", "sex", values=["0", "1", "2", "9"], why="GB/T 2261.1"),
        check("between", "birth_year", minimum=1890, maximum=2100, why="出生年范围 possible years"),
    ),
)
