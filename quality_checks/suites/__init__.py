"""Hand-written suites: what must hold in core models and indicators, one module a table.

A module defines ``SUITE``; its name is the table's. Rules are those of the library, by name
(:func:`~quality_checks.suites.base.check`), and conditions of that table alone
(:func:`~quality_checks.suites.base.holds`). pandera judges them as it judges extracts.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from quality_checks.suites.base import TableSuite
from quality_checks.suites.runner import check_tables

__all__ = ["SUITES_OF", "TableSuite", "all_suites", "check_tables"]

SUITES_OF = "cityledger"
"""dbt project whose models the suites of this package are written for."""

_OTHER_MODULES = frozenset({"base", "distributed", "runner"})


@cache
def all_suites() -> Mapping[str, TableSuite]:
    """``schema.table`` → its suite."""
    names = sorted(module.name for module in iter_modules(__path__))
    suites = [
        import_module(f"{__name__}.{name}").SUITE for name in names if name not in _OTHER_MODULES
    ]
    return MappingProxyType({suite.table: suite for suite in suites})
