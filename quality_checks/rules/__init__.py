"""The rule library: named rules that contracts use (``quality[].implementation.rule``).

A package adds its own by an entry point of group ``cityledger.rules`` that names a module; the
module registers its rules with the decorators of :mod:`quality_checks.rules.base`.
"""

from __future__ import annotations

from collections.abc import Mapping

from cityledger.contracts.catalogue import RuleFacts

from quality_checks.rules import (  # noqa: F401 - importing registers them
    columns,
    comparisons,
    days,
    dirt,
    drift,
    history,
    identifiers,
    industry,
    references,
    sequence,
    sql,
    totals,
    uniqueness,
)
from quality_checks.rules.base import Rule, all_rules

__all__ = ["Rule", "all_rules", "catalogue"]


def catalogue() -> Mapping[str, RuleFacts]:
    """Rule name → what a contract must know about it (for the contract linter)."""
    return {
        name: RuleFacts(
            allowed=frozenset(rule.arguments),
            required=frozenset(a for a, needed in rule.arguments.items() if needed),
            least_columns=rule.least_columns,
            scopes=frozenset(rule.scopes),
        )
        for name, rule in sorted(all_rules().items())
    }
