"""What a named rule is, and the registry that contracts find them in.

A rule takes one of three forms:

* **expression**: a Boolean polars expression, True where the row obeys (``@row_rule``);
* **stream**: a judge with memory that sees the batches in order (``@stream_rule``), e.g. unique;
* **total**: sums up the batches and judges one small table at the end (``@total_rule``).

An expression must decide every row: a null verdict counts as a broken rule and turns the rule's
status into ``error``, so "nobody looked" can't pass for "good".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from importlib.metadata import entry_points
from typing import Any, Protocol, TypeVar, runtime_checkable

import polars as pl
from cityledger.contracts.codes import CodeList
from cityledger.contracts.model import ColumnType, RuleSpec, Scope
from cityledger.errors import BadInputError

ENTRY_POINTS = "cityledger.rules"


class Form(StrEnum):
    """How a rule looks at the data."""

    ROW = "row"
    STREAM = "stream"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Call:
    """One use of a rule in one contract.

    Attributes:
        dataset: For error messages.
        types: Output columns of the dataset, extras included.
        codes: Finds a code list by name.
        as_of: The delivery's reference date.
        reads: Reads one text as the typed value of a column (control totals come as text).
        since: First day of the delivery's period; None where there is no period (tables).
        tables: Finds the released table of another dataset; None where there are none to look at.
        private: Columns whose values never enter a result (personal, sensitive).
        file: The contract's.
    """

    spec: RuleSpec
    dataset: str
    types: Mapping[str, ColumnType]
    codes: Callable[[str], CodeList]
    as_of: date
    reads: Callable[[str, Sequence[str]], pl.Series]
    since: date | None = None
    tables: Tables | None = None
    private: frozenset[str] = frozenset()
    file: str = ""

    @property
    def column(self) -> str:
        """The judged column."""
        return self.spec.columns[0]

    @property
    def value(self) -> pl.Expr:
        """The judged column, as an expression."""
        return pl.col(self.column)

    @property
    def reads_columns(self) -> frozenset[str]:
        """Columns that the rule reads: those it judges, and those that its arguments name."""
        named = set(self.spec.columns)
        for given in self.spec.arguments.values():
            parts = given if isinstance(given, list | tuple | Mapping) else (given,)
            named.update(part for part in parts if isinstance(part, str) and part in self.types)
        return frozenset(named)

    def other_table(self, columns: Sequence[str]) -> pl.DataFrame:
        """The distinct values of some columns in the table that argument ``dataset`` names.

        Raises:
            CannotCheckError: it has not been released, or lacks a column.
        """
        dataset = str(self.get("dataset"))
        found = None if self.tables is None else self.tables(dataset, tuple(columns))
        if found is None:
            raise CannotCheckError(f"there is no released table of {dataset} with these columns")
        return found

    def get(self, name: str, default: Any = None) -> Any:
        """An argument, or its default."""
        return self.spec.arguments.get(name, default)

    @property
    def where(self) -> str:
        """Where the contract says it: file and line, if it comes from one, then the rule's key."""
        place = f"{self.file}:{self.spec.line}, " if self.spec.line else ""
        return f"{place}contract {self.dataset}, {self.spec.key}"

    def refuse(self, what: str, fix: str) -> BadInputError:
        """The error that says this use of the rule makes no sense."""
        return BadInputError(
            f"rule '{self.spec.rule}': {what}",
            where=self.where,
            fix=fix,
            code="bad_rule",
        )


Tables = Callable[[str, tuple[str, ...]], pl.DataFrame | None]
"""Dataset and columns → their distinct values in its released table; ``_partition`` is a column.

None says that there is no such table, or that it lacks a column."""

PARTITION = "_partition"
"""Column that names a row's partition, in every table over all partitions."""


class Judge(Protocol):
    """Judges batch after batch and remembers what it needs."""

    def __call__(self, batch: pl.DataFrame) -> pl.Series:
        """True where the row obeys."""
        ...


class Totals(Protocol):
    """Adds up batches and ends in a small table with one row per thing judged."""

    def add(self, batch: pl.DataFrame) -> None:
        """Take a batch in."""
        ...

    def table(self, control_totals: Sequence[Mapping[str, str]]) -> tuple[pl.DataFrame, pl.Expr]:
        """The table, and the expression that is True for its good rows.

        Raises:
            CannotCheckError: there is nothing to compare with.
        """
        ...


