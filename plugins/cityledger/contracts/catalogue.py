"""What the layers above know, handed down to the lint: rules, value types, connectors.

The rule library lives above the contracts, so its names come in as an argument. Without a
catalogue, names are only checked for their spelling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Arguments:
    """Which arguments (or options) a named thing takes."""

    allowed: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RuleCatalogue:
    """Everything that a contract may refer to by name.

    Attributes:
        rules: Named rule → its arguments.
        value_types: Value type → its options.
        connectors: Connector → its options, ``path`` included; None skips the check.
    """

    rules: Mapping[str, Arguments] = field(default_factory=dict)
    value_types: Mapping[str, Arguments] = field(default_factory=dict)
    connectors: Mapping[str, Arguments] | None = None
