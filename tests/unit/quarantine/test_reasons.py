"""Reasons in words: every rule of the house has a sentence, and none holds a value."""

from __future__ import annotations

import re

import pytest
from cityledger.contracts.model import Contract, RuleSpec, Severity
from cityledger.contracts.registry import load_contracts
from cityledger.lifecycle.readers.base import EXPECTED_REASONS
from cityledger.quarantine.reasons import REJECTS, explain, sentence
from cityledger.settings import PROJECT_DIR

from quality_checks.rules import all_rules
from quality_checks.rules.base import Form

CONTRACTS = load_contracts(PROJECT_DIR / "contracts")
VISITS = CONTRACTS["health.outpatient_visits"]


def spec(rule: str, *columns: str, **arguments: object) -> RuleSpec:
    return RuleSpec(
        key=f"health.outpatient_visits.x.{rule}",
        rule=rule,
        columns=columns,
        severity=Severity.BLOCK,
        gb_code="0302",
        dimension="accuracy",
        arguments=arguments,
    )


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=str)
def test_every_rule_of_every_contract_has_a_sentence(contract: Contract) -> None:
    """A clerk who reads a rule's key instead of a sentence corrects nothing."""
    for one in contract.rules:
        reason = sentence(one, contract)
        assert re.search(r"[\u4e00-\u9fff]", reason.zh), one.key
        assert reason.en
        assert "{" not in re.sub(r"（.*）|form .*", "", reason.zh + reason.en), one.key


@pytest.mark.parametrize(
    "rule", [name for name, rule in all_rules().items() if rule.form is not Form.TOTAL]
)
def test_every_rule_that_keeps_rows_out_says_more_than_its_name(rule: str) -> None:
    """A rule that is added to the library needs its sentence."""
    made = sentence(spec(rule, "total_fee", "self_fee"), VISITS)
    assert rule not in made.zh
    assert "总费用" in made.zh or "该行" in made.zh


@pytest.mark.parametrize(
    ("one", "zh"),
    [
        (spec("between", "total_fee", minimum=0, maximum=200000), "“总费用”应在 0 至 200000 之间"),
        (spec("in_set", "sex", values=["1", "2"]), "“性别”不在允许的取值范围内（1、2）"),
        (spec("in_set", "sex", codes="sex"), "“性别”不在允许的取值范围内"),
        (
            spec("sum_of", "total_fee", "insurance_fee", "self_fee"),
            "“总费用”不等于“医保支付”、“个人支付”之和",
        ),
        (
            spec("required_if", "sex", "visit_type", equals="门诊"),
            "“就诊类型”为门诊时，“性别”不能为空",
        ),
        (spec("no_such_rule", "sex"), "“性别”不符合规则“no_such_rule”"),
    ],
)
def test_sentences(one: RuleSpec, zh: str) -> None:
    """The arguments belong into the sentence: they say what would be right."""
    assert sentence(one, VISITS).zh == zh


def test_an_unreadable_value_is_not_called_empty() -> None:
    """A cell that holds something and is called empty makes the whole list unbelievable."""
    place = "health.outpatient_visits.citizen_id"
    both = explain([f"{place}.type", f"{place}.not_null"], VISITS)
    assert [one.key for one in both] == [f"{place}.type"]
    (empty,) = explain([f"{place}.not_null"], VISITS)
    assert empty.zh == "“公民身份号码”不能为空"
    (gone,) = explain(["health.outpatient_visits.old.rule"], VISITS)
    assert "old.rule" in gone.zh


def test_expected_rejects_have_words() -> None:
    """Totals and notes are shown to departments, too."""
    assert REJECTS.keys() >= EXPECTED_REASONS
