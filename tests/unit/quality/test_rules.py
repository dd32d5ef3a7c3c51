"""The rule library: every documented example is run, so no rule is documented and dead."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from cityledger.contracts.model import ColumnType, Scope
from cityledger.settings import PROJECT_DIR

from quality_checks.rules import all_rules, catalogue
from quality_checks.rules.__main__ import table
from quality_checks.rules.base import Form, Rule
from quality_checks.values import all_value_types

KINDS = {
    pl.String: "string",
    pl.Int64: "integer",
    pl.Float64: "number",
    pl.Date: "date",
    pl.Boolean: "boolean",
    pl.Null: "string",
}


@pytest.fixture
def run(suite, column, rule):
    """Judge typed columns by one rule: the number of failing elements and the result."""

    def judge(name: str, data: dict[str, Any], arguments: Any = None, control: Any = ()) -> Any:
        frame = pl.DataFrame(data)
        own = [c for c in frame.columns if not c.startswith("_")]
        columns = [column(c, KINDS[frame.schema[c].base_type()]) for c in own]
        known = all_rules()[name]
        scope, judged = (
            known.scopes[0],
            own if known.example.columns is None else known.example.columns,
        )
        tables = {dataset: pl.DataFrame(rows) for dataset, rows in known.example.tables.items()}
        made = suite(
            columns,
            [rule(name, *judged, arguments=arguments or {}, scope=scope)],
            tables=lambda dataset, names: tables[dataset].select(names),
        )
        if scope is Scope.HISTORY:
            return made.check_history(frame)[0]
        session = made.session()
        session.check(_typed(frame, made.columns))
        return session.finish(control)[0]

    return judge


def _typed(frame: pl.DataFrame, columns: Any) -> pl.DataFrame:
    from quality_checks.values.base import polars_type

    frame = frame.with_columns(
        pl.col(name).cast(polars_type(*output)) for name, output in columns.items()
    )
    missing = [f"__reason__{name}" for name in columns if f"__reason__{name}" not in frame.columns]
    return frame.with_columns(pl.lit(None, pl.String).alias(name) for name in missing)


def _rules() -> list[Any]:
    return [pytest.param(rule, id=name) for name, rule in sorted(all_rules().items())]


@pytest.mark.parametrize("rule_", _rules())
def test_good_example_passes(run, rule_: Rule) -> None:
    """A rule that fails on good rows would quarantine a department's whole delivery."""
    example = rule_.example
    result = run(rule_.name, dict(example.good), example.arguments, example.control)
    assert (result.failed, result.status.value, result.message) == (0, "passed", "")


def _looks_back(rule_: Rule) -> bool:
    return rule_.scopes == (Scope.HISTORY,)


@pytest.mark.parametrize("rule_", _rules())
def test_bad_example_bites(run, rule_: Rule) -> None:
    """A rule that never fails looks like perfect data."""
    example = rule_.example
    bad = {name: list(values) for name, values in example.bad.items()}
    expected = len(next(iter(bad.values())))
    if rule_.form is not Form.TOTAL and (rule_.form is Form.STREAM or _looks_back(rule_)):
        bad = {name: [*example.good[name], *values] for name, values in bad.items()}
    result = run(rule_.name, bad, example.arguments, example.control)
    assert result.failed >= 1
    if rule_.form is not Form.TOTAL:
        assert result.failed == expected


@pytest.mark.parametrize("rule_", _rules())
def test_documentation_is_complete(rule_: Rule) -> None:
    """The catalogue shown to departments has a sentence, a source and a GB/T 36344 code."""
    assert rule_.description.endswith(".")
    assert rule_.source
    assert rule_.unit in ("cell", "row", "group", "series", "partition", "delivery")
    assert len(rule_.gb_code) == 4
    assert set(catalogue()[rule_.name].required) <= set(rule_.arguments)


