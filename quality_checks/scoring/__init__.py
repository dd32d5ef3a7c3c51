"""Scoring to GB/T 36344-2018: rule results in, score card out.

Arithmetic on records only: nothing here reads data, runs rules or needs polars, so the ledger may
use it as well.
"""

from __future__ import annotations

from cityledger.contracts.scoring import Direction, ScoringConfig

from quality_checks.scoring.card import brief, build_card, combine, score
from quality_checks.scoring.records import DimensionScore, IndicatorScore, ScoreCard, Scores
from quality_checks.scoring.tally import Count, Tally, Unchecked, tally

__all__ = [
    "Count",
    "DimensionScore",
    "Direction",
    "IndicatorScore",
    "ScoreCard",
    "Scores",
    "ScoringConfig",
    "Tally",
    "Unchecked",
    "brief",
    "build_card",
    "combine",
    "score",
    "tally",
]
