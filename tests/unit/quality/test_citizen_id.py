"""GB 11643: what counts as a citizen id, and what is only nearly one."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from idnumbers.nationalid.CHN import ResidentID
from stdnum.cn import ric

from quality_checks.values.citizen_id import CHECKS, check_character, folded, judge

AS_OF = date(2026, 3, 31)
VALID = "11010519491231002X"


def _reasons(texts: list[str]) -> list[str | None]:
    return judge(folded(pl.Series(texts, dtype=pl.String)), AS_OF)["reason"].to_list()


@pytest.mark.parametrize(
    ("text", "value", "reason"),
    [
        pytest.param(VALID, VALID, None, id="as-the-standard-has-it"),
        pytest.param("11010519491231002x", VALID, None, id="lower-case-x"),
        pytest.param("１１010519491231002Ｘ", VALID, None, id="full-width"),
        pytest.param("'1101 0519491231 002X\u200b", VALID, None, id="excel-apostrophe-and-blanks"),
        pytest.param("110105491231002", VALID, None, id="fifteen-digits"),
        pytest.param("810000199408230021", "810000199408230021", None, id="hong-kong-permit"),
        pytest.param("830000199201300022", "830000199201300022", None, id="taiwan-permit"),
        pytest.param("110105194912310021", None, "checksum", id="wrong-check"),
        pytest.param("110105194902300021", None, "birth", id="30-february"),
        pytest.param("110105190002290021", None, "birth", id="1900-is-no-leap-year"),
        pytest.param("110105202604010021", None, "birth", id="born-after-the-delivery"),
        pytest.param("110105190503310021", None, "birth", id="older-than-120"),
        pytest.param("110105179912310021", None, "format", id="eighteenth-century"),
        pytest.param("110105194913310021", None, "format", id="month-13"),
        pytest.param("010105194912310021", None, "format", id="leading-zero"),
        pytest.param("1.10105E+17", None, "format", id="lost-in-a-spreadsheet"),
        pytest.param("1101051949123100", None, "format", id="sixteen-digits"),
        pytest.param("11010519491231OO2X", None, "format", id="letter-o-for-zero"),
    ],
)
def test_vectors(read, column, text: str, value: str | None, reason: str | None) -> None:
    """A number that is read wrongly links one person's records to another person."""
    row = read(column("id", value_type="citizen_id"), [text]).row(0, named=True)
    assert (row["id"], row["__reason__id"]) == (value, reason)


def test_birth_date_and_sex_come_out(read, column) -> None:
    """The derived columns feed the person dimension; a wrong digit position would shift them."""
    row = read(column("id", value_type="citizen_id"), [VALID]).row(0, named=True)
    assert row["id_birth_date"] == date(1949, 12, 31)
    assert row["id_sex"] == "2"


def test_bad_rows_beside_good_ones_stay_in_place(read, column) -> None:
    """Filter and scatter must put each verdict back on its own row."""
    texts = [VALID, None, "nonsense", "—", "110105491231002", "110105194912310021", VALID]
    frame = read(column("id", value_type="citizen_id"), texts)
    assert frame["id"].to_list() == [VALID, None, None, None, VALID, None, VALID]
    assert frame["__reason__id"].to_list() == [None, None, "format", None, None, "checksum", None]
    assert frame["id_sex"].to_list() == ["2", None, None, None, "2", None, "2"]


def test_centenarian_upgrade() -> None:
    """Sequences 996 to 999 of 15-digit numbers belong to births in the 1800s."""
    assert folded(pl.Series(["110105951231998"]))[0].startswith("110105189512319")


births = st.dates(AS_OF - timedelta(days=120 * 365), AS_OF)


@st.composite
def ids(draw: st.DrawFn) -> str:
    """A number with a right check character."""
    area = draw(st.integers(110000, 829999))
    body = f"{area}{draw(births):%Y%m%d}{draw(st.integers(0, 999)):03d}"
    return body + check_character(body)


@given(st.lists(ids(), min_size=1, max_size=20))
def test_generated_ids_are_accepted(numbers: list[str]) -> None:
    """Whatever obeys the standard must pass: a false rejection quarantines a real person."""
    assert _reasons(numbers) == [None] * len(numbers)


@given(ids(), st.integers(0, 16), st.integers(1, 9))
def test_one_changed_digit_is_rejected(number: str, place: int, shift: int) -> None:
    """MOD 11-2 finds every single wrong digit; a look-up table with a hole would not."""
    wrong = str((int(number[place]) + shift) % 10)
    assert _reasons([number[:place] + wrong + number[place + 1 :]]) != [None]


@given(ids(), st.integers(0, 10))
def test_agrees_with_independent_implementations(number: str, place: int) -> None:
    """Our own arithmetic could share a mistake with our own generator."""
    number = number[:17] + CHECKS[place]
    ours = _reasons([number]) == [None]
    assert ours == ResidentID.validate(number)
    assert ours == (ric.calc_check_digit(number) == number[17])


@pytest.mark.parametrize("as_of", [date(2024, 2, 29), AS_OF])
def test_the_reference_date_itself_is_no_future(as_of: date) -> None:
    """A child registered on the day of the extract is real."""
    body = f"110105{as_of:%Y%m%d}001"
    number = body + check_character(body)
    assert judge(pl.Series([number]), as_of)["reason"].to_list() == [None]
