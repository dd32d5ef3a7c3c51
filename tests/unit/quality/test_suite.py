"""The suite: what pandera judged, what becomes of errors, thresholds, and wrong contracts."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from cityledger.contracts.model import Severity, Threshold
from cityledger.errors import BadInputError, CityLedgerError
from cityledger.records import RuleStatus
from hypothesis import given, settings
from hypothesis import strategies as st

from quality_checks.rules import base
from quality_checks.rules.base import Example
from quality_checks.values import all_value_types
from quality_checks.values.base import BLANKS

EXAMPLE = Example(good={"a": ["x"]}, bad={"a": ["y"]})


@pytest.fixture
def extra_rule(monkeypatch: pytest.MonkeyPatch):
    """Register a rule for one test."""
    monkeypatch.setattr(base, "_rules", dict(base._rules))

    def add(build: Any) -> None:
        base.row_rule(gb_code="0104", source="test", example=EXAMPLE)(build)

    return add


def _frame(**columns: list[str | None]) -> pl.DataFrame:
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))


def test_verdict(suite, column, rule) -> None:
    """Masks, blocked rows and rule lists must tell the same story about the same rows."""
    made = suite(
        [column("a"), column("n", "integer")],
        [
            rule("not_null", "a"),
            rule("type", "n"),
            rule("between", "n", arguments={"maximum": 9}, severity=Severity.WARN),
        ],
    )
    verdict = made.session().check(
        made.read(_frame(a=["x", None, "y", None], n=["1", "2", "10", "?"]))
    )
    names = {key.rpartition(".")[2]: mask.to_list() for key, mask in verdict.failing.items()}
    assert names == {
        "not_null": [False, True, False, True],
        "type": [False, False, False, True],
        "between": [False, False, True, False],
    }
    assert verdict.blocked.to_list() == [False, True, False, True]
    assert verdict.rules.to_list() == [
        None,
        ["health.sample.a.not_null"],
        ["health.sample.n.between"],
        ["health.sample.a.not_null", "health.sample.n.type"],
    ]


def test_pandera_is_the_judge(suite, column, rule, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the schema's validation does nothing, nothing may be found: no side path judges."""
    from pandera.polars import DataFrameSchema

    made = suite([column("a")], [rule("not_null", "a")])
    typed = made.read(_frame(a=[None]))
    assert made.session().check(typed).failing
    monkeypatch.setattr(DataFrameSchema, "validate", lambda _, frame, **__: frame)
    assert not made.session().check(typed).failing


def test_validation_cannot_be_switched_off(suite, column, rule) -> None:
    """PANDERA_VALIDATION_ENABLED=False in an environment would let everything pass."""
    from pandera.config import ValidationDepth, config_context

    made = suite([column("a")], [rule("not_null", "a")])
    typed = made.read(_frame(a=[None]))
    with config_context(validation_enabled=False, validation_depth=ValidationDepth.SCHEMA_ONLY):
        assert made.session().check(typed).blocked.to_list() == [True]


def test_a_rule_that_raises_is_an_error(suite, column, rule, extra_rule) -> None:
    """A rule that could not check must not look like one that found nothing."""

    def broken(call: Any) -> pl.Expr:
        """Break."""
        return call.value.cast(pl.Int64) > 0

    extra_rule(broken)
    made = suite([column("a")], [rule("broken", "a"), rule("not_null", "a")])
    session = made.session()
    verdict = session.check(made.read(_frame(a=["secret", None])))
    error, other = session.finish()
    assert (error.status, error.message) == (
        RuleStatus.ERROR,
        "the rule raised InvalidOperationError",
    )
    assert (other.status, other.failed) == (RuleStatus.WARNING, 1)
    assert verdict.blocked.to_list() == [False, True]


def test_a_rule_without_a_verdict_fails_closed(suite, column, rule, extra_rule) -> None:
    """Null is no verdict: the row is kept out and the result says that nobody decided."""

    def forgetful(call: Any) -> pl.Expr:
        """Forget nulls."""
        return call.value == "x"

    extra_rule(forgetful)
    made = suite([column("a")], [rule("forgetful", "a")])
    session = made.session()
    verdict = session.check(made.read(_frame(a=["x", None])))
    result = session.finish()[0]
    assert verdict.blocked.to_list() == [False, True]
    assert (result.status, result.message) == (RuleStatus.ERROR, "1 rows could not be decided")


