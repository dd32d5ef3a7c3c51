"""Everything that ODCS can say about quality, from the file to the verdict."""

from __future__ import annotations

import copy
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from cityledger.contracts.model import QualityNote, Scope, Severity
from cityledger.contracts.registry import load_contract
from cityledger.contracts.rules import OPERATORS
from cityledger.contracts.violations import ContractError
from cityledger.errors import BadInputError
from cityledger.settings import PROJECT_DIR

from quality_checks.rules import catalogue, sql
from quality_checks.suite import compile_suite

Entry = dict[str, Any]
HOUSE = PROJECT_DIR / "contracts" / "hotline" / "satisfaction.odcs.yaml"


@pytest.fixture
def judge(tmp_path: Path):
    """Write quality entries into a contract; give back the contract and the results by rule."""

    def run(
        rows: dict[str, list[str | None]],
        *table: Entry,
        column: tuple[Entry, ...] = (),
        batches: int = 1,
        private: bool = False,
    ) -> tuple[Any, dict[str, Any], list[Any]]:
        path = tmp_path / "health" / "sample.odcs.yaml"
        contract = load_contract(_written(path, table, column, private), None)
        suite = compile_suite(contract, codes_dir=tmp_path, as_of=date(2026, 3, 31))
        session = suite.session()
        text = pl.DataFrame(rows, schema={"k": pl.String, "a": pl.String, "n": pl.String})
        size = -(-text.height // batches) or 1
        verdicts = [session.check(suite.read(part)) for part in text.iter_slices(size)]
        return contract, {result.rule: result for result in session.finish()}, verdicts

    return run


def _written(path: Path, table: Any, column: Any, private: bool = False) -> Path:
    data = copy.deepcopy(yaml.safe_load(HOUSE.read_text(encoding="utf-8")))
    data |= {"id": "health.sample", "domain": "health"}
    grade = "personal" if private else "internal"
    data["schema"] = [
        {
            "name": "sample",
            "properties": [
                {
                    "name": "k",
                    "logicalType": "string",
                    "businessName": "键",
                    "primaryKey": True,
                    "required": True,
                    "classification": "internal",
                },
                {
                    "name": "a",
                    "logicalType": "string",
                    "businessName": "甲",
                    "classification": grade,
                    "quality": list(column),
                },
                {
                    "name": "n",
                    "logicalType": "integer",
                    "businessName": "数",
                    "classification": grade,
                },
            ],
            "quality": list(table),
        }
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def _rows(bad: int, good: int) -> dict[str, list[str | None]]:
    return {
        "k": [str(n) for n in range(bad + good)],
        "a": [None] * bad + ["x"] * good,
        "n": ["1"] * (bad + good),
    }


OPERATOR_CASES = [
    ("mustBe", 0, {0: "passed", 1: "failed"}),
    ("mustBe", 2, {0: "failed", 1: "failed", 2: "passed", 3: "failed"}),
    ("mustNotBe", 2, {0: "passed", 1: "warning", 2: "failed", 3: "warning"}),
    ("mustBeGreaterThan", 2, {0: "failed", 2: "failed", 3: "passed"}),
    ("mustBeGreaterOrEqualTo", 2, {0: "failed", 1: "failed", 2: "passed"}),
    ("mustBeLessThan", 2, {0: "passed", 1: "warning", 2: "failed"}),
    ("mustBeLessOrEqualTo", 2, {0: "passed", 2: "warning", 3: "failed"}),
    ("mustBeBetween", [1, 2], {0: "failed", 1: "passed", 2: "passed", 3: "failed"}),
    ("mustNotBeBetween", [1, 2], {0: "passed", 1: "failed", 2: "failed", 3: "warning"}),
]


@pytest.mark.parametrize("unit", ["rows", "percent"])
@pytest.mark.parametrize(("operator", "bound", "expected"), OPERATOR_CASES)
def test_every_operator_in_rows_and_percent(judge, unit, operator, bound, expected) -> None:
    """An operator that is read as another one holds good batches, or lets bad ones go."""
    scale = 1 if unit == "rows" else 10
    scaled = [b * scale for b in bound] if isinstance(bound, list) else bound * scale
    entry = {"metric": "nullValues", operator: scaled, "unit": unit, "businessImpact": "因为"}
    for bad, status in expected.items():
        _, results, verdicts = judge(_rows(bad, 10 - bad), column=(entry,))
        result = results["not_null"]
        assert result.key == "health.sample.a.not_null"
        assert (result.status.value, result.failed) == (status, bad), (operator, bad)
        assert (result.threshold_unit, result.threshold_reason) == (unit, "因为")
        asked_for = expected[0] == "failed"  # without failing rows it is not fulfilled
        assert int(verdicts[0].blocked.sum()) == (0 if asked_for else bad)


def test_operators_are_all_covered() -> None:
    """A new operator of the standard must not slip through untested."""
    assert {operator for operator, _, _ in OPERATOR_CASES} == set(OPERATORS)


def test_rows_that_are_asked_for_are_not_quarantined(judge) -> None:
    """`nullValues mustBeGreaterThan 1` wants empty cells: taking them away would be absurd."""
    entry = {"metric": "nullValues", "mustBeGreaterThan": 1, "unit": "rows"}
    _, _, verdicts = judge(_rows(3, 2), column=(entry,))
    assert not verdicts[0].blocked.any()
    assert not verdicts[0].failing


@pytest.mark.parametrize(
    ("operator", "bound", "good", "bad"),
    [
        ("mustBe", 2, [2], [1, 3]),
        ("mustNotBe", 2, [1, 3], [2]),
        ("mustBeGreaterThan", 2, [3], [2]),
        ("mustBeGreaterOrEqualTo", 2, [2], [1]),
        ("mustBeLessThan", 2, [1], [2]),
        ("mustBeLessOrEqualTo", 2, [2], [3]),
        ("mustBeBetween", [2, 3], [2, 3], [1, 4]),
        ("mustNotBeBetween", [2, 3], [1, 4], [2, 3]),
    ],
)
def test_row_counts(judge, operator, bound, good, bad) -> None:
    """The count is judged with every operator, and told."""
    entry = {"metric": "rowCount", operator: bound, "unit": "rows"}
    for rows in [*good, *bad]:
        result = judge(_rows(0, rows), entry)[1]["row_count"]
        assert (result.status.value == "passed") == (rows in good)
        assert result.measured == rows


def test_metrics_and_their_arguments(judge) -> None:
    """Each metric counts what ODCS says it counts."""
    rows = {"k": ["1", "2", "3", "4"], "a": ["x", "N/A", "x", None], "n": ["1", "2", "?", None]}
    _, results, _ = judge(
        {**rows},
        {
            "metric": "duplicateValues",
            "arguments": {"properties": ["a", "n"]},
            "mustBe": 0,
            "unit": "rows",
            "severity": "info",
        },
        column=(
            {
                "metric": "missingValues",
                "arguments": {"missingValues": [None, "", "N/A"]},
                "mustBeLessThan": 60,
                "unit": "percent",
                "severity": "warning",
            },
            {
                "metric": "invalidValues",
                "arguments": {"validValues": ["x"]},
                "mustBe": 0,
                "severity": "error",
            },
            {"metric": "invalidValues", "arguments": {"pattern": "[a-z]"}, "mustBe": 0},
        ),
    )
    assert {name: (r.evaluated, r.failed) for name, r in results.items() if r.failed} == {
        "type": (3, 1),
        "not_missing": (4, 2),
        "in_set": (3, 1),
        "pattern": (3, 1),
    }
    assert results["not_missing"].severity is Severity.WARN
    assert results["in_set"].severity is Severity.BLOCK
    assert results["not_missing"].threshold_text == "< 60 %"


def test_text_is_kept_as_documentation(judge) -> None:
    """A promise in words is nothing to run, and nothing to lose."""
    note = {"type": "text", "description": "每周与街道核对一次", "dimension": "accuracy"}
    contract, results, _ = judge(_rows(0, 1), dict(note, name="weekly"), column=(note,))
    assert contract.quality_notes == (
        QualityNote("每周与街道核对一次", "a", "", "accuracy"),
        QualityNote("每周与街道核对一次", None, "weekly", "accuracy"),
    )
    assert not [key for key in results if "text" in key]


def _sql(query: str, **condition: Any) -> Entry:
    return {
        "type": "sql",
        "query": query,
        "dimension": "consistency",
        **(condition or {"mustBe": 0}),
    }


@pytest.mark.parametrize("batches", [1, 3])
@pytest.mark.parametrize(
    ("query", "condition", "status"),
    [
        ("SELECT count(*) FROM ${object}", {"mustBe": 4}, "passed"),
        ("SELECT count(*) FROM ${table} WHERE n > 1", {"mustBeLessThan": 2}, "failed"),
        ("SELECT sum(n) / count(*) FROM ${object}", {"mustBeBetween": [2, 3]}, "passed"),
        ("WITH x AS (SELECT n FROM ${object}) SELECT max(n) FROM x", {"mustBe": 4}, "passed"),
        ("SELECT count(*) FILTER (WHERE a IS NULL) FROM ${object}", {"mustBe": 2}, "passed"),
        (
            "SELECT CASE WHEN bool_and(n > 0) THEN 'ok' END FROM ${object}",
            {"mustBe": "ok"},
            "passed",
        ),
        ("SELECT max(lpad('7', 3, '0')) FROM ${object}", {"mustBe": "007"}, "passed"),
        ("SELECT max(n) FROM ${object} WHERE n > 9", {"mustBe": 1}, "error"),
        ("SELECT n FROM ${object}", {"mustBe": 1}, "error"),
        ("SELECT max(a) FROM ${object}", {"mustBeLessThan": 1}, "error"),
        ("SELECT sum(cast(a AS int)) FROM ${object}", {"mustBe": 1}, "error"),
    ],
)
def test_queries(judge, batches, query, condition, status) -> None:
    """NULL, several values and a failing query are "could not check", never "passed"."""
    rows = {"k": list("1234"), "a": [None, "x", "y", None], "n": list("1234")}
    result = judge(rows, _sql(query, **condition), batches=batches)[1]["sql"]
    assert result.status.value == status, result.message
    assert (result.gb_code, result.scope) == ("0402", Scope.DATASET)
    assert "x" not in result.message.replace("exactly", "").replace("Exception", "")


def test_a_query_under_a_column_and_over_all_partitions(judge) -> None:
    """${property} is the column; history is asked with customProperties, ODCS has no field."""
    entry = _sql("SELECT count(*) FROM ${object} WHERE ${property} = 'x'", mustBe=2) | {
        "customProperties": [{"property": "scope", "value": "history"}]
    }
    contract, _, _ = judge(_rows(0, 1), column=(entry,))
    suite = compile_suite(contract, codes_dir=Path(), as_of=date(2026, 3, 31))
    table = pl.DataFrame({"k": ["1", "2"], "a": ["x", "x"], "n": [1, 2]})
    (result,) = suite.check_history(table)
    assert (result.key, result.status.value) == ("health.sample.a.sql", "passed")


def test_a_figure_of_personal_data_is_not_told(judge) -> None:
    """max(phone) would carry a whole telephone number into every report."""
    query = _sql("SELECT max(n) FROM ${object}", mustBe=1)
    assert judge(_rows(0, 1), query)[1]["sql"].measured == 1
    assert judge(_rows(0, 1), query, private=True)[1]["sql"].measured is None


def test_a_query_that_takes_too_long_is_stopped(judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """One department's query must not hold the night's run."""
    monkeypatch.setattr(sql, "SECONDS", 0.2)
    many = {"k": [str(n) for n in range(3000)], "a": ["x"] * 3000, "n": ["1"] * 3000}
    query = _sql(
        "SELECT count(*) FROM ${object} a, ${object} b, ${object} c WHERE a.k < b.k AND b.k < c.k"
    )
    result = judge(many, query)[1]["sql"]
    assert (result.status.value, result.message) == ("error", "the query took longer than 0.2 s")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT 1 FROM ${object}; DROP TABLE delivery", "exactly one SELECT"),
        ("DROP TABLE ${object}", "exactly one SELECT"),
        ("COPY ${object} TO 'x.csv'", "exactly one SELECT"),
        ("SELECT count(*) FROM other", "does not name the dataset"),
        ("SELECT count(*) FROM ${object}, other", "'other' is not the dataset"),
        ("SELECT count(*) FROM ${object}, lake.core.dim_person", "reads the dataset only"),
        ("SELECT count(*) FROM ${object}, read_csv('/etc/passwd')", "no table function"),
        ("SELECT count(*) FROM ${object}, 'secret.parquet'", "is not the dataset"),
        ("SELECT count(*) FROM ${object}, read_text('/etc/passwd')", "no table function"),
        ("SELECT getenv('HOME') FROM ${object}", "'getenv' is not allowed"),
        ("SELECT current_setting('temp_directory') FROM ${object}", "is not allowed"),
        ("SELECT query_table('x') FROM ${object}", "is not allowed"),
        ("SELECT count(*) FROM ${object} WHERE n < random()", "is not allowed"),
        ("SELECT count(*) FROM ${object} WHERE n < current_date", "is not allowed"),
        ("SELECT now() FROM ${object}", "is not allowed"),
        ("SELECT n INTO x FROM ${object}", "has no place|is not the dataset"),
        ("SELECT count(*) FROM ${object} TABLESAMPLE 10%", "has no place"),
        ("SELECT $1 FROM ${object}", "has no place"),
        (
            (
                "SELECT (SELECT max(sql) FROM sqlite_master)"
                " || (WITH sqlite_master AS (SELECT 1 AS sql) SELECT 1) FROM ${object}"
            ),
            "the database's own",
        ),
        (
            (
                "WITH RECURSIVE t AS (SELECT 'x' AS a UNION ALL SELECT a || a FROM t)"
                " SELECT count(*) FROM t, ${object}"
            ),
            "recursive",
        ),
        ("SELECT max(lpad(a, 1500000000, 'y')) FROM ${object}", "at most 1000"),
        ("SELECT max(lpad(a, n * 1000000, 'y')) FROM ${object}", "at most 1000"),
        ("SELECT max(levenshtein(a, string_agg(a))) FROM ${object}", "is not allowed"),
        ("SELECT count(* FROM ${object}", "no SQL"),
        ("SELECT count(*) FROM ${object} WHERE ${property} = 1", "no meaning outside"),
    ],
)
def test_queries_that_may_not_run(tmp_path: Path, query: str, reason: str) -> None:
    """A contract is written by a department: its SQL reads its own rows and nothing else."""
    path = _written(tmp_path / "health" / "sample.odcs.yaml", [_sql(query)], [])
    with pytest.raises(ContractError, match=reason) as caught:
        load_contract(path)
    (violation,) = caught.value.violations
    assert violation.line == _line_of(path, "query:")


def test_a_query_over_columns_that_do_not_exist(judge, tmp_path: Path) -> None:
    """A misspelt column shows when the contract is linted, not at night."""
    with pytest.raises(BadInputError, match="does not fit the columns") as caught:
        judge(_rows(0, 1), _sql("SELECT count(*) FROM ${object} WHERE nn = 1"))
    assert "sample.odcs.yaml:" in caught.value.where


def _line_of(path: Path, text: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(n for n, line in enumerate(lines, 1) if text in line)


@pytest.mark.parametrize(
    ("entry", "message", "at"),
    [
        ({"metric": "nullValues", "mustBe": 0, "unit": "hours"}, "no known unit", "unit:"),
        ({"metric": "nullValues", "mustBeLessThan": 500, "unit": "percent"}, "percentage", "must"),
        ({"metric": "nullValues", "mustBeLessThan": 0.5, "unit": "rows"}, "number of rows", "must"),
        ({"metric": "nullValues", "mustBeBetween": [3, 1]}, "greater number stands", "mustBeB"),
        ({"metric": "nullValues", "mustBeBetween": [3]}, "two numbers|not valid", "mustBeB"),
        ({"metric": "nullValues", "mustBeLessThan": 0}, "fewer than none", "must"),
        ({"metric": "nullValues", "mustBe": "x"}, "must be a number", "must"),
        ({"type": "text"}, "'description' is missing", "type: text"),
        ({"type": "text", "description": "x", "mustBe": 0}, "does nothing", "mustBe"),
        ({"type": "sql", "dimension": "accuracy", "mustBe": 0}, "'query' is missing", "type: sql"),
        (_sql("SELECT 1 FROM ${object}", unit="rows"), "exactly one condition", "type: sql"),
        (
            {
                "metric": "invalidValues",
                "arguments": {"validValues": ["x"], "pattern": "x"},
                "mustBe": 0,
            },
            "two rules",
            "pattern:",
        ),
        (
            {
                "type": "custom",
                "engine": "cityledger",
                "name": "n",
                "dimension": "accuracy",
                "severity": "warn",
                "implementation": {"rule": "no_such_rule"},
            },
            "unknown rule 'no_such_rule'",
            "rule:",
        ),
    ],
)
def test_mistakes_are_told_once_with_their_line(tmp_path: Path, entry, message, at) -> None:
    """One clear message at the right line: file, line, what, fix."""
    from cityledger.contracts.catalogue import RuleCatalogue

    path = _written(tmp_path / "health" / "sample.odcs.yaml", [], [entry])
    with pytest.raises(ContractError, match=message) as caught:
        load_contract(path, RuleCatalogue(rules=catalogue()))
    lines = {violation.line for violation in caught.value.violations}
    assert lines & {_line_of(path, at), _line_of(path, at) + 1}
    assert len(caught.value.violations) == 1
