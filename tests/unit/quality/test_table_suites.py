"""Suites of core models and indicators: good tables pass, and every check bites."""

from __future__ import annotations

import copy
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from cityledger.records import RuleResult

from quality_checks.suites import all_suites, check_tables, runner
from quality_checks.suites.base import TableSuite, check

Row = dict[str, Any]
KEY = "0" * 63
AT, LATER = datetime(2026, 3, 2, 9), datetime(2026, 3, 4, 17)
DAY, NEXT, MARCH = date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 1)
PARTS = {f"iaqi_{name}": 20 for name in ("so2", "no2", "pm10", "co", "o3")}

GOOD: dict[str, Row] = {
    "core.dim_area": {
        "area_code": "990102",
        "level": "district",
        "valid_from": date(1990, 1, 1),
        "valid_to": date(2025, 12, 31),
        "population": 1000,
    },
    "core.dim_person": {"person_key": KEY, "sex": "1", "birth_year": 1980},
    "core.dim_legal_entity": {
        "uscc": "91350100M000100Y43",
        "approved_on": NEXT,
        "established_on": DAY,
        "area_code": "990102",
        "first_partition": "2026-01",
        "last_partition": "2026-03",
    },
    "core.dim_school": {
        "school_code": "1",
        "school_year": 2025,
        "classes": 3,
        "students": 90,
        "area_code": "990102",
    },
    "core.dim_intersection": {
        "intersection_id": "1",
        "month_start": MARCH,
        "installed_on": DAY,
        "renewed_on": NEXT,
        "longitude": 120.0,
        "latitude": 30.0,
        "area_code": "990102",
    },
    "core.fct_service_case": {
        "case_no": "1",
        "area_code": "990102",
        "accepted_at": AT,
        "finished_at": LATER,
        "is_finished": True,
        "working_days": 2,
        "statutory_limit_days": 5,
        "promised_limit_days": 3,
        "is_within_statutory_limit": True,
        "satisfaction": 5,
    },
    "core.fct_hotline_ticket": {
        "ticket_no": "1",
        "area_code": "990102",
        "created_at": AT,
        "replied_at": LATER,
        "reply_deadline": LATER,
        "is_replied_in_time": True,
        "satisfaction_score": 4,
        "transfers": 1,
    },
    "core.fct_hotline_survey": {
        "survey_no": "1",
        "ticket_no": "1",
        "score": 4,
        "is_reached": True,
    },
    "core.fct_air_concentration_day": {
        "place_type": "area",
        "place_code": "990102",
        "day": DAY,
        "pollutant": "pm25",
        "concentration": Decimal("12.5"),
        "stations": 2,
    },
    "core.fct_air_quality_day": {
        "place_type": "area",
        "place_code": "990102",
        "day": DAY,
        "aqi": 60,
        "level": 2,
        "iaqi_pm25": 60,
        **PARTS,
        "primary_pollutants": "pm25",
        "pm10": Decimal("50"),
        "pm25": Decimal("42"),
    },
    "core.fct_outpatient_visit": {
        "visit_no": "1",
        "person_key": KEY,
        "area_code": "990102",
        "total_fee": Decimal("10"),
        "insurance_fee": Decimal("6"),
        "self_fee": Decimal("4"),
    },
    "core.fct_metro_trip": {
        "operating_date": DAY,
        "entry_hour": 8,
        "duration_seconds": 600,
        "fare": Decimal("3"),
        "card_key": KEY,
        "area_code": "990102",
    },
    "core.fct_enterprise_month": {
        "uscc": "91350100M000100Y43",
        "month_start": MARCH,
        "area_code": "990102",
    },
    "indicators.dim_indicator": {
        "indicator_code": "SVC-02",
        "definition": "占比",
        "direction": "higher",
        "target": Decimal("50"),
        "valid_from": DAY,
        "valid_to": NEXT,
        "at_risk_percent": Decimal("3"),
    },
    "indicators.fct_indicator_value": {
        "indicator_code": "SVC-02",
        "area_code": "990102",
        "period": "2026-03",
        "period_start": MARCH,
        "period_end": date(2026, 3, 31),
        "value": Decimal("75"),
        "numerator": Decimal("3"),
        "denominator": Decimal("4"),
        "unit": "%",
        "target": Decimal("50"),
        "status": "met",
    },
}
PSEUDONYMS = ("person_key", "card_key")
TEXT_KEYS = ("case_no", "ticket_no", "survey_no", "visit_no", "school_code", "intersection_id")
USCC = ("91350100M000100Y43", "110108000000016")

