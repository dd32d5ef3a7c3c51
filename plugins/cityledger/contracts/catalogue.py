"""What the layers above know, handed down to the lint: rules, value types, connectors.

The rule library lives above the contracts, so its names come in as an argument. Without a
catalogue, names are only checked for their spelling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cityledger.contracts.model import ColumnType, Scope


@dataclass(frozen=True, slots=True)
class Arguments:
    """Which arguments (or options) a named thing takes."""

    allowed: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RuleFacts(Arguments):
    """What a contract must know about a named rule.

    Attributes:
        least_columns: Fewest columns to name.
        scopes: Scopes that it can judge; empty for any.
    """

    least_columns: int = 0
    scopes: frozenset[Scope] = frozenset()


@dataclass(frozen=True, slots=True)
class ValueTypeFacts(Arguments):
    """What a contract must know about a value type.

    Attributes:
        types: Logical types that its columns may have; empty for any.
        suffixes: It adds a column ``<column>_<suffix>`` for each of them.
    """

    types: frozenset[ColumnType] = frozenset()
    suffixes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RuleCatalogue:
    """Everything that a contract may refer to by name.

    Attributes:
        rules: Named rule → its arguments.
        value_types: Value type → its options.
        connectors: Connector → its options; None for options (or for all) skips the check.
    """

    rules: Mapping[str, RuleFacts] = field(default_factory=dict)
    value_types: Mapping[str, ValueTypeFacts] = field(default_factory=dict)
    connectors: Mapping[str, Arguments | None] | None = None
