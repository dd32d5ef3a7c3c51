"""Rules about identifiers that go beyond their check digits."""

from __future__ import annotations

import polars as pl

from quality_checks.rules.base import Call, Example, row_rule
from quality_checks.rules.columns import unless_null
from quality_checks.values.uscc import is_orgcode

PROVINCES = frozenset(
    (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55))
) | frozenset((*range(61, 66), 71, 81, 82, 83, *range(90, 100)))
"""First two digits of citizen ids: provinces, residence permits of Hong Kong, Macao and Taiwan
(81 to 83), permanent residence of foreigners since 2023 (9x)."""


@row_rule(
    gb_code="0105",
    source="GB 11643 with GB/T 2260, all editions",
    optional=("codes",),
    example=Example(good={"a": ["11010519491231002X"]}, bad={"a": ["18010519491231002X"]}),
)
def known_region(call: Call) -> pl.Expr:
    """The area code in a citizen id is known: its province, or, with ``codes``, the area.

    Only a warning makes sense: people keep numbers with codes that were abolished decades ago.
    """
    if call.get("codes") is not None:
        known = {entry.code for entry in call.codes(str(call.get("codes"))).entries}
        return unless_null(call.value, call.value.str.slice(0, 6).is_in(sorted(known)))
    prefixes = [str(code) for code in sorted(PROVINCES)]
    return unless_null(call.value, call.value.str.slice(0, 2).is_in(prefixes))


@row_rule(
    gb_code="0301",
    source="GB 32100 with GB 11714: characters 9 to 17 are an organisation code",
    example=Example(good={"a": ["91350100M000100Y43"]}, bad={"a": ["91350100M000100Z43"]}),
)
def org_code_fits(call: Call) -> pl.Expr:
    """The organisation code inside an 18-character social credit code has its own check digit."""
    inner = call.value.str.slice(8, 9).map_batches(is_orgcode, return_dtype=pl.Boolean)
    return unless_null(call.value, inner | (call.value.str.len_bytes() != 18))
