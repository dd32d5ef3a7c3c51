"""Contract → suite: bind value types and rules, and refuse what makes no sense."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path

import polars as pl
from cityledger.contracts.codes import CodeList, load_codes
from cityledger.contracts.model import Column, ColumnType, Contract, RuleSpec
from cityledger.errors import BadInputError

from quality_checks.compiled import Suite
from quality_checks.rules import all_rules
from quality_checks.rules.base import Call, Rule, Tables
from quality_checks.session import BoundRule
from quality_checks.values import all_value_types, value_type_of
from quality_checks.values.base import Context, OutputType, Reading, ValueType

Codes = Callable[[str], CodeList]


def compile_suite(
    contract: Contract, *, codes_dir: Path, as_of: date, tables: Tables | None = None
) -> Suite:
    """Build the suite of a contract.

    Args:
        contract: The resolved contract.
        codes_dir: Folder of the code lists.
        as_of: The delivery's reference date: last day of its partition.
        tables: Finds what is released of other datasets; rules that refer to one are ``error``
            without.

    Raises:
        BadInputError: no rules, an unknown rule or value type, wrong arguments or columns.
    """
    if not contract.rules:
        raise BadInputError(
            "the contract has no rules, so nothing would be checked",
            where=f"{contract.path}, contract {contract.id}",
            fix="give a column `required`, `enum` … or a `quality` entry",
            code="empty_suite",
        )
    return _Compiler(contract, codes_dir, as_of, tables).suite()


PRIVATE = frozenset({"personal", "sensitive"})


def _first_day(grain: str, day: date) -> date:
    """First day of the period that holds a day."""
    months = {"month": 1, "quarter": 3, "year": 12}.get(grain)
    return day if months is None else day.replace(day=1, month=day.month - (day.month - 1) % months)


class _Compiler:
    def __init__(
        self, contract: Contract, codes_dir: Path, as_of: date, tables: Tables | None
    ) -> None:
        self._contract, self._as_of, self._tables = contract, as_of, tables
        self._codes = _code_finder(codes_dir)
        self._kinds = {column.name: self._kind(column) for column in contract.columns}
        self._types = {column.name: column.type for column in contract.columns}

    def suite(self) -> Suite:
        columns = self._columns()
        types = {name: kind for name, (kind, _) in columns.items()}
        rules = tuple(self._bind(spec, types) for spec in self._contract.rules)
        return Suite(self._contract, columns, self._waves(), rules)

    def _kind(self, column: Column) -> ValueType:
        try:
            kind = value_type_of(column)
        except KeyError:
            known = ", ".join(sorted(all_value_types()))
            what = f"no value type is called '{column.semantic_type}'"
            raise self._bad_column(column, what, f"use one of {known}") from None
        if column.type not in kind.logical_types:
            allowed = " or ".join(logical.value for logical in kind.logical_types)
            raise self._bad_column(
                column,
                f"'{kind.name}' can't be a {column.type.value}",
                f"use logicalType {allowed}",
            )
        return kind

    def _bad_column(self, column: Column, what: str, fix: str) -> BadInputError:
        where = f"contract {self._contract.id}, column {column.name}"
        return BadInputError(what, where=where, fix=fix, code="bad_value_type")

    def _columns(self) -> dict[str, OutputType]:
        found: dict[str, OutputType] = {}
        for column in self._contract.columns:
            precision = column.precision or self._kinds[column.name].default_precision
            found[column.name] = (column.type, precision)
            for suffix, kind in self._kinds[column.name].extra_columns.items():
                name = f"{column.name}_{suffix}"
                if name in self._types:
                    raise self._bad_column(
                        column, f"its extra column {name} exists already", "rename one of them"
                    )
                found[name] = (kind, None)
        return found

    def _waves(self) -> tuple[Mapping[str, Reading], ...]:
        first: dict[str, Reading] = {}
        second: dict[str, Reading] = {}
        for column in self._contract.columns:
            later = bool(self._needs(column))
            (second if later else first)[column.name] = self._reading(column)
        return tuple(wave for wave in (first, second) if wave)

    def _needs(self, column: Column) -> tuple[str, ...]:
        needs = self._kinds[column.name].needs(column)
        for name in needs:
            known = name in self._kinds
            if not known or self._kinds[name].needs(self._contract.column(name)):
                raise self._bad_column(
                    column, f"can't be read after '{name}'", "name a plain column"
                )
        return needs

    def _reading(self, column: Column) -> Reading:
        tokens = (*self._contract.null_tokens, *column.null_tokens)
        context = Context(self._as_of, tokens, self._codes, self._types)
        return self._kinds[column.name].read(pl.col(column.name), column, context)

    def _bind(self, spec: RuleSpec, types: Mapping[str, ColumnType]) -> BoundRule:
        call = Call(
            spec=spec,
            dataset=str(self._contract.id),
            types=types,
            codes=self._codes,
            as_of=self._as_of,
            reads=self._read_texts,
            since=_first_day(self._contract.service_level.grain, self._as_of),
            tables=self._tables,
            private=frozenset(
                c.name for c in self._contract.columns if c.classification in PRIVATE
            ),
            file=str(self._contract.path),
        )
        return bind(call)

    def _read_texts(self, name: str, texts: Sequence[str]) -> pl.Series:
        column = self._contract.column(name)
        frame = pl.DataFrame({name: texts}, schema={name: pl.String})
        reading = self._reading(column)
        prepared = frame.with_columns(**reading.prepare) if reading.prepare else frame
        return prepared.select(reading.value.alias(name)).to_series()


def bind(call: Call) -> BoundRule:
    """Find the rule of a call and refuse what makes no sense.

    Raises:
        BadInputError: no such rule, a scope that it can't judge, wrong arguments or columns.
    """
    rule = all_rules().get(call.spec.rule)
    if rule is None:
        raise BadInputError(
            f"no rule is called '{call.spec.rule}'",
            where=call.where,
            fix=f"use one of {', '.join(sorted(all_rules()))}",
            code="unknown_rule",
        )
    if call.spec.scope not in rule.scopes:
        known = " or ".join(scope.value for scope in rule.scopes)
        raise call.refuse(f"can't judge the scope '{call.spec.scope.value}'", f"use {known}")
    _check_arguments(rule, call)
    _check_columns(rule, call)
    return BoundRule(rule, call)


def _check_arguments(rule: Rule, call: Call) -> None:
    for name in call.spec.arguments:
        if name not in rule.arguments:
            raise call.refuse(f"no argument is called '{name}'", f"known: {sorted(rule.arguments)}")
    for name, required in rule.arguments.items():
        if required and call.get(name) is None:
            raise call.refuse(f"argument '{name}' is missing", f"add {name}: …")


def _check_columns(rule: Rule, call: Call) -> None:
    if len(call.spec.columns) < rule.least_columns:
        raise call.refuse(f"needs {rule.least_columns} columns", "name them in `columns`")
    for name in call.spec.columns:
        if name not in call.types:
            raise call.refuse(
                f"the dataset has no column '{name}'", f"known: {', '.join(call.types)}"
            )


def _code_finder(codes_dir: Path) -> Codes:
    @cache
    def find(name: str) -> CodeList:
        return load_codes(codes_dir, name)

    return find
