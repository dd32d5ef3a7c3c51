"""GB 32100 and the other numbers that stand in a column of social credit codes."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import uscc as oracle

from quality_checks.values.uscc import ALPHABET, WEIGHTS, is_orgcode, is_regno15, is_uscc

VALID = "91350100M000100Y43"


@pytest.mark.parametrize(
    ("text", "kind", "value", "reason"),
    [
        pytest.param(VALID, "uscc", VALID, None, id="code"),
        pytest.param(" 91350100m000100y43", "uscc_normalised", VALID, None, id="lower-case"),
        pytest.param("９１350100M000100Y43", "uscc_normalised", VALID, None, id="full-width"),
        pytest.param("110108000000016", "regno15", "110108000000016", None, id="15-digits"),
        pytest.param("110108000000016.0", "regno15", "110108000000016", None, id="excel-float"),
        pytest.param("3205001234567", "regno13", "3205001234567", None, id="13-digits"),
        pytest.param("13830295-X", "orgcode9", "13830295-X", None, id="organisation-code"),
        pytest.param(
            "企合苏总字第000063号", "cert_text", "企合苏总字第000063号", None, id="certificate"
        ),
        pytest.param("N/A", "missing", None, None, id="null-token"),
        pytest.param(None, "missing", None, None, id="null"),
        pytest.param("91350100M000100Y44", "bad", None, "checksum", id="wrong-check"),
        pytest.param("110108000000017", "bad", None, "checksum", id="15-digits-wrong-check"),
        pytest.param("91350100I000100Y43", "bad", None, "format", id="letter-outside-alphabet"),
        pytest.param("有限公司", "bad", None, "format", id="words"),
    ],
)
def test_classes(read, column, text, kind, value, reason) -> None:
    """Rejecting older numbers outright would throw one enterprise in a hundred away."""
    row = read(column("code", value_type="uscc"), [text]).row(0, named=True)
    assert (row["code_class"], row["code"], row["__reason__code"]) == (kind, value, reason)


@st.composite
def codes(draw: st.DrawFn) -> str:
    """A code with a right check character; digit-led, where the oracle is right."""
    head = draw(st.sampled_from(["11", "12", "31", "51", "52", "81", "91", "92", "93"]))
    area = f"{draw(st.integers(110000, 659999)):06d}"
    body = head + area + draw(st.text(ALPHABET, min_size=9, max_size=9))
    total = sum(ALPHABET.index(char) * weight for char, weight in zip(body, WEIGHTS, strict=True))
    return body + ALPHABET[-total % 31]


@given(codes())
def test_generated_codes_are_accepted(code: str) -> None:
    """A false rejection quarantines a real enterprise."""
    assert is_uscc(pl.Series([code])).to_list() == [True]
    assert oracle.calc_check_digit(code[:-1]) == code[-1]


@given(codes(), st.integers(0, 17), st.integers(1, 30))
def test_one_changed_character_is_rejected(code: str, place: int, shift: int) -> None:
    """MOD 31-3 finds every single wrong character."""
    wrong = ALPHABET[(ALPHABET.index(code[place]) + shift) % 31]
    assert is_uscc(pl.Series([code[:place] + wrong + code[place + 1 :]])).to_list() == [False]


@pytest.mark.parametrize("letter", ["N2", "A1", "Y1"])
def test_letter_led_codes_are_judged_by_their_check_only(letter: str) -> None:
    """The library rejects rural collectives (N…) that have lawful codes."""
    body = letter + "350100M000100Y4"
    total = sum(ALPHABET.index(char) * weight for char, weight in zip(body, WEIGHTS, strict=True))
    assert is_uscc(pl.Series([body + ALPHABET[-total % 31]])).to_list() == [True]


def test_other_check_digits() -> None:
    """GB 11714 and MOD 11,10, each with its neighbour that must fail."""
    assert is_orgcode(pl.Series(["13830295X", "138302959", None])).to_list() == [True, False, False]
    numbers = pl.Series(["110108000000016", "110108000000061", "11010800000001A"])
    assert is_regno15(numbers).to_list() == [True, False, False]
