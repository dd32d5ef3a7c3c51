"""Rules about identifiers that go beyond their check digits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from quality_checks.rules.base import Call, Example, row_rule
from quality_checks.rules.columns import unless_null
from quality_checks.values.citizen_id import judge as judge_citizen_id
from quality_checks.values.uscc import is_orgcode, is_regno15, is_uscc

PROVINCES = frozenset(
    (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55))
) | frozenset((*range(61, 66), 71, 81, 82, 83, *range(90, 100)))
"""First two digits of citizen ids: provinces, residence permits of Hong Kong, Macao and Taiwan
(81 to 83), permanent residence of foreigners since 2023 (9x)."""

USCC_KINDS: Mapping[str, str] = {
    "1": "1239",
    "2": "19",
    "3": "123459",
    "4": "129",
    "5": "1239",
    "6": "129",
    "7": "129",
    "8": "19",
    "9": "1239",
    "N": "1239",
    "A": "",
    "Y": "",
}
"""GB 32100: registering authority (first character) → kinds of body (second); empty: any."""

_USCC_LENGTH, _REGNO_LENGTH = 18, 15

Texts = Callable[[pl.Series], pl.Series]


def _by_column(call: Call, good: Texts) -> pl.Expr:
    return call.value.map_batches(good, return_dtype=pl.Boolean, is_elementwise=True)


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
    return unless_null(call.value, inner | (call.value.str.len_bytes() != _USCC_LENGTH))


@row_rule(
    gb_code="0301",
    source="GB 11643 with ISO 7064 MOD 11-2",
    example=Example(good={"a": ["11010519491231002X"]}, bad={"a": ["110105194912310021", "x"]}),
)
def citizen_id_fits(call: Call) -> pl.Expr:
    """The text is a citizen id of 18 characters: shape, day of birth, check character.

    For columns that are not read as ``citizen_id`` (that value type also folds and upgrades).
    """
    as_of = call.as_of
    return unless_null(
        call.value, _by_column(call, lambda ids: judge_citizen_id(ids, as_of)["reason"].is_null())
    )


@row_rule(
    gb_code="0301",
    source="GB 32100: alphabet without I O S V Z, weights 3^i modulo 31",
    example=Example(good={"a": ["91350100M000100Y43"]}, bad={"a": ["91350100M000100Y44", "x"]}),
)
def uscc_fits(call: Call) -> pl.Expr:
    """The text is a unified social credit code of 18 characters, check character included.

    For columns that are not read as ``uscc`` (that value type also folds and classifies).
    """
    return unless_null(call.value, _by_column(call, is_uscc))


@row_rule(
    gb_code="0105",
    source="GB 32100: 登记管理部门 and 机构类别, characters 1 and 2",
    example=Example(good={"a": ["91350100M000100Y43"]}, bad={"a": ["97350100M000100Y43"]}),
)
def known_uscc_kind(call: Call) -> pl.Expr:
    """An 18-character code begins with a registering authority and a kind of body that it has."""
    authority, kind = call.value.str.slice(0, 1), call.value.str.slice(1, 1)
    known = pl.any_horizontal(
        (authority == first) & (kind.is_in(list(kinds)) if kinds else pl.lit(value=True))
        for first, kinds in USCC_KINDS.items()
    )
    return unless_null(call.value, known | (call.value.str.len_bytes() != _USCC_LENGTH))


@row_rule(
    gb_code="0301",
    source="GB/T 17710 MOD 11,10: 3,385 of 3,385 old numbers in a public register pass",
    example=Example(good={"a": ["110108000000016"]}, bad={"a": ["110108000000017"]}),
)
def regno_fits(call: Call) -> pl.Expr:
    """A registration number of 15 digits (工商注册号) has its own check digit."""
    other = call.value.str.len_bytes() != _REGNO_LENGTH
    return unless_null(call.value, _by_column(call, is_regno15) | other)
