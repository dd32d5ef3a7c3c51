"""The score card: sums, weights, grades, directions, the printed formula."""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, Decimal
from typing import Any

import pytest
from cityledger.contracts.model import Scope, Severity
from cityledger.contracts.rules import DIMENSIONS
from cityledger.records import RuleResult, RuleStatus
from hypothesis import given
from hypothesis import strategies as st

from quality_checks.scoring import (
    Count,
    Direction,
    ScoreCard,
    ScoringConfig,
    Tally,
    brief,
    build_card,
    combine,
    score,
    tally,
)

CONFIG = ScoringConfig()
CODES = [one.code for one in CONFIG.indicators]


def result(code: str, evaluated: int, failed: int, **changes: Any) -> RuleResult:
    values: dict[str, Any] = {
        "key": f"a.b.{code}.rule",
        "rule": "rule",
        "columns": (),
        "scope": Scope.ROW,
        "severity": Severity.BLOCK,
        "gb_code": code,
        "dimension": "conformity",
        "evaluated": evaluated,
        "failed": failed,
        "status": RuleStatus.WARNING if failed else RuleStatus.PASSED,
    }
    return RuleResult(**values | changes)


counts = st.builds(
    lambda evaluated, share, rules: Count(
        evaluated=evaluated, failed=round(evaluated * share), rules=rules
    ),
    st.integers(1, 10**9),
    st.floats(0, 1),
    st.integers(1, 50),
)
tallies = st.dictionaries(st.sampled_from(CODES), counts, max_size=20).map(
    lambda found: Tally(counts=found)
)


# --- what a card says ---


def test_the_standards_indicators_are_those_that_rules_refer_to() -> None:
    """Prevents a rule whose indicator no card shows."""
    assert [code for codes in DIMENSIONS.values() for code in codes] == CODES
    assert [one.key for one in CONFIG.dimensions] == list(DIMENSIONS)
    assert all(one.name and one.name_en for one in CONFIG.indicators)


def test_less_is_better_for_repeated_and_dirty_data_only() -> None:
    """Prevents a dataset full of duplicates from scoring 99: X of 0303 is the share of bad ones."""
    card = score([result("0303", 100, 1), result("0304", 100, 1)], CONFIG)
    repeated, unique = card.dimension("accuracy").indicators[2:4]
    assert (repeated.direction, repeated.counted, repeated.value) == (Direction.LOW, 1, 0.01)
    assert (unique.direction, unique.counted, unique.value) == (Direction.HIGH, 99, 0.99)
    assert repeated.score == unique.score == 99.0
    lower = {one.code for one in CONFIG.indicators if one.direction is Direction.LOW}
    assert lower == {"0303", "0305"}


def test_not_assessed_is_none_and_its_weight_is_spread() -> None:
    """Prevents a dataset that nobody checks from being the best of the city."""
    assert score([], CONFIG).total is None
    assert score([], CONFIG).grade is None
    card = score([result("0101", 10, 2), result("0201", 10, 0)], CONFIG)
    shares = {one.key: one.share for one in card.dimensions}
    assert card.total == 90.0
    assert card.dimension("timeliness").score is None
    assert shares["timeliness"] is None
    assert (shares["conformity"], shares["completeness"]) == (0.5, 0.5)
    assert "时效性 0.15" in card.formula
    assert "timeliness 0.15" in card.formula_en


def test_what_could_not_be_checked_is_listed_and_not_scored() -> None:
    """Prevents a rule that crashed from counting as passed, or as failed."""
    broken = result("0101", 10, 0, status=RuleStatus.ERROR, key="a.b.c.broken", message="no list")
    card = score([broken, result("0201", 10, 0)], CONFIG)
    assert card.dimension("conformity").score is None
    assert [(one.key, one.message) for one in card.unchecked] == [("a.b.c.broken", "no list")]
    assert combine([card, card], CONFIG).unchecked == card.unchecked


def test_a_result_that_looked_at_nothing_assesses_nothing() -> None:
    """Prevents 100 points for an empty delivery."""
    assert score([result("0101", 0, 0)], CONFIG).total is None


def test_more_failures_than_elements_is_zero() -> None:
    """Prevents a negative score from a rule that counts missing rows."""
    assert score([result("0202", 1, 5)], CONFIG).total == 0.0


def test_a_hundred_means_that_nothing_failed() -> None:
    """Prevents rounding from hiding one bad row in ten million."""
    assert score([result("0201", 10**7, 1)], CONFIG).total == 99.99
    assert score([result("0201", 10**7, 0)], CONFIG).total == 100.0


@pytest.mark.parametrize(
    ("failed", "grade"), [(0, "A"), (10, "A"), (11, "B"), (20, "B"), (40, "D"), (41, "E")]
)
def test_grades_begin_at_their_cut(failed: int, grade: str) -> None:
    """Prevents two people from reading the same total as two grades."""
    assert score([result("0201", 100, failed)], CONFIG).grade == grade


