"""The score card as a record: what pages, reports and the journal keep."""

from __future__ import annotations

from cityledger.contracts.scoring import Direction
from cityledger.records import Record
from pydantic import Field

from quality_checks.scoring.tally import Count, Tally, Unchecked


class IndicatorScore(Record):
    """One of the 20 indicators.

    Attributes:
        code: GB/T 36344 code, four digits.
        direction: ``high``, or ``low`` where less is better (0303, 0305).
        satisfied: Elements that broke no rule.
        evaluated: Elements looked at: B of the standard; 0 when not assessed.
        counted: A of the standard: satisfied elements, or the bad ones where less is better.
        value: X = A / B of the standard; None when not assessed.
        score: 0 to 100, more is better whatever the direction; None when not assessed.
        rules: Verdicts of rules that went into it.
    """

    code: str
    name: str
    name_en: str
    direction: Direction
    satisfied: int
    evaluated: int
    counted: int
    value: float | None
    score: float | None
    rules: int


class DimensionScore(Record):
    """One of the six dimensions.

    Attributes:
        code: Two digits.
        key: English field name (``conformity`` …).
        score: Mean of the assessed indicators, 0 to 100; None when none was assessed.
        weight: Configured weight, 0 to 1.
        share: The weight that it had in the total, after the weights of dimensions that were not
            assessed were spread; None when it was not assessed itself.
        indicators: All indicators of the dimension, assessed or not.
    """

    code: str
    key: str
    name: str
    name_en: str
    score: float | None
    weight: float
    share: float | None
    indicators: tuple[IndicatorScore, ...]


class Scores(Record):
    """A card in short, for tables and charts.

    Attributes:
        total: 0 to 100; None when nothing was assessed.
        grade: Code of the grade (``A`` …); None without a total.
        dimensions: English field name of the dimension → score; None when not assessed.
    """

    total: float | None = None
    grade: str | None = None
    dimensions: dict[str, float | None] = Field(default_factory=dict)


class ScoreCard(Record):
    """A score to GB/T 36344-2018.

    Attributes:
        total: 0 to 100; None when nothing was assessed.
        grade: Code of the grade (``A`` …); None without a total.
        dimensions: All six, assessed or not.
        formula: How the total came about, with the real numbers, in Chinese.
        formula_en: The same in English.
        unchecked: Rules that ended in an error; they count as not assessed.
        config_sha256: Of the scoring configuration.
    """

    total: float | None
    grade: str | None
    grade_name: str | None
    grade_name_en: str | None
    dimensions: tuple[DimensionScore, ...]
    formula: str
    formula_en: str
    unchecked: tuple[Unchecked, ...] = ()
    config_sha256: str

    def dimension(self, key: str) -> DimensionScore:
        """The dimension of that English field name or two-digit code.

        Raises:
            KeyError: there is no such dimension.
        """
        for dimension in self.dimensions:
            if key in (dimension.key, dimension.code):
                return dimension
        raise KeyError(key)

    @property
    def scores(self) -> Scores:
        """The card in short."""
        return Scores(
            total=self.total,
            grade=self.grade,
            dimensions={dimension.key: dimension.score for dimension in self.dimensions},
        )

    @property
    def tally(self) -> Tally:
        """The sums that the card was made of."""
        return Tally(
            counts={
                one.code: Count(
                    evaluated=one.evaluated,
                    failed=one.evaluated - one.satisfied,
                    rules=one.rules,
                )
                for dimension in self.dimensions
                for one in dimension.indicators
                if one.evaluated
            },
            unchecked=self.unchecked,
        )