@pytest.mark.parametrize(
    ("rule_", "data", "arguments", "failed"),
    [
        ("between", {"a": [1.5, None, 2.0]}, {"maximum": 1.5}, 1),
        ("in_set", {"a": [1, 2, None]}, {"values": ["1"]}, 1),
        ("in_set", {"a": ["990122", "110101"]}, {"codes": "areas"}, 1),
        ("pattern", {"a": ["AB", "ABC", "xAB"]}, {"pattern": "A|AB"}, 2),
        ("length", {"a": ["云", "云港", None]}, {"minimum": 2}, 1),
        ("not_before", {"a": [None, "x"], "b": ["x", None]}, {}, 0),
        ("sum_of", {"a": [0.3], "b": [0.1], "c": [0.2]}, {"tolerance": 0.001}, 0),
        ("sum_of", {"a": [0.3], "b": [0.1], "c": [0.2]}, {}, 0),
        ("sum_of", {"a": [0.31], "b": [0.1], "c": [0.2]}, {}, 1),
        ("sum_of", {"a": [3, None], "b": [None, 1], "c": [None, 1]}, {}, 0),
        ("compare", {"a": [1, 2, None]}, {"operator": "<", "value": 2}, 1),
        ("required_if", {"a": [None, None], "b": [True, False]}, {"equals": True}, 1),
        ("required_if", {"a": [None, "x"], "b": ["p", "p"]}, {"in": ["p", "q"]}, 1),
        ("required_if", {"a": [None, None], "b": ["p", None]}, {}, 1),
        ("no_sentinel", {"a": [7, 999]}, {"values": [7]}, 1),
    ],
)
def test_nulls_and_edges(run, rule_, data, arguments, failed) -> None:
    """Three-valued logic is where rules go blind: null compared with anything is null."""
    if rule_ == "not_before":
        data = {
            name: pl.Series(values).replace("x", "1").cast(pl.Int64)
            for name, values in data.items()
        }
    assert run(rule_, data, arguments).failed == failed


def test_codes_in_force_on_the_rows_day(suite, column, rule) -> None:
    """A merged county's code is right before the merger and wrong after it."""
    made = suite(
        [column("a"), column("on", "date")],
        [rule("in_set", "a", arguments={"codes": "areas", "dateColumn": "on"})],
    )
    text = {
        "a": ["990122", "990122", "990106", None],
        "on": ["2025-12-31", "2026-01-01", None, None],
    }
    verdict = made.session().check(made.read(pl.DataFrame(text)))
    assert verdict.blocked.to_list() == [False, True, False, False]


@pytest.mark.parametrize(
    ("texts", "control", "status", "failed"),
    [
        (["1", "2", "—"], [{"a": "3", "_marker": "合计"}], "passed", 0),
        (["1", "2"], [{"a": "1", "_marker": "小计"}, {"a": "3", "_marker": "合计"}], "passed", 0),
        (["1", "2"], [{"a": "4", "_marker": "合计"}], "warning", 1),
        (["1", "2"], [{"a": "1,234", "_marker": "合计"}], "warning", 1),
        (["1", "2"], [], "error", 0),
        (["1", "2"], [{"a": "见附表", "_marker": "合计"}], "error", 0),
    ],
)
def test_control_totals(suite, column, rule, texts, control, status, failed) -> None:
    """A missing or unreadable total row is "could not check", never "adds up"."""
    made = suite([column("a", "integer")], [rule("matches_total", "a")])
    session = made.session()
    for text in texts:
        session.check(made.read(pl.DataFrame({"a": [text]})))
    result = session.finish(control)[0]
    assert (result.status.value, result.failed) == (status, failed)


def test_parts_are_summed_across_batches(suite, column, rule) -> None:
    """A province and its cities may lie in different batches of a file."""
    arguments = {"by": ["p"], "total": {"c": None}, "parts": {"c": "*"}}
    made = suite(
        [column("n", "integer"), column("p"), column("c")],
        [rule("sum_of_parts", "n", arguments=arguments)],
    )
    session = made.session()
    for n, p, c in [
        ("3", "a", None),
        ("5", "b", None),
        ("1", "a", "x"),
        ("2", "a", "y"),
        ("4", "b", "z"),
    ]:
        session.check(
            made.read(
                pl.DataFrame({"n": [n], "p": [p], "c": [c]}, schema=dict.fromkeys("npc", pl.String))
            )
        )
    result = session.finish()[0]
    assert (result.evaluated, result.failed) == (2, 1)


def test_third_party_rules_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A city's own package can bring rules without touching this one."""
    from quality_checks.rules import base

    loaded: list[str] = []

    class Entry:
        def load(self) -> None:
            loaded.append("yes")

    monkeypatch.setattr(base, "_loaded", False)
    monkeypatch.setattr(
        base, "entry_points", lambda group: [Entry()] if group == base.ENTRY_POINTS else []
    )
    all_rules()
    all_rules()
    assert loaded == ["yes"]


def test_all_types_are_covered_by_the_table_above() -> None:
    """KINDS maps what examples use; a new logical type must not slip through unjudged."""
    assert set(KINDS.values()) <= {kind.value for kind in ColumnType}


def test_the_readme_lists_what_there_is() -> None:
    """A page that names rules which are gone, or hides new ones, sends authors the wrong way."""
    page = (PROJECT_DIR / "quality_checks" / "README.md").read_text(encoding="utf-8")
    assert "\n".join(table()) in page, "run python -m quality_checks.rules"
    for name, kind in all_value_types().items():
        assert any(
            line.startswith(f"| `{name}` |") and all(f"`{o}`" in line for o in kind.options)
            for line in page.splitlines()
        )
