"""Code lists, city and glossary: effective-dated, referenced, checked."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from cityledger.contracts.city import read_city
from cityledger.contracts.codes import Code, CodeList, load_codes
from cityledger.contracts.glossary import examine_glossary
from cityledger.contracts.model import Column, ColumnType
from cityledger.contracts.violations import ContractError
from cityledger.errors import BadInputError
from hypothesis import given
from hypothesis import strategies as st

from .conftest import PROJECT

CITY = """
name: 某市
code: '990100'
areas:
  - {code: '990122', name: 松溪县, level: county, parent: '990100', valid_to: 2025-12-31,
     successors: ['990106'], population: 100}
  - {code: '990106', name: 松溪区, level: district, parent: '990100', valid_from: 2026-01-01,
     population: 120}
departments:
  - {id: transport, name: 交通运输局}
"""


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _refused(call: object, *arguments: object) -> str:
    assert callable(call)
    with pytest.raises(ContractError) as caught:
        call(*arguments)
    return str(caught.value)


# --- code lists ----------------------------------------------------------------------------------


def test_a_renamed_area_is_looked_up_as_of_the_record(tmp_path: Path) -> None:
    """Today's list alone would reject last year's records."""
    _write(tmp_path, "city.yaml", CITY)
    areas = load_codes(tmp_path / "codes", "area")
    assert areas.lookup("990122", date(2025, 12, 31)).name == "松溪县"
    assert areas.lookup("990106", date(2026, 1, 1)).name == "松溪区"
    assert areas.find("990106", date(2025, 12, 31)) is None
    with pytest.raises(BadInputError, match="not in force on 2026-01-01 → use 990106"):
        areas.lookup("990122", date(2026, 1, 1))
    assert areas.find("990122") is not None
    assert [code.code for code in areas.valid(date(2026, 6, 1))] == ["990100", "990106"]


def test_an_unknown_code_is_an_explicit_error(tmp_path: Path) -> None:
    """Unknown must never turn into null."""
    sex = load_codes(PROJECT / "contracts" / "codes", "sex")
    with pytest.raises(BadInputError) as caught:
        sex.lookup("3")
    assert caught.value.code == "unknown_code"


@pytest.mark.parametrize("text", ["男", "M", "男性", "1", "男 "])
def test_spellings_of_departments_are_recognised(text: str) -> None:
    """Known mess is data: it stands in the list."""
    found = load_codes(PROJECT / "contracts" / "codes", "sex").recognise(text)
    assert found is not None
    assert found.code == "1"


def test_an_ambiguous_spelling_is_not_guessed() -> None:
    """Two areas of one name: choosing either would be a guess."""
    twins = CodeList("x", "x", (Code("1", "新城"), Code("2", "新城")))
    assert twins.recognise("新城") is None


def test_industry_sections_cover_each_division_once() -> None:
    """A gap or an overlap would misplace every enterprise of that division."""
    sections = load_codes(PROJECT / "contracts" / "codes", "industry_section")
    divisions = [
        number
        for entry in sections.entries
        for number in range(int(entry.attributes["first"]), int(entry.attributes["last"]) + 1)
    ]
    assert divisions == list(range(1, 98))
    assert "".join(entry.code for entry in sections.entries) == "ABCDEFGHIJKLMNOPQRST"


def test_a_csv_list_equals_its_yaml(tmp_path: Path) -> None:
    """Long lists come as CSV; the meaning must not depend on the format."""
    _write(
        tmp_path,
        "lines.csv",
        "code,name,aliases,valid_to,successors,depot\n"
        "1,一号线,1号线|L1,2020-12-31,1A,北\n1A,一号线甲,,,,\n",
    )
    _write(
        tmp_path,
        "lines2.yaml",
        "name: lines2\ntitle: 线路\ncodes:\n"
        "  - {code: '1', name: 一号线, aliases: [1号线, L1], valid_to: 2020-12-31,"
        " successors: [1A], attributes: {depot: 北}}\n  - {code: 1A, name: 一号线甲}\n",
    )
    assert load_codes(tmp_path, "lines").entries == load_codes(tmp_path, "lines2").entries


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("code,name\n1,a\n2\n", "lines.csv:3:1: a row without 2 fields"),
        ("code,name\n1,a,b\n", "lines.csv:2:1: a row without 2 fields"),
        ("code,name\n1,a\n1,b\n", "lines.csv:3:1: code '1' is in the list twice"),
        ("code,name\n", "no codes"),
        ('code,name\n1,"a\n', "no valid CSV"),
        ("name\na\n", "'code' is missing"),
    ],
)
def test_bad_csv_lists(tmp_path: Path, text: str, expected: str) -> None:
    """A row that slipped would shift every code after it."""
    _write(tmp_path, "lines.csv", text)
    assert expected in _refused(load_codes, tmp_path, "lines")


@pytest.mark.parametrize("name", ["none", "../city", "Sex", ""])
def test_no_such_list(tmp_path: Path, name: str) -> None:
    """A name from a contract must not lead out of the folder."""
    _write(tmp_path.parent, "city.yaml", CITY)
    with pytest.raises(BadInputError) as caught:
        load_codes(tmp_path, name)
    assert caught.value.code == "unknown_code_list"


_DAYS = st.dates(date(2000, 1, 1), date(2030, 1, 1))


@given(cut=_DAYS, day=_DAYS)
def test_a_code_is_in_force_in_exactly_one_of_two_adjoining_periods(cut: date, day: date) -> None:
    """Both ends are inclusive; a day counted twice or never would be a silent mistake."""
    after = date.fromordinal(cut.toordinal() + 1)
    codes = CodeList("x", "x", (Code("1", "old", valid_to=cut), Code("1", "new", valid_from=after)))
    assert codes.lookup("1", day).name == ("old" if day <= cut else "new")
    assert len(codes.valid(day)) == 1


# --- city ----------------------------------------------------------------------------------------


def test_population_counts_each_area_once(tmp_path: Path) -> None:
    """A renamed county counted under both codes inflates every per-resident indicator."""
    city = read_city(_write(tmp_path, "city.yaml", CITY))
    assert city.population_on(date(2025, 12, 31)) == 100
    assert city.population_on(date(2026, 1, 1)) == 120
    assert city.department("transport") is not None
    assert city.department("trains") is None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("code: '990122'", "code: 990122", "must be text"),
        ("code: '990122'", "code: '9901'", "no area code"),
        ("successors: ['990106']", "successors: ['990107']", "no area of the city"),
        ("valid_to: 2025-12-31,\n     successors: ['990106'],", "valid_to: 2025-12-31,", "without"),
        ("valid_to: 2025-12-31", "valid_to: 31.12.2025", "is not a date"),
        ("valid_from: 2026-01-01", "valid_from: 2026-01-01, valid_to: 2020-01-01", "before it"),
        (
            "{code: '990106', name: 松溪区, level: district, parent: '990100', valid_from: 2026",
            "{code: '990122', name: 松溪区, level: district, parent: '990100', valid_from: 2025",
            "twice for the same days",
        ),
        ("parent: '990100', valid_from", "parent: '990199', valid_from", "parent '990199'"),
        ("id: transport", "id: Transport", "not lower snake case"),
        ("departments:", "departments: []\nmore:", "no departments"),
        ("population: 100", "population: '100'", "must be a number"),
    ],
)
def test_bad_city_files(tmp_path: Path, old: str, new: str, expected: str) -> None:
    """Every per-area figure hangs on this file."""
    assert old in CITY
    path = _write(tmp_path, "city.yaml", CITY.replace(old, new))
    assert expected in _refused(read_city, path)


# --- glossary ------------------------------------------------------------------------------------


def test_glossary_terms_are_compared_field_by_field(tmp_path: Path) -> None:
    """One name with two meanings makes joins that look right and are wrong."""
    text = (
        "columns:\n  fare: {zh: 票价, en: Fare, type: number, unit: 元, classification: public}\n"
    )
    terms, violations = examine_glossary(_write(tmp_path, "columns.yaml", text))
    assert violations == []
    term = terms["fare"]
    same = Column("fare", ColumnType.NUMBER, "票价", ("票价",), unit="元", classification="public")
    other = Column("fare", ColumnType.INTEGER, "票价", ("票价",), unit="分")
    assert term.disagreements(same) == []
    assert term.disagreements(other) == [
        ("logicalType", "number"),
        ("classification", "public"),
        ("unit", "元"),
    ]
