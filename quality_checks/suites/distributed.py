"""Running hand-written suites on a Spark Connect engine: rules go to the rows, counts come back.

Rules about single rows are judged by this package on the engine's workers, which need it and its
dependencies installed. Uniqueness and references are joins of the engine. What looks over a whole
table has to have its columns in one place, so such a rule is an error above a number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from cityledger.contracts.model import ColumnType, RuleSpec
from cityledger.records import RuleResult

from quality_checks.rules.base import Call, Form
from quality_checks.session import BoundRule, Session, Tally, rule_result
from quality_checks.suites.runner import bind, looks_back, run

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from quality_checks.suites.base import TableSuite

WHOLE_ROWS = 1_000_000
"""Rows of a table whose columns may come to one place, for rules that look over all of it."""

_TYPES: Mapping[str, ColumnType] = {
    "string": ColumnType.STRING,
    "boolean": ColumnType.BOOLEAN,
    "date": ColumnType.DATE,
    "timestamp": ColumnType.TIMESTAMP,
    "timestamp_ntz": ColumnType.TIMESTAMP,
    "double": ColumnType.NUMBER,
    "float": ColumnType.NUMBER,
}
_COUNTS = "key string, evaluated bigint, failed bigint, undecided bigint, error string"
_ON_ENGINE = frozenset({"unique", "references"})


def check_tables_on_engine(
    spark: SparkSession,
    tables: Iterable[str],
    *,
    suites: Mapping[str, TableSuite] | None = None,
    codes_dir: Path,
    as_of: date,
) -> tuple[RuleResult, ...]:
    """Judge the engine's tables by their suites; tables without a suite are passed over.

    Args:
        spark: Session that knows the tables.
        tables: ``schema.table`` of what there is.
        suites: Table → suite; default: those of this package.
        codes_dir: Folder of the code lists.
        as_of: Last day of the newest period in the tables.

    Returns:
        The results in the order of tables and checks, as of
        :func:`~quality_checks.suites.runner.check_tables`.
    """
    if suites is None:
        from quality_checks.suites import all_suites

        suites = all_suites()
    there = list(tables)
    judge = _Engine(spark, frozenset(there), codes_dir, as_of)
    return tuple(
        result for table in there if table in suites for result in judge.judge(suites[table])
    )


class _Engine:
    def __init__(
        self, spark: SparkSession, tables: frozenset[str], codes_dir: Path, as_of: date
    ) -> None:
        self._spark, self._tables = spark, tables
        self._codes_dir, self._as_of = codes_dir, as_of

    def judge(self, suite: TableSuite) -> Iterator[RuleResult]:
        table = self._spark.table(suite.table)
        types = {f.name: _type(f.dataType.simpleString()) for f in table.schema.fields}
        bound, results = bind(suite, types, self._codes_dir, self._as_of, self._find)
        rows: list[BoundRule] = []
        whole: list[BoundRule] = []
        for key, rule in bound.items():
            if rule.spec.rule in _ON_ENGINE:
                results[key] = rule_result(rule.spec, self._counted(suite.table, rule.call))
            else:
                (rows if _is_local(rule) else whole).append(rule)
        if rows:
            results |= self._distributed(suite, table, types, rows)
        if whole:
            results |= self._gathered(suite, table, whole)
        yield from (results[spec.key] for _, spec in suite.specs())

    def _counted(self, table: str, call: Call) -> Tally:
        if call.spec.rule == "unique":
            return self._unique(table, call.spec)
        return self._references(table, call)

    def _unique(self, table: str, spec: RuleSpec) -> Tally:
        keys = ", ".join(f"`{name}`" for name in spec.columns)
        given = " AND ".join(f"`{name}` IS NOT NULL" for name in spec.columns)
        return self._tally(
            f"SELECT coalesce(sum(n), 0), coalesce(sum(n - 1), 0) FROM"
            f" (SELECT count(*) AS n FROM {table} WHERE {given} GROUP BY {keys}) AS groups"
        )

    def _references(self, table: str, call: Call) -> Tally:
        other, own = str(call.get("dataset")), call.spec.columns
        given = call.get("column", own)
        theirs = (given,) if isinstance(given, str) else tuple(given)
        if not self._has(other, theirs):
            why = f"there is no released table of {other} with these columns"
            return Tally(error=why)
        on = " AND ".join(
            f"one.`{here}` = known.`{there}`" for here, there in zip(own, theirs, strict=True)
        )
        known = ", ".join(f"`{name}`" for name in theirs)
        whole = " AND ".join(f"one.`{name}` IS NOT NULL" for name in own)
        missed = f"CASE WHEN known.`{theirs[0]}` IS NULL THEN 1 ELSE 0 END"
        return self._tally(
            f"SELECT count(*), coalesce(sum({missed}), 0) FROM {table} AS one"
            f" LEFT JOIN (SELECT DISTINCT {known} FROM {other}) AS known ON {on} WHERE {whole}"
        )

    def _tally(self, query: str) -> Tally:
        ((evaluated, failed),) = self._spark.sql(query).collect()
        return Tally(evaluated=int(evaluated), failed=int(failed))

    def _distributed(
        self,
        suite: TableSuite,
        table: DataFrame,
        types: Mapping[str, ColumnType],
        rules: Sequence[BoundRule],
    ) -> dict[str, RuleResult]:
        """Each of the engine's tasks judges its share of the rows."""
        needed = sorted({name for rule in rules for name in rule.call.reads_columns})
        worker = _worker(
            suite, [rule.spec.key for rule in rules], types, str(self._codes_dir), self._as_of
        )
        counts = table.select(*needed).mapInArrow(worker, _COUNTS)
        totals = {rule.spec.key: Tally() for rule in rules}
        for key, evaluated, failed, undecided, error in (
            counts.groupBy("key")
            .agg({"evaluated": "sum", "failed": "sum", "undecided": "sum", "error": "max"})
            .select("key", "sum(evaluated)", "sum(failed)", "sum(undecided)", "max(error)")
            .collect()
        ):
            totals[key] = Tally(int(evaluated), int(failed), int(undecided), error)
        return {rule.spec.key: rule_result(rule.spec, totals[rule.spec.key]) for rule in rules}

    def _gathered(
        self, suite: TableSuite, table: DataFrame, rules: Sequence[BoundRule]
    ) -> dict[str, RuleResult]:
        """Rules over the whole of a table: its columns come here, if they are few enough."""
        needed = sorted({name for rule in rules for name in rule.call.reads_columns})
        if table.count() > WHOLE_ROWS:
            why = f"the rule looks over a whole table, which has more than {WHOLE_ROWS} rows"
            return {rule.spec.key: rule_result(rule.spec, Tally(error=why)) for rule in rules}
        frame = pl.from_arrow(table.select(*needed).toArrow())
        if not isinstance(frame, pl.DataFrame):
            raise TypeError("a table with columns is a frame")
        return {result.key: result for result in run(suite.table, list(rules), [frame])}

    def _has(self, table: str, columns: Sequence[str]) -> bool:
        return table in self._tables and set(columns) <= set(self._spark.table(table).columns)

    def _find(self, table: str, columns: tuple[str, ...]) -> pl.DataFrame | None:
        """The distinct values of another table's columns, for rules that compare with them."""
        if not self._has(table, columns):
            return None
        known = self._spark.table(table).select(*columns).distinct().limit(WHOLE_ROWS)
        frame = pl.from_arrow(known.toArrow())
        return frame if isinstance(frame, pl.DataFrame) else None


