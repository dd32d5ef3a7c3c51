"""The formula of a card, with the real numbers put in: what the report prints for a reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from cityledger.contracts.scoring import Direction, ScoringConfig

from quality_checks.scoring.records import DimensionScore, IndicatorScore


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one language."""

    chinese: bool
    total: str
    nothing: str
    skipped: str
    basis: str
    digits: str
    lower: str
    separator: str


CHINESE = Words(
    chinese=True,
    total="总分",
    nothing="未评估：没有任何指标被评估，因此没有总分。",
    skipped="未评估的维度不计分，其权重按比例分摊：{}",
    basis="权重与等级依据：{}",
    digits="各步得分截取两位小数（不进位），100 分表示无一不合格。",
    lower="（越低越好）",
    separator="、",
)
ENGLISH = Words(
    chinese=False,
    total="total",
    nothing="not assessed: no indicator was assessed, so there is no total.",
    skipped="dimensions that were not assessed are left out, their weights spread: {}",
    basis="weights and grades by: {}",
    digits="each step is cut off after two digits (not rounded): 100 means that nothing failed.",
    lower=" (less is better)",
    separator=", ",
)


def formula(
    dimensions: Sequence[DimensionScore], total: float | None, config: ScoringConfig, words: Words
) -> str:
    """The lines of the formula, from the total down to each assessed indicator's A and B.

    Args:
        dimensions: All six.
        total: 0 to 100; None when nothing was assessed.
        config: Its grades and their basis.
        words: The language.
    """
    return "\n".join(_lines(dimensions, total, config, words))


def _lines(
    dimensions: Sequence[DimensionScore], total: float | None, config: ScoringConfig, words: Words
) -> Iterator[str]:
    assessed = [one for one in dimensions if one.score is not None]
    if total is None:
        yield words.nothing
    else:
        terms = " + ".join(f"{_weight(one)} × {one.score:.2f}" for one in assessed)
        weights = sum((Decimal(_weight(one)) for one in assessed), Decimal(0))
        grade = config.grade(Decimal(str(total)))
        yield (
            f"{words.total} = ({terms}) ÷ {weights} = {total:.2f}"
            f" → {grade.code} {grade.name if words.chinese else grade.name_en}"
        )
    for dimension in assessed:
        yield from _dimension(dimension, words)
    left_out = [one for one in dimensions if one.score is None]
    if left_out and assessed:
        names = words.separator.join(f"{_name(one, words)} {_weight(one)}" for one in left_out)
        yield words.skipped.format(names)
    yield words.basis.format(config.basis)
    yield words.digits


def _dimension(dimension: DimensionScore, words: Words) -> Iterator[str]:
    found = [one for one in dimension.indicators if one.score is not None]
    terms = " + ".join(f"{one.score:.2f}" for one in found)
    mean = f"({terms}) ÷ {len(found)} = " if len(found) > 1 else ""
    yield f"{dimension.code} {_name(dimension, words)} = {mean}{dimension.score:.2f}"
    for one in found:
        yield f"  {one.code} {_name(one, words)}{_indicator(one, words)} = {one.score:.2f}"


def _indicator(one: IndicatorScore, words: Words) -> str:
    if one.direction is Direction.LOW:
        return f"{words.lower} = 100 × (1 − {one.counted} ÷ {one.evaluated})"
    return f" = 100 × {one.counted} ÷ {one.evaluated}"


def _weight(dimension: DimensionScore) -> str:
    return f"{dimension.weight:g}"


def _name(named: DimensionScore | IndicatorScore, words: Words) -> str:
    return named.name if words.chinese else named.name_en