# How to break what no argument tells: the end of the key → changes of one row.
CHANGES: dict[str, Row] = {
    "working_days_only_when_finished": {"working_days": None},
    "working_days_not_negative": {"working_days": -1},
    "limit_judged_as_said": {"is_within_statutory_limit": False},
    "in_time_as_said": {"is_replied_in_time": False},
    "score_only_when_reached": {"is_reached": False},
    "index_is_the_largest_part": {"iaqi_pm25": 59},
    "level_follows_from_index": {"level": 1},
    "primary_pollutant_above_50_only": {"primary_pollutants": None},
    "first_of_the_month": {"month_start": DAY},
    "a_target_has_a_direction": {"direction": "none"},
    "value_null_iff_no_data": {"status": "insufficient_data"},
    "judged_only_with_target": {"target": None},
    "met_on_the_right_side": {"status": "missed"},
    "part_of_a_whole": {"numerator": Decimal("5")},
    "share_is_its_ratio": {"value": Decimal("74")},
    "period_key_fits_its_days": {"period": "2025-03"},
    "known_uscc_kind": {"uscc": "97350100M000100Y43"},
    "regno_fits": {"uscc": "110108000000017"},
    "complete_calendar": {"day": date(2026, 3, 9)},
    "not_overlapping": {"valid_from": date(1991, 1, 1)},
}


def _tables() -> dict[str, list[Row]]:
    """Two good rows a table; keys differ."""
    tables = {}
    for table, row in GOOD.items():
        first, second = copy.deepcopy(row), copy.deepcopy(row)
        for number, one in enumerate((first, second)):
            one.update({name: f"{KEY}{number}" for name in PSEUDONYMS if name in one})
            one.update({name: f"{number}" for name in TEXT_KEYS if name in one})
            if "uscc" in one:
                one["uscc"] = USCC[number]
        _set_apart(table, second)
        tables[table] = [first, second]
    return tables


def _set_apart(table: str, row: Row) -> None:
    if table == "core.dim_area":
        row |= {"valid_from": date(2026, 1, 1), "valid_to": date(9999, 12, 31)}
    elif table == "indicators.dim_indicator":
        row |= {"indicator_code": "SVC-09", "direction": "none", "target": None}
    elif table == "indicators.fct_indicator_value":
        row |= {"period": "none", "period_start": None, "period_end": None, "value": None}
        row |= {"numerator": None, "denominator": None, "status": "insufficient_data"}
    elif "day" in row:
        row["day"] = NEXT


def _results(tables: dict[str, list[Row]], **settings: Any) -> dict[str, RuleResult]:
    with duckdb.connect() as connection:
        for table, rows in tables.items():
            frame = pl.DataFrame(rows, infer_schema_length=None)
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {table.split('.')[0]}")
            connection.register("frame", frame.to_arrow())
            connection.execute(f"CREATE TABLE {table} AS SELECT * FROM frame")
        found = check_tables(
            connection,
            tables,
            codes_dir=Path(),
            as_of=date(2026, 3, 31),
            catalog="memory",
            **settings,
        )
    return {result.key: result for result in found}


def _cases() -> list[Any]:
    return [
        pytest.param(suite.table, one, spec, id=spec.key)
        for suite in all_suites().values()
        for one, spec in suite.specs()
    ]