@runtime_checkable
class Measuring(Protocol):
    """Totals that can say which figure they judged; only for figures that anybody may see."""

    @property
    def measured(self) -> float | None:
        """The figure, after :meth:`Totals.table`."""
        ...


class CannotCheckError(Exception):
    """A rule has nothing to judge by; its result is ``error``, with this text (no data values)."""


RowBuilder = Callable[[Call], pl.Expr]
StreamBuilder = Callable[[Call], Judge]
TotalBuilder = Callable[[Call], Totals]
Builder = TypeVar("Builder", bound=Callable[[Call], Any])


@dataclass(frozen=True, slots=True)
class Example:
    """Rows that obey and rows that don't: documentation that a test runs.

    Attributes:
        good: Column → values of good rows. The first column is the judged one.
        bad: Column → values; every one of these rows (or the table, for totals) breaks the rule.
        columns: Columns that a contract would name; None for all of them in this order.
        control: 合计 rows for rules that need them.
        tables: Dataset → table, for rules that look at other datasets.
    """

    good: Mapping[str, Sequence[Any]]
    bad: Mapping[str, Sequence[Any]]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None
    control: tuple[Mapping[str, str], ...] = ()
    tables: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rule of the library.

    Attributes:
        arguments: Name → whether it must be given.
        gb_code: GB/T 36344 indicator that it usually measures.
        source: Standard or experience that it comes from.
        skips_null: A null in the judged column is not looked at (``not_null`` judges it).
        least_columns: Fewest columns that a contract must name.
        scopes: Where it makes sense: a row, a delivery, the table over all partitions.
        element: What one element of the count is, when it isn't what the form says.
        looks_at: Expression, True for the rows that the rule judges; None for all of them (or all
            with a value, see ``skips_null``). Rows left aside count as neither good nor bad.
        by_partition: It compares partitions, so it reads their column, too.
    """

    name: str
    form: Form
    build: Callable[[Call], Any]
    arguments: Mapping[str, bool]
    gb_code: str
    source: str
    example: Example
    skips_null: bool = True
    least_columns: int = 1
    scopes: tuple[Scope, ...] = ()
    element: str = ""
    looks_at: RowBuilder | None = None
    by_partition: bool = False

    @property
    def unit(self) -> str:
        """What one element of the count is: a cell, a row, a group, a delivery."""
        usual = {Form.ROW: "cell" if self.least_columns < 2 else "row", Form.STREAM: "row"}
        return self.element or usual.get(self.form, "delivery")

    @property
    def description(self) -> str:
        """The rule in words: its function's docstring."""
        return (self.build.__doc__ or "").strip()


_SCOPES = {
    Form.ROW: (Scope.ROW, Scope.HISTORY),
    Form.STREAM: (Scope.DATASET, Scope.HISTORY),
    Form.TOTAL: (Scope.DATASET, Scope.HISTORY),
}
_rules: dict[str, Rule] = {}


def _register(form: Form, **settings: Any) -> Callable[[Builder], Builder]:
    def keep(build: Builder) -> Builder:
        name = build.__name__
        if name in _rules and _rules[name].build is not build:
            raise ValueError(f"two rules are called '{name}'")
        arguments = dict.fromkeys(settings.pop("optional", ()), False)
        arguments |= dict.fromkeys(settings.pop("required", ()), True)
        known = {"scopes": _SCOPES[form], **settings}
        _rules[name] = Rule(name=name, form=form, build=build, arguments=arguments, **known)
        return build

    return keep


def row_rule(**settings: Any) -> Callable[[RowBuilder], RowBuilder]:
    """Register a function ``Call → Boolean expression`` under its own name."""
    return _register(Form.ROW, **settings)


def stream_rule(**settings: Any) -> Callable[[StreamBuilder], StreamBuilder]:
    """Register a function ``Call → Judge`` under its own name."""
    return _register(Form.STREAM, **settings)


def total_rule(**settings: Any) -> Callable[[TotalBuilder], TotalBuilder]:
    """Register a function ``Call → Totals`` under its own name."""
    return _register(Form.TOTAL, **settings)


_loaded = False


def _load_third_parties() -> None:
    global _loaded  # noqa: PLW0603 - entry points are read once per process
    if not _loaded:
        _loaded = True
        for entry in entry_points(group=ENTRY_POINTS):
            entry.load()


def all_rules() -> Mapping[str, Rule]:
    """Every rule: the built-in ones and those of installed packages."""
    _load_third_parties()
    return dict(_rules)