def test_dimensions_are_means_of_their_indicators() -> None:
    """Prevents a million format checks from drowning the one referential rule."""
    card = score([result("0101", 10**6, 0), result("0105", 10, 5)], CONFIG)
    assert card.dimension("conformity").score == 75.0


def test_a_dimension_without_weight_alone_gives_no_total() -> None:
    """Prevents a division by zero in a city that leaves a dimension out."""
    weights = {"06": Decimal(0), "01": Decimal("0.35")}
    config = CONFIG.model_copy(
        update={
            "dimensions": tuple(
                one.model_copy(update={"weight": weights.get(one.code, one.weight)})
                for one in CONFIG.dimensions
            )
        }
    )
    assert score([result("0602", 10, 5)], config).total is None
    assert score([result("0602", 10, 5), result("0101", 10, 0)], config).total == 100.0


# --- properties ---


@given(tallies)
def test_scores_stay_between_0_and_100(sums: Tally) -> None:
    """Prevents a score that no reader can place."""
    card = build_card(sums, CONFIG)
    scores = [card.total, *(one.score for one in card.dimensions)]
    scores += [one.score for dimension in card.dimensions for one in dimension.indicators]
    assert all(one is None or 0 <= one <= 100 for one in scores)
    assert (card.total is None) == (not sums.counts)


@given(tallies.filter(lambda sums: any(c.failed < c.evaluated for c in sums.counts.values())))
def test_one_more_failing_element_never_raises_a_score(sums: Tally) -> None:
    """Prevents a department from gaining by worse data."""
    before = build_card(sums, CONFIG)
    for code, count in sums.counts.items():
        if count.failed < count.evaluated:
            worse = count.model_copy(update={"failed": count.failed + 1})
            after = build_card(Tally(counts={**sums.counts, code: worse}), CONFIG)
            assert before.total is not None
            assert after.total is not None
            assert after.total <= before.total
            for one, other in zip(before.dimensions, after.dimensions, strict=True):
                assert (other.score or 0) <= (one.score or 0)


@given(tallies, tallies, tallies)
def test_combining_is_free_of_order_and_grouping(one: Tally, two: Tally, three: Tally) -> None:
    """Prevents a city whose score depends on which department is added first."""
    cards = [build_card(sums, CONFIG) for sums in (one, two, three)]
    whole = combine(cards, CONFIG)
    assert whole == combine(reversed(cards), CONFIG)
    assert whole == combine([combine(cards[:2], CONFIG), cards[2]], CONFIG)
    assert whole == build_card(one + two + three, CONFIG)


@given(tallies)
def test_a_card_keeps_its_sums(sums: Tally) -> None:
    """Prevents stored cards that can't be combined any more; the short form says the same."""
    card = build_card(sums, CONFIG)
    assert card.tally == sums
    assert card.scores == brief(sums, CONFIG)
    assert ScoreCard.model_validate_json(card.model_dump_json()) == card


@given(tallies.filter(lambda sums: bool(sums.counts)))
def test_whoever_recomputes_the_formula_gets_the_total(sums: Tally) -> None:
    """Prevents a printed formula that does not come to the printed total."""
    card = build_card(sums, CONFIG)
    for text in (card.formula, card.formula_en):
        first = text.splitlines()[0]
        terms = re.findall(r"([\d.]+) × ([\d.]+)", first)
        found = re.search(r"÷ ([\d.]+) = ([\d.]+) →", first)
        assert found is not None
        total = sum(Decimal(weight) * Decimal(value) for weight, value in terms)
        computed = (total / Decimal(found[1])).quantize(Decimal("0.01"), ROUND_DOWN)
        assert computed == Decimal(found[2])
        for a, b, value in re.findall(r"= 100 × (\d+) ÷ (\d+) = ([\d.]+)", text):
            exact = Decimal(100) * int(a) / int(b)
            assert exact.quantize(Decimal("0.01"), ROUND_DOWN) == Decimal(value)


@given(st.lists(st.tuples(st.sampled_from(CODES), st.integers(0, 99), st.integers(0, 99))))
def test_counting_results_is_free_of_order(found: list[tuple[str, int, int]]) -> None:
    """Prevents scores that depend on the order in which rules ran."""
    results = [result(code, evaluated, failed) for code, evaluated, failed in found]
    assert tally(results) == tally(reversed(results))
    assert tally(results) == sum((tally([one]) for one in results), Tally())


def test_a_changed_configuration_has_another_name() -> None:
    """Prevents two scores by different weights from being compared as if by one."""
    first = CONFIG.dimensions[0].model_copy(update={"weight": Decimal("0.3")})
    changed = CONFIG.model_copy(update={"dimensions": (first, *CONFIG.dimensions[1:])})
    assert changed.sha256 != CONFIG.sha256
    assert ScoringConfig().sha256 == CONFIG.sha256
