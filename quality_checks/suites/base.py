"""What a hand-written suite is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
from cityledger.contracts.model import RuleSpec, Scope, Severity, Threshold
from cityledger.contracts.rules import DIMENSIONS

from quality_checks.rules import all_rules
from quality_checks.rules.base import Call, Example, Form, Judge, RowBuilder, Rule, StreamBuilder

_DIMENSION_OF = {code: name for name, codes in DIMENSIONS.items() for code in codes}


@dataclass(frozen=True, slots=True)
class TableCheck:
    """One rule on one table.

    Attributes:
        rule: Of the library, or one that :func:`holds` or :func:`judged` made.
        why: What it protects, for readers.
        at_most: Share of failing elements in percent that is borne; None: any, as a warning.
    """

    rule: Rule
    columns: tuple[str, ...]
    why: str
    arguments: dict[str, Any]
    gb_code: str
    severity: Severity
    at_most: float | None

    def spec(self, table: str, number: int) -> RuleSpec:
        """The rule as data; ``number`` tells repeated uses apart."""
        part = {0: "_table", 1: self.columns[0] if self.columns else ""}.get(
            len(self.columns), "_row"
        )
        key = f"{table}.{part}.{self.rule.name}"
        return RuleSpec(
            key=key if number == 1 else f"{key}.{number}",
            rule=self.rule.name,
            columns=self.columns,
            severity=self.severity,
            gb_code=self.gb_code,
            dimension=_DIMENSION_OF[self.gb_code],
            scope=Scope.HISTORY,
            arguments=self.arguments,
            threshold=None
            if self.at_most is None
            else Threshold(self.at_most, "percent", reason=self.why),
            description=self.why,
        )


@dataclass(frozen=True, slots=True)
class TableSuite:
    """What must hold in one table of the shared schema.

    Attributes:
        table: ``schema.table``.
        checks: At least one.
    """

    table: str
    checks: tuple[TableCheck, ...]

    def specs(self) -> list[tuple[TableCheck, RuleSpec]]:
        """Every check with its key, in order."""
        seen: dict[tuple[str, tuple[str, ...]], int] = {}
        found = []
        for one in self.checks:
            place = (one.rule.name, one.columns if len(one.columns) < 2 else ("_row",))
            seen[place] = seen.get(place, 0) + 1
            found.append((one, one.spec(self.table, seen[place])))
        return found


def check(
    rule: str,
    *columns: str,
    why: str,
    severity: Severity = Severity.BLOCK,
    gb_code: str | None = None,
    at_most: float | None = 0.0,
    **arguments: Any,
) -> TableCheck:
    """A rule of the library on a table; arguments as in a contract.

    Raises:
        KeyError: no rule has that name.
    """
    known = all_rules()[rule]
    return TableCheck(known, columns, why, arguments, gb_code or known.gb_code, severity, at_most)


def holds(
    name: str,
    good: pl.Expr,
    *columns: str,
    why: str,
    where: pl.Expr | None = None,
    severity: Severity = Severity.BLOCK,
    gb_code: str = "0402",
    at_most: float | None = 0.0,
) -> TableCheck:
    """A condition of one table: an expression that is True where a row obeys.

    Args:
        name: Ends the key; lower snake case.
        good: Judged on the rows that ``where`` selects (default: all); null breaks the rule.
        columns: Every column that the two expressions read.
        why: What it protects.
        where: Selects rows; the others count as neither good nor bad.
        severity: As in a contract.
        gb_code: GB/T 36344 indicator.
        at_most: Share of failing rows in percent that is borne; None: any, as a warning.
    """
    selected = pl.lit(value=True) if where is None else where.fill_null(value=False)

    def build(_: Call) -> pl.Expr:
        return ~selected | good.fill_null(value=False)

    rule = _own(name, Form.ROW, build, why, gb_code, None if where is None else lambda _: selected)
    return TableCheck(rule, columns, why, {}, gb_code, severity, at_most)


def judged(
    name: str,
    build: StreamBuilder,
    *columns: str,
    why: str,
    severity: Severity = Severity.BLOCK,
    gb_code: str = "0402",
    at_most: float | None = 0.0,
    **arguments: Any,
) -> TableCheck:
    """A condition that needs another table or a memory: a function that makes a judge."""
    rule = _own(name, Form.STREAM, build, why, gb_code, None)
    return TableCheck(rule, columns, why, arguments, gb_code, severity, at_most)


def _own(
    name: str,
    form: Form,
    build: RowBuilder | StreamBuilder,
    why: str,
    gb_code: str,
    looks_at: RowBuilder | None,
) -> Rule:
    return Rule(
        name=name,
        form=form,
        build=build,
        arguments={},
        gb_code=gb_code,
        source=why,
        example=Example(good={}, bad={}),
        skips_null=False,
        scopes=(Scope.HISTORY,),
        looks_at=looks_at,
    )


__all__ = ["Call", "Judge", "Severity", "TableCheck", "TableSuite", "check", "holds", "judged"]
