"""GB/T 4754 国民经济行业分类: the letter of the section and the number of the division."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from quality_checks.rules.base import Call, Example, row_rule
from quality_checks.rules.columns import unless_null

SECTIONS: Mapping[str, tuple[int, int]] = {
    "A": (1, 5),
    "B": (6, 12),
    "C": (13, 43),
    "D": (44, 46),
    "E": (47, 50),
    "F": (51, 52),
    "G": (53, 60),
    "H": (61, 62),
    "I": (63, 65),
    "J": (66, 69),
    "K": (70, 70),
    "L": (71, 72),
    "M": (73, 75),
    "N": (76, 79),
    "O": (80, 82),
    "P": (83, 83),
    "Q": (84, 85),
    "R": (86, 90),
    "S": (91, 96),
    "T": (97, 97),
}
"""Section → its first and last division (GB/T 4754-2017 with amendment 1)."""


@row_rule(
    gb_code="0105",
    source="GB/T 4754-2017: sections A to T, divisions 01 to 97",
    example=Example(
        good={"a": ["A0111", "C13", "7011", "A"], "b": [None, "C", "K", "A"]},
        bad={"a": ["A1311", "C01", "9811", "Z01"], "b": [None, None, None, None]},
        columns=("a",),
    ),
)
def known_industry(call: Call) -> pl.Expr:
    """The division (first two digits) exists and belongs to the section letter, if there is one.

    The letter stands before the digits or in a second column. What is no code at all (``批发业``)
    breaks the rule; a leading nought that a spreadsheet dropped can't be seen here.
    """
    parts = call.value.str.extract_groups(r"^([A-Z]?)(\d{2})?\d{0,2}$")
    letter, division = parts.struct.field("1"), parts.struct.field("2").cast(pl.Int8)
    if len(call.spec.columns) > 1:
        second = pl.col(call.spec.columns[1])
        letter = pl.when(letter == "").then(second).otherwise(letter)
    none = (letter == "") | letter.is_null()
    fits = pl.any_horizontal(
        (none | (letter == section)) & (division.is_between(low, high) | division.is_null())
        for section, (low, high) in SECTIONS.items()
    )
    shaped = parts.struct.field("1").is_not_null() & ~(none & division.is_null())
    return unless_null(call.value, (shaped & fits).fill_null(value=False))
