"""The score card: sums in, six dimensions, a total, a grade and the formula out.

Scores are computed in decimal arithmetic and cut off (not rounded) after two digits, step by step,
so whoever recomputes the printed formula gets the printed total, and 100 means that nothing failed.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal
from functools import reduce

from cityledger.contracts.scoring import Dimension, Direction, Indicator, ScoringConfig
from cityledger.records import RuleResult

from quality_checks.scoring.formula import CHINESE, ENGLISH, formula
from quality_checks.scoring.records import DimensionScore, IndicatorScore, ScoreCard
from quality_checks.scoring.tally import Count, Tally, tally

_CENT = Decimal("0.01")
_FULL = Decimal(100)


def score(results: Iterable[RuleResult], config: ScoringConfig) -> ScoreCard:
    """The card of some rule results."""
    return build_card(tally(results), config)


def combine(cards: Iterable[ScoreCard], config: ScoringConfig) -> ScoreCard:
    """One card for several: the sums of A and of B, never a mean of scores."""
    return build_card(reduce(Tally.__add__, (card.tally for card in cards), Tally()), config)


def build_card(sums: Tally, config: ScoringConfig) -> ScoreCard:
    """The card of some sums."""
    scored = [(one, _indicators(one, sums, config)) for one in config.dimensions]
    assessed = [
        (dimension.weight, result)
        for dimension, indicators in scored
        if (result := _mean(indicators)) is not None
    ]
    weights = sum((weight for weight, _ in assessed), Decimal(0))
    total = _cut(sum(weight * result for weight, result in assessed) / weights) if weights else None
    dimensions = tuple(
        _dimension(dimension, indicators, weights) for dimension, indicators in scored
    )
    grade = config.grade(total) if total is not None else None
    return ScoreCard(
        total=_float(total),
        grade=grade.code if grade else None,
        grade_name=grade.name if grade else None,
        grade_name_en=grade.name_en if grade else None,
        dimensions=dimensions,
        formula=formula(dimensions, _float(total), config, CHINESE),
        formula_en=formula(dimensions, _float(total), config, ENGLISH),
        unchecked=sums.unchecked,
        config_sha256=config.sha256,
    )


def _dimension(
    dimension: Dimension, indicators: tuple[IndicatorScore, ...], weights: Decimal
) -> DimensionScore:
    mean = _mean(indicators)
    assessed = mean is not None and weights > 0
    return DimensionScore(
        code=dimension.code,
        key=dimension.key,
        name=dimension.name,
        name_en=dimension.name_en,
        score=_float(mean),
        weight=float(dimension.weight),
        share=float(dimension.weight / weights) if assessed else None,
        indicators=indicators,
    )


def _indicators(
    dimension: Dimension, sums: Tally, config: ScoringConfig
) -> tuple[IndicatorScore, ...]:
    nothing = Count(evaluated=0, failed=0, rules=0)
    return tuple(
        _indicator(one, sums.counts.get(one.code, nothing))
        for one in config.indicators_of(dimension)
    )


def _indicator(indicator: Indicator, count: Count) -> IndicatorScore:
    satisfied = count.evaluated - count.failed
    counted = satisfied if indicator.direction is Direction.HIGH else count.failed
    return IndicatorScore(
        code=indicator.code,
        name=indicator.name,
        name_en=indicator.name_en,
        direction=indicator.direction,
        satisfied=satisfied,
        evaluated=count.evaluated,
        counted=counted,
        value=counted / count.evaluated if count.evaluated else None,
        score=_float(to_score(counted, count.evaluated, indicator.direction)),
        rules=count.rules,
    )


def to_score(a: int, b: int, direction: Direction) -> Decimal | None:
    """X = A / B of the standard as 0 to 100, more is better; None when B is 0.

    The one place where a direction becomes a score.
    """
    if b == 0:
        return None
    good = a if direction is Direction.HIGH else b - a
    return _cut(_FULL * good / b)


def _mean(indicators: Iterable[IndicatorScore]) -> Decimal | None:
    scores = [Decimal(str(one.score)) for one in indicators if one.score is not None]
    return _cut(sum(scores, Decimal(0)) / len(scores)) if scores else None


def _cut(value: Decimal) -> Decimal:
    return value.quantize(_CENT, ROUND_DOWN)


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