def _broken_row(row: Row, one: Any) -> Row:
    name, columns, given = one.rule.name, one.columns, one.arguments
    if name in CHANGES:
        return row | CHANGES[name]
    column = columns[0]
    wrong: dict[str, Any] = {
        "not_null": None,
        "in_set": "?",
        "pattern": "?",
        "references": "?",
        "required_if": None,
        "between": given.get("maximum", 0) + 1,
        "compare": (given.get("value") or 0) - 1,
        "at_least_sum": -1,
    }
    if name in wrong:
        return row | {column: wrong[name]}
    if name in ("not_before", "at_least_column"):
        return row | {column: row[columns[1]], columns[1]: _more(row[columns[1]])}
    assert name == "at_most_column", f"say how to break {name}"
    return row | {column: row[columns[1]] + 1}


def _more(value: Any) -> Any:
    if isinstance(value, str):
        return value + "9"
    return value + (timedelta(days=1) if isinstance(value, date) else 1)


def test_every_table_has_a_good_example() -> None:
    """A suite without rows here would be tested by nothing."""
    assert set(GOOD) == set(all_suites())


def test_good_tables_pass() -> None:
    """A check that good tables break would cry wolf every night."""
    results = _results(_tables())
    assert {key: r.message for key, r in results.items() if r.status.value != "passed"} == {}
    assert len(results) == len(_cases())


@pytest.mark.parametrize(("table", "one", "spec"), _cases())
def test_every_check_bites(table: str, one: Any, spec: Any) -> None:
    """A check that never fails looks like a perfect city."""
    tables = _tables()
    rows = tables[table]
    if one.rule.name == "unique":
        rows.append(dict(rows[0]))
    elif one.rule.name in ("complete_calendar", "not_overlapping", "regno_fits"):
        rows[1] = _broken_row(rows[1], one)
    else:
        rows[0] = _broken_row(rows[0], one)
    needed = {table, "core.dim_area", "core.dim_person", "core.fct_hotline_ticket"}
    needed |= {"indicators.dim_indicator"}
    result = _results({name: tables[name] for name in GOOD if name in needed})[spec.key]
    assert result.failed >= 1, result
    assert result.status.value == ("warning" if spec.threshold is None else "failed")


def test_batches_and_whole_columns_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key repeated in another batch, and a period that overlaps across batches."""
    tables = {"core.dim_person": _tables()["core.dim_person"] * 2}
    monkeypatch.setattr(runner, "BATCH_ROWS", 1)
    assert _results(tables)["core.dim_person.person_key.unique"].failed == 2


def test_a_table_of_another_shape_is_an_error() -> None:
    """Another city's table may lack a column: nobody looked, so it is not passed."""
    rows = [{"person_key": KEY + "0", "sex": "1"}]
    result = _results({"core.dim_person": rows})["core.dim_person.birth_year.between"]
    assert (result.status.value, result.message) == ("error", "the table has no column birth_year")


def test_a_missing_reference_is_an_error() -> None:
    """Without dim_area no area code has been looked up."""
    results = _results({"core.dim_school": _tables()["core.dim_school"]})
    result = results["core.dim_school.area_code.references"]
    assert result.status.value == "error"
    assert "core.dim_area" in result.message


def test_an_empty_table_passes_and_unknown_tables_are_passed_over() -> None:
    """A city that has no metro has an empty table, not an error."""
    suite = TableSuite("core.empty", (check("not_null", "a", why="x"),))
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA core; CREATE TABLE core.empty (a VARCHAR)")
        settings: dict[str, Any] = {"codes_dir": Path(), "as_of": DAY, "catalog": "memory"}
        (result,) = check_tables(
            connection, ["core.empty", "core.other"], suites={"core.empty": suite}, **settings
        )
    assert (result.status.value, result.evaluated) == ("passed", 0)


def test_keys_are_stable_and_unique() -> None:
    """Histories hang on keys: `schema.table.column.rule`."""
    keys = [spec.key for suite in all_suites().values() for _, spec in suite.specs()]
    assert len(set(keys)) == len(keys)
    assert all(key.startswith(("core.", "indicators.")) for key in keys)
