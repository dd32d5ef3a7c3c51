"""The rule library: named rules that contracts use (``quality[].implementation.rule``).

A package adds its own by an entry point of group ``cityledger.rules`` that names a module; the
module registers its rules with the decorators of :mod:`quality_checks.rules.base`.
"""

from __future__ import annotations

from collections.abc import Mapping

from quality_checks.rules import columns, totals, uniqueness  # noqa: F401 - importing registers them
from quality_checks.rules.base import Rule, all_rules

__all__ = ["Rule", "all_rules", "catalogue"]


def catalogue() -> Mapping[str, Mapping[str, bool]]:
    """Rule name → argument name → whether it must be given (for the contract linter)."""
    return {name: dict(rule.arguments) for name, rule in sorted(all_rules().items())}