@pytest.mark.parametrize(
    ("threshold", "bad", "status"),
    [
        (None, 0, RuleStatus.PASSED),
        (None, 4, RuleStatus.WARNING),
        (Threshold(4), 4, RuleStatus.WARNING),
        (Threshold(3), 4, RuleStatus.FAILED),
        (Threshold(40, "percent"), 4, RuleStatus.WARNING),
        (Threshold(39, "percent"), 4, RuleStatus.FAILED),
        (Threshold(0), 0, RuleStatus.PASSED),
    ],
)
def test_thresholds(suite, column, rule, threshold, bad, status) -> None:
    """A threshold off by one holds a good batch, or lets a bad one go."""
    made = suite([column("a")], [rule("not_null", "a", threshold=threshold)])
    session = made.session()
    session.check(made.read(_frame(a=[None] * bad + ["x"] * (10 - bad))))
    result = session.finish()[0]
    assert (result.status, result.evaluated, result.failed) == (status, 10, bad)


def test_evaluated_leaves_out_what_was_not_looked_at(suite, column, rule) -> None:
    """B of X = A / B counts assigned elements: nulls belong to completeness alone."""
    made = suite([column("a")], [rule("in_set", "a", arguments={"values": ["x"]})])
    session = made.session()
    session.check(made.read(_frame(a=["x", None, "—", "y"])))
    result = session.finish()[0]
    assert (result.evaluated, result.failed) == (2, 1)


def test_a_suite_without_rules_is_refused(suite, column) -> None:
    """An empty suite would release anything."""
    with pytest.raises(BadInputError, match="no rules") as caught:
        suite([column("a")], [])
    assert caught.value.code == "empty_suite"


@pytest.mark.parametrize(
    ("name", "columns", "arguments", "message"),
    [
        ("no_such_rule", ["a"], {}, "health.sample.*no rule is called 'no_such_rule'"),
        ("between", ["n"], {"maximun": 3}, "no argument is called 'maximun'"),
        ("pattern", ["a"], {}, "argument 'pattern' is missing"),
        ("pattern", ["a"], {"pattern": "("}, "no regular expression"),
        ("not_before", ["a"], {}, "needs 2 columns"),
        ("not_null", ["b"], {}, "no column 'b'"),
        ("between", ["n"], {"maximum": "lots"}, "does not fit column 'n'"),
        ("not_before", ["a", "n"], {}, "different types"),
        ("in_set", ["a"], {}, "nothing to compare with"),
        ("in_set", ["a"], {"codes": "no_such_list"}, "no_such_list"),
        ("matches_total", ["a"], {}, "is no number"),
        ("sum_of_parts", ["n"], {"by": ["x"], "total": {"a": 1}, "parts": {"a": 2}}, "column 'x'"),
    ],
)
def test_senseless_rules_are_refused(
    suite, column, rule, name, columns, arguments, message
) -> None:
    """A mistake in a contract must stop at compile time, with the contract's name."""
    with pytest.raises(BadInputError, match=message):
        suite(
            [column("a"), column("n", "integer")], [rule(name, *columns, arguments=arguments)]
        ).session()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"value_type": "horoscope"}, "no value type is called 'horoscope'"),
        ({"value_type": "money"}, "'money' can't be a string"),
        ({"value_type": "area_code", "options": {"dateColumn": "b"}}, "can't be read after 'b'"),
    ],
)
def test_senseless_columns_are_refused(suite, column, rule, settings, message) -> None:
    """A typo in a value type must not leave a column unread."""
    with pytest.raises(BadInputError, match=message):
        suite([column("a", **settings)], [rule("not_null", "a")])


def test_an_extra_column_must_not_hide_another(suite, column, rule) -> None:
    """Two columns of one name: one of them would silently win."""
    with pytest.raises(BadInputError, match="id_sex"):
        suite([column("id", value_type="citizen_id"), column("id_sex")], [rule("not_null", "id")])


def test_output_columns_are_what_read_returns(suite, column, rule) -> None:
    """Staging models are scaffolded from this list."""
    made = suite(
        [column("id", value_type="citizen_id"), column("m", "number", value_type="money")],
        [rule("not_null", "id")],
    )
    typed = made.read(_frame(id=[None], m=["1"], _row_id=["r"]))
    names = [name for name, _, _ in made.output_columns]
    assert names == [
        "id",
        "id_birth_date",
        "id_sex",
        "m",
        "m_currency",
        "m_magnitude",
        "m_ambiguous",
    ]
    assert typed.columns[: len(names)] == names
    assert typed["_row_id"].to_list() == ["r"]


