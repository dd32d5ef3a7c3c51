"""The score card: sums in, six dimensions, a total, a grade and the formula out.

Scores are computed in decimal arithmetic and cut off (not rounded) after two digits, step by step,
so whoever recomputes the printed formula gets the printed total, and 100 means that nothing failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_DOWN, Decimal
from functools import reduce

from cityledger.contracts.scoring import Dimension, Direction, Indicator, ScoringConfig
from cityledger.records import RuleResult

from quality_checks.scoring.formula import CHINESE, ENGLISH, formula
from quality_checks.scoring.records import DimensionScore, IndicatorScore, ScoreCard, Scores
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
    """The card of some sums, with its formula."""
    means = _means(sums, config)
    total = _total(means, config)
    weights = _weights(means, config)
    dimensions = tuple(
        _dimension(dimension, mean, weights, _indicators(dimension, sums, config))
        for dimension, mean in zip(config.dimensions, means, strict=True)
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


def brief(sums: Tally, config: ScoringConfig) -> Scores:
    """The same scores as :func:`build_card`, without what explains them: for many at once."""
    means = _means(sums, config)
    total = _total(means, config)
    keys = (dimension.key for dimension in config.dimensions)
    return Scores(
        total=_float(total),
        grade=config.grade(total).code if total is not None else None,
        dimensions=dict(zip(keys, map(_float, means), strict=True)),
    )


def _means(sums: Tally, config: ScoringConfig) -> list[Decimal | None]:
    """The score of each dimension: the mean of its assessed indicators."""
    return [_mean(dimension, sums, config) for dimension in config.dimensions]


def _mean(dimension: Dimension, sums: Tally, config: ScoringConfig) -> Decimal | None:
    found = []
    for indicator in config.indicators_of(dimension):
        count = sums.counts.get(indicator.code)
        result = None if count is None else _score(indicator, count)
        if result is not None:
            found.append(result)
    return _cut(sum(found, Decimal(0)) / len(found)) if found else None


def _weights(means: Sequence[Decimal | None], config: ScoringConfig) -> Decimal:
    """The sum of the weights of the dimensions that were assessed."""
    pairs = zip(config.dimensions, means, strict=True)
    return sum((one.weight for one, mean in pairs if mean is not None), Decimal(0))


def _total(means: Sequence[Decimal | None], config: ScoringConfig) -> Decimal | None:
    weights = _weights(means, config)
    if not weights:
        return None
    pairs = zip(config.dimensions, means, strict=True)
    return _cut(sum(one.weight * mean for one, mean in pairs if mean is not None) / weights)


def _dimension(
    dimension: Dimension,
    mean: Decimal | None,
    weights: Decimal,
    indicators: tuple[IndicatorScore, ...],
) -> DimensionScore:
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
    counted = _counted(indicator, count)
    return IndicatorScore(
        code=indicator.code,
        name=indicator.name,
        name_en=indicator.name_en,
        direction=indicator.direction,
        satisfied=count.evaluated - count.failed,
        evaluated=count.evaluated,
        counted=counted,
        value=counted / count.evaluated if count.evaluated else None,
        score=_float(_score(indicator, count)),
        rules=count.rules,
    )


def _counted(indicator: Indicator, count: Count) -> int:
    """A of the standard: good elements, or the bad ones where less is better."""
    good = indicator.direction is Direction.HIGH
    return count.evaluated - count.failed if good else count.failed


def _score(indicator: Indicator, count: Count) -> Decimal | None:
    return to_score(_counted(indicator, count), count.evaluated, indicator.direction)


def to_score(a: int, b: int, direction: Direction) -> Decimal | None:
    """X = A / B of the standard as 0 to 100, more is better; None when B is 0.

    The one place where a direction becomes a score.
    """
    if b == 0:
        return None
    good = a if direction is Direction.HIGH else b - a
    return _cut(_FULL * good / b)


def _cut(value: Decimal) -> Decimal:
    return value.quantize(_CENT, ROUND_DOWN)


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
