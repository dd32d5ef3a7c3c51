"""Profiles of tables: right figures, and no value that the contract or its look forbids to show."""

from __future__ import annotations

import json

import duckdb
import pytest
from cityledger.contracts.model import Column, ColumnType
from cityledger.profiling.records import ColumnProfile
from cityledger.profiling.table import likely_keys, profile_columns


def column(name: str, classification: str = "internal") -> Column:
    return Column(
        name=name,
        type=ColumnType.STRING,
        business_name=f"名 {name}",
        headers=(name,),
        classification=classification,
    )


def profiled(sql: str, *columns: Column) -> tuple[int, dict[str, ColumnProfile]]:
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE delivery AS SELECT *, i AS _row_id FROM ({sql})")
        connection.execute("ALTER TABLE delivery DROP i")
        rows, profiles = profile_columns(connection, "delivery", columns)
    return rows, {one.name: one for one in profiles}


def test_figures_are_those_of_the_table() -> None:
    """A wrong share of empty cells would send a department after a defect that isn't there."""
    rows, found = profiled(
        """SELECT i, i % 4 AS quarter, CASE WHEN i % 10 = 0 THEN NULL ELSE 'text' || i END AS note,
           DATE '2026-01-01' + i::INTEGER AS day FROM range(1000) t(i)""",
        column("quarter"),
        column("note"),
        column("day"),
    )
    assert rows == 1000
    quarter, note, day = found["quarter"], found["note"], found["day"]
    assert (quarter.nulls, quarter.minimum, quarter.maximum, quarter.mean) == (0, "0", "3", "1.5")
    assert [(one.value, one.rows) for one in quarter.top] == [(str(n), 250) for n in range(4)]
    assert (note.nulls, note.distinct, note.distinct_exact) == (100, 900, True)
    assert (note.shortest, note.longest) == (5, 7)
    assert (day.minimum, day.maximum) == ("2026-01-01", "2028-09-26")
    assert sum(bin_.rows for bin_ in day.histogram) == 1000
    assert [bin_.rows for bin_ in quarter.histogram if bin_.rows] == [250] * 4


def test_personal_values_are_never_part_of_a_profile() -> None:
    """A top list of names on a page open to every engineer would be a leak."""
    _, found = profiled(
        """SELECT i, '张三丰' AS person, 13800000000 + i % 3 AS phone, 'x' AS loose
           FROM range(50) t(i)""",
        column("person", "personal"),
        column("phone", "sensitive"),
    )
    assert all(one.hidden for one in found.values()), "an unknown column is not shown, either"
    text = json.dumps([one.model_dump(mode="json") for one in found.values()], ensure_ascii=False)
    assert "张三丰" not in text
    assert "1380000" not in text


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("'来电 1380013800' || (i % 10) || '，请回'", "mobile_phone"),
        ("'11010519491231002X'", "citizen_id"),
        ("'6222021234567890128'", "bank_card"),
        ("'someone@example.org'", "e_mail"),
        ("'车牌 京A12345'", "number_plate"),
    ],
)
def test_personal_data_that_nobody_declared_is_suspected_and_hidden(
    expression: str, kind: str
) -> None:
    """A phone number in a remark column that is classified as internal slips through masking."""
    _, found = profiled(f"SELECT i, {expression} AS note FROM range(100) t(i)", column("note"))
    assert [one.kind for one in found["note"].suspicions] == [kind]
    assert found["note"].hidden
    assert not found["note"].top


def test_long_numbers_without_a_fitting_check_digit_are_no_suspects() -> None:
    """Transaction numbers look like card numbers; a false alarm on each would be switched off."""
    _, found = profiled(
        "SELECT i, '622202' || lpad((i * 10)::VARCHAR, 12, '0') || '0' AS trade,"
        " '110105194912310021' AS code FROM range(1, 2) t(i)",
        column("trade"),
        column("code"),
    )
    assert not found["code"].suspicions
    assert not found["trade"].suspicions


def test_extra_columns_are_classified_like_their_parent() -> None:
    """The birth date taken out of an id number is as personal as the id number."""
    _, found = profiled(
        "SELECT i, 'a' AS patient_id, DATE '1949-12-31' AS patient_id_birth_date"
        " FROM range(9) t(i)",
        column("patient_id", "sensitive"),
    )
    assert found["patient_id_birth_date"].classification == "sensitive"
    assert found["patient_id_birth_date"].minimum is None


def test_keys_are_found_singly_or_in_pairs() -> None:
    """Without a key nobody can say whether a row was delivered twice."""

    def keys(sql: str) -> tuple[tuple[str, ...], ...]:
        with duckdb.connect() as connection:
            connection.execute(f"CREATE TABLE delivery AS {sql}")
            rows, profiles = profile_columns(connection, "delivery", ())
            return likely_keys(connection, "delivery", rows, profiles)

    assert keys("SELECT i AS a, i % 7 AS b, i AS _row_id FROM range(100) t(i)") == (("a",),)
    pair = keys("SELECT i % 10 AS a, i // 10 AS b, 1 AS c, i AS _row_id FROM range(100) t(i)")
    assert pair == (("a", "b"),)
    assert keys("SELECT i % 10 AS a, i % 5 AS b, i AS _row_id FROM range(100) t(i)") == ()


def test_empty_delivery_has_a_profile() -> None:
    """A day without records must not stop the profile of all datasets."""
    rows, found = profiled("SELECT i, 'x' AS a FROM range(0) t(i)", column("a"))
    assert rows == 0
    assert (found["a"].nulls, found["a"].distinct, found["a"].top) == (0, 0, ())