def test_frames_of_another_shape_are_refused(suite, column, rule) -> None:
    """A frame that did not come from read has no verdict, rather than a good one."""
    made = suite([column("n", "integer")], [rule("not_null", "n")])
    with pytest.raises(CityLedgerError, match="does not fit the suite"):
        made.session().check(pl.DataFrame({"n": ["1"], "__reason__n": [None]}))
    with pytest.raises(CityLedgerError, match="lacks n"):
        made.read(pl.DataFrame({"m": ["1"]}))


def test_empty_batches_and_all_null_columns(suite, column, rule) -> None:
    """A header-only file and a column that the file lacks are ordinary."""
    columns = [
        column(f"c{i}", kind.logical_types[0].value, value_type=name)
        for i, (name, kind) in enumerate(all_value_types().items())
        if name != "area_code"
    ]
    made = suite(columns, [rule("unique", "c1"), *(rule("type", c.name) for c in columns)])
    session = made.session()
    names = [c.name for c in columns]
    session.check(made.read(pl.DataFrame(schema=dict.fromkeys(names, pl.String))))
    session.check(made.read(pl.DataFrame({name: [None, None] for name in names})))
    assert {result.status for result in session.finish()} == {RuleStatus.PASSED}


texts = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.text("0123456789.,-/:年月日万元 ()X", max_size=20),
    st.sampled_from(
        ["2024-03-05", "11010519491231002X", "一百二十", "50(万美元)", "1E400", "９９"]
    ),
)


@settings(deadline=None, max_examples=25)
@given(st.lists(texts, max_size=20))
def test_reading_keeps_every_row_in_its_place(suite, column, rule, values) -> None:
    """Whatever a department writes: no exception, no lost value, no shifted row."""
    columns = [
        column(f"c{i}", kind.logical_types[0].value, value_type=name, unit="人", **_more(name))
        for i, (name, kind) in enumerate(all_value_types().items())
    ]
    made = suite(columns, [rule("not_null", "c0")])
    ids = [str(i) for i in range(len(values))]
    text = pl.DataFrame(
        {c.name: values for c in columns} | {"_row_id": ids},
        schema=dict.fromkeys([*(c.name for c in columns), "_row_id"], pl.String),
    )
    together = made.read(text)
    assert together["_row_id"].to_list() == ids
    split = len(values) // 2
    assert together.equals(pl.concat([made.read(text[:split]), made.read(text[split:])]))
    for c in columns:
        if "date" not in c.semantic_type:  # null-like days are lost on purpose
            lost = together[c.name].is_null() & together[f"__reason__{c.name}"].is_null()
            assert all(
                (v or "").strip(BLANKS) in ("", "N/A", "—") for v in text[c.name].filter(lost)
            )


def _more(name: str) -> dict[str, Any]:
    return {"options": {"codes": "areas"}} if name == "area_code" else {}


def test_no_value_leaves_with_a_result_or_an_error(suite, column, rule, extra_rule) -> None:
    """Results go to reports and logs; personal data must not travel with them."""
    secret = "11010519491231002X张三"

    def explodes(call: Any) -> pl.Expr:
        """Explode."""

        def fail(series: pl.Series) -> pl.Series:
            raise ValueError(series[0])

        return call.value.map_batches(fail, return_dtype=pl.Boolean)

    extra_rule(explodes)
    made = suite(
        [column("a"), column("id", value_type="citizen_id"), column("n", "integer")],
        [
            rule("explodes", "a"),
            rule("type", "id"),
            rule("type", "n"),
            rule("in_set", "a", arguments={"values": ["x"]}),
            rule("unique", "a"),
            rule("matches_total", "n"),
        ],
    )
    session = made.session()
    session.check(made.read(_frame(a=[secret, secret], id=[secret, secret], n=[secret, "1"])))
    results = session.finish([{"n": secret, "_marker": "合计"}])
    assert [result.status.value for result in results].count("error") == 2
    assert "张三" not in repr(results)
    with pytest.raises(CityLedgerError) as caught:
        session.check(pl.DataFrame({"a": [secret]}))
    chain = [caught.value, caught.value.__cause__]
    assert "张三" not in "".join(map(str, chain))
    assert caught.value.__suppress_context__