def _is_local(rule: BoundRule) -> bool:
    """Whether a row is judged by itself."""
    return rule.rule.form is Form.ROW and not looks_back(rule.rule)


def _worker(
    suite: TableSuite,
    keys: Sequence[str],
    types: Mapping[str, ColumnType],
    codes_dir: str,
    as_of: date,
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What one task of the engine runs; the suite travels there, no rows travel back."""
    wanted, kinds = frozenset(keys), dict(types)

    def judge(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from quality_checks.suites.distributed import count

        yield from count(suite, wanted, kinds, codes_dir, as_of, batches)

    return judge


def count(
    suite: TableSuite,
    keys: frozenset[str],
    types: Mapping[str, ColumnType],
    codes_dir: str,
    as_of: date,
    batches: Iterable[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    """Judge the batches of one task by some of a suite's rules; one record a rule."""
    import pyarrow as pa

    bound, _ = bind(suite, types, Path(codes_dir), as_of, None)
    session: Session | None = None
    for batch in batches:
        frame = pl.from_arrow(batch)
        if isinstance(frame, pl.DataFrame) and frame.height:
            if session is None:
                rules = [rule for key, rule in bound.items() if key in keys]
                session = Session(suite.table, dict.fromkeys(frame.columns), rules)
            session.check(frame)
    if session is not None:
        found: list[dict[str, Any]] = [
            {"key": key, **asdict(tally)} for key, tally in session.tallies.items()
        ]
        for row in found:
            del row["measured"]
        yield pa.RecordBatch.from_pylist(found, schema=_schema())


def _schema() -> pa.Schema:
    import pyarrow as pa

    kinds = {"string": pa.string(), "bigint": pa.int64()}
    pairs = (part.split() for part in _COUNTS.split(", "))
    return pa.schema([(name, kinds[kind]) for name, kind in pairs])


def _type(kind: str) -> ColumnType:
    if kind.startswith("decimal"):
        return ColumnType.NUMBER
    return _TYPES.get(kind, ColumnType.INTEGER if "int" in kind else ColumnType.STRING)
