"""Running hand-written suites on tables in DuckDB, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from cityledger.contracts.codes import load_codes
from cityledger.contracts.model import ColumnType, RuleSpec, Scope
from cityledger.records import RuleResult, RuleStatus

from quality_checks.rules.base import Call, Form, Rule, Tables
from quality_checks.session import BoundRule, Session

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

    from quality_checks.suites.base import TableSuite

BATCH_ROWS = 500_000
"""Rows in memory at a time; only the columns that the rules read."""

_TYPES: Mapping[str, ColumnType] = {
    "VARCHAR": ColumnType.STRING,
    "BOOLEAN": ColumnType.BOOLEAN,
    "DATE": ColumnType.DATE,
    "TIME": ColumnType.TIME,
    "DOUBLE": ColumnType.NUMBER,
    "FLOAT": ColumnType.NUMBER,
}


def check_tables(
    connection: DuckDBPyConnection,
    tables: Iterable[str],
    *,
    suites: Mapping[str, TableSuite] | None = None,
    codes_dir: Path,
    as_of: date,
    catalog: str = "lake",
    snapshot: int | None = None,
) -> tuple[RuleResult, ...]:
    """Judge tables by their suites; tables without a suite are passed over.

    Args:
        connection: Has the catalog attached.
        tables: ``schema.table`` of what there is.
        suites: Table → suite; default: those of this package.
        codes_dir: Folder of the code lists.
        as_of: Last day of the newest period in the tables.
        catalog: Of the tables.
        snapshot: DuckLake snapshot to judge; it becomes the results' object version.

    Returns:
        The results in the order of tables and checks. A check that reads a column which the table
        lacks is ``error``.
    """
    if suites is None:
        from quality_checks.suites import all_suites

        suites = all_suites()
    there = list(tables)
    lake = _Lake(connection, frozenset(there), catalog, snapshot)
    results: list[RuleResult] = []
    for table in there:
        if table in suites:
            results += _judge(suites[table], lake, codes_dir, as_of)
    version = "" if snapshot is None else f"snapshot:{snapshot}"
    return tuple(result.model_copy(update={"object_version": version}) for result in results)


class _Lake:
    """The tables of one catalog at one snapshot."""

    def __init__(
        self,
        connection: DuckDBPyConnection,
        tables: frozenset[str],
        catalog: str,
        snapshot: int | None,
    ) -> None:
        self._connection, self._tables = connection, tables
        self._catalog, self._snapshot = catalog, snapshot

    def relation(self, table: str) -> DuckDBPyRelation:
        at = "" if self._snapshot is None else f" AT (VERSION => {self._snapshot})"
        return self._connection.sql(f"SELECT * FROM {self._catalog}.{table}{at}")

    def finder(self) -> Tables:
        """Finds other tables for rules that refer to them, each once."""

        @cache
        def find(table: str, columns: tuple[str, ...]) -> pl.DataFrame | None:
            if table not in self._tables:
                return None
            relation = self.relation(table)
            known = set(relation.columns)
            return relation.select(*columns).distinct().pl() if known >= set(columns) else None

        return find


def _judge(suite: TableSuite, lake: _Lake, codes_dir: Path, as_of: date) -> Iterator[RuleResult]:
    relation = lake.relation(suite.table)
    types = dict(zip(relation.columns, map(_type, map(str, relation.types)), strict=True))
    bound, results = bind(suite, types, codes_dir, as_of, lake.finder())
    for rules, batches in _passes(relation, list(bound.values())):
        for result in run(suite.table, rules, batches):
            results[result.key] = result
    yield from (results[spec.key] for _, spec in suite.specs())


def bind(
    suite: TableSuite,
    types: Mapping[str, ColumnType],
    codes_dir: Path,
    as_of: date,
    tables: Tables | None,
) -> tuple[dict[str, BoundRule], dict[str, RuleResult]]:
    """The suite's rules for a table with these columns, and an error for each that lacks one."""
    bound: dict[str, BoundRule] = {}
    results: dict[str, RuleResult] = {}
    for one, spec in suite.specs():
        call = Call(
            spec=spec,
            dataset=suite.table,
            types=types,
            codes=lambda name: load_codes(codes_dir, name),
            as_of=as_of,
            reads=_no_texts,
            tables=tables,
        )
        missing = sorted(set(_reads(one.rule, call)) - types.keys())
        if missing:
            results[spec.key] = _cannot(spec, f"the table has no column {', '.join(missing)}")
        else:
            bound[spec.key] = BoundRule(one.rule, call)
    return bound, results


def _type(kind: str) -> ColumnType:
    if kind.startswith("TIMESTAMP"):
        return ColumnType.TIMESTAMP
    if kind.startswith("DECIMAL"):
        return ColumnType.NUMBER
    return _TYPES.get(kind, ColumnType.INTEGER if "INT" in kind else ColumnType.STRING)


def _no_texts(_: str, texts: Sequence[str]) -> pl.Series:
    return pl.Series(texts)


def _reads(rule: Rule, call: Call) -> Iterable[str]:
    named = [call.spec.arguments.get(name, ()) for name in ("by", "orderBy")]
    parts = [(given,) if isinstance(given, str) else given for given in named]
    partition = ("_partition",) if rule.by_partition else ()
    return {*call.spec.columns, *(name for part in parts for name in part), *partition}


def _passes(
    relation: DuckDBPyRelation, rules: list[BoundRule]
) -> Iterator[tuple[list[BoundRule], Iterable[pl.DataFrame]]]:
    """Rules that look back over rows need their columns whole; all others see batches."""
    whole = [r for r in rules if r.rule.form is Form.ROW and looks_back(r.rule)]
    for chosen in (whole, [rule for rule in rules if rule not in whole]):
        if not chosen:
            continue
        needed = sorted({name for rule in chosen for name in rule.call.reads_columns})
        columns = relation.select(*needed) if needed else relation
        yield chosen, [columns.pl()] if chosen is whole else _batches(columns)


def looks_back(rule: Rule) -> bool:
    """Whether a rule needs more than the row that it judges."""
    return "orderBy" in rule.arguments or "by" in rule.arguments


def _batches(relation: DuckDBPyRelation) -> Iterator[pl.DataFrame]:
    for batch in relation.to_arrow_reader(BATCH_ROWS):
        frame = pl.from_arrow(batch)
        if isinstance(frame, pl.DataFrame):
            yield frame


def run(
    table: str, rules: list[BoundRule], batches: Iterable[pl.DataFrame]
) -> tuple[RuleResult, ...]:
    """Judge batch by batch; a table without rows is judged, too."""
    session: Session | None = None
    for batch in batches:
        session = session or Session(table, dict.fromkeys(batch.columns), rules)
        session.check(batch)
    if session is None:
        session = Session(table, {}, rules)
    return session.finish()


def _cannot(spec: RuleSpec, why: str) -> RuleResult:
    return RuleResult(
        key=spec.key,
        rule=spec.rule,
        columns=spec.columns,
        scope=Scope.HISTORY,
        severity=spec.severity,
        gb_code=spec.gb_code,
        dimension=spec.dimension,
        evaluated=0,
        failed=0,
        status=RuleStatus.ERROR,
        message=why,
    )
