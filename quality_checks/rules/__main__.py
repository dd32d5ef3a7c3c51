"""Prints the rule table of ``quality_checks/README.md``: ``python -m quality_checks.rules``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from quality_checks.rules import all_rules
from quality_checks.rules.base import Rule

HEAD = (
    "| name | GB/T 36344 | one element is a | scopes | arguments (**needed**) | what it says |",
    "|---|---|---|---|---|---|",
)


def table() -> Iterator[str]:
    """The lines of the table, one a rule."""
    yield from HEAD
    for name, rule in sorted(all_rules().items()):
        cells = (f"`{name}`", rule.gb_code, rule.unit, _scopes(rule), _arguments(rule), _says(rule))
        yield f"| {' | '.join(cells)} |"


def _scopes(rule: Rule) -> str:
    return ", ".join(scope.value for scope in rule.scopes)


def _arguments(rule: Rule) -> str:
    marked = {True: "**`{}`**", False: "`{}`"}
    found = [marked[needed].format(name) for name, needed in rule.arguments.items()]
    return ", ".join(found) or "–"


def _says(rule: Rule) -> str:
    return " ".join(rule.description.split("\n\n")[0].split())


if __name__ == "__main__":
    sys.stdout.write("\n".join(table()) + "\n")
