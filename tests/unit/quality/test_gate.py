"""From a verdict to the gate: what could not be checked is never let through."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from cityledger.contracts.model import Severity, Threshold
from cityledger.lifecycle.release import release
from cityledger.records import Accounting, ObjectRef, RuleStatus, Validation

from quality_checks.rules import base
from quality_checks.rules.base import Example

REF = ObjectRef(bucket="validated", key="k", version_id=None, sha256="a", size=1)


@pytest.fixture
def gate(suite, monkeypatch: pytest.MonkeyPatch):
    """Judge texts by one rule of its own and bring the result to the gate."""
    monkeypatch.setattr(base, "_rules", dict(base._rules))

    def run(column: Any, spec: Any, texts: list[str | None], build: Any = None) -> Any:
        if build is not None:
            example = Example(good={"a": ["x"]}, bad={"a": ["y"]})
            base.row_rule(gb_code="0104", source="test", example=example)(build)
        made = suite([column], [spec])
        session = made.session()
        verdict = session.check(made.read(pl.DataFrame({column.name: texts})))
        blocked = int(verdict.blocked.sum())
        validation = Validation(
            dataset="health.sample",
            partition="2026-03-31",
            delivery="d",
            contract_version="1.0.0",
            contract_sha256="0" * 64,
            inputs=(),
            accounting=Accounting(
                declared=None,
                extracted=len(texts),
                rejected=0,
                expected_rejects=0,
                parsed=len(texts),
                quarantined=blocked,
                validated=len(texts) - blocked,
            ),
            results=session.finish(),
            validated=REF,
            quarantined=None,
            rejected=None,
            rejects={},
            quarantined_by_rule={},
        )
        return release(validation, made.contract), validation.results[0]

    return run


def raises(call: Any) -> pl.Expr:
    """Raise."""

    def fail(_: pl.Series) -> pl.Series:
        raise ValueError("13800138000")

    return call.value.map_batches(fail, return_dtype=pl.Boolean)


def forgets(call: Any) -> pl.Expr:
    """Have no verdict on nulls."""
    return call.value == "x"


@pytest.mark.parametrize("severity", [Severity.BLOCK, Severity.WARN])
def test_a_rule_that_raises_holds_the_gate(gate, column, rule, severity) -> None:
    """Nobody has looked: a good looking batch must not be released on that."""
    held, result = gate(column("a"), rule("raises", "a", severity=severity), ["x"] * 50, raises)
    assert result.status is RuleStatus.ERROR
    assert result.message == "the rule raised ValueError"
    assert not held.released
    assert "could not be checked" in held.reasons[0]
    assert "13800138000" not in repr((held, result))


def test_a_rule_without_a_verdict_holds_the_gate(gate, column, rule) -> None:
    """One undecided row in a thousand is far below any share, and still nobody decided."""
    texts = [*["x"] * 999, None]
    held, result = gate(column("a"), rule("forgets", "a"), texts, forgets)
    assert (result.status, result.message) == (RuleStatus.ERROR, "1 rows could not be decided")
    assert not held.released


def test_an_informing_rule_in_error_holds_nothing(gate, column, rule) -> None:
    """`info` only tells; its error is in the record."""
    passed, result = gate(
        column("a"), rule("raises", "a", severity=Severity.INFO), ["x"] * 50, raises
    )
    assert result.status is RuleStatus.ERROR
    assert passed.released


@pytest.mark.parametrize(
    ("threshold", "bad", "released"),
    [
        (Threshold(2, "percent"), 2, True),
        (Threshold(2, "percent"), 3, False),
        (Threshold(5, "percent", "", "mustBeBetween", (1, 5)), 0, False),
        (Threshold(5, "percent", "", "mustBeBetween", (1, 5)), 3, True),
    ],
)
def test_thresholds_reach_the_gate(gate, column, rule, threshold, bad, released) -> None:
    """The condition is told as the contract says it."""
    spec = rule("not_null", "a", threshold=threshold)
    outcome, result = gate(column("a"), spec, [*["x"] * (100 - bad), *[None] * bad])
    assert outcome.released is released
    assert released or str(threshold) in outcome.reasons[0] or "at most 2 %" in outcome.reasons[0]
    assert result.direction == "higher"
    assert result.threshold_text == str(threshold)
