"""``type: sql`` checks: a query over the whole delivery, in a database that can do nothing else.

The batches go into a DuckDB file of their own, only the columns that the query reads. That database
opens no file and no connection, its settings are locked, and time and memory are limited; what does
not fit into memory goes to its own folder, which vanishes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from typing import TYPE_CHECKING, Any

import polars as pl
from cityledger.contracts.model import ColumnType
from cityledger.contracts.query import TABLE, Query, QueryRefusedError, read_query
from cityledger.contracts.rules import OPERATORS

from quality_checks.rules.base import Call, CannotCheckError, Example, total_rule

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SECONDS = 60.0
"""How long one query may run."""
MEMORY = "1GB"
"""How much memory one query may take before it writes to disk."""
DISK = "8GB"
"""How much it may write there."""

_SQL_TYPES: Mapping[ColumnType, str] = {
    ColumnType.STRING: "VARCHAR",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.NUMBER: "DOUBLE",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.DATE: "DATE",
    ColumnType.TIMESTAMP: "TIMESTAMP",
    ColumnType.TIME: "TIME",
}
_HOLDS: Mapping[str, Callable[[Any, Sequence[Any]], bool]] = {
    "mustBe": lambda value, given: bool(value == given[0]),
    "mustNotBe": lambda value, given: bool(value != given[0]),
    "mustBeGreaterThan": lambda value, given: bool(value > given[0]),
    "mustBeGreaterOrEqualTo": lambda value, given: bool(value >= given[0]),
    "mustBeLessThan": lambda value, given: bool(value < given[0]),
    "mustBeLessOrEqualTo": lambda value, given: bool(value <= given[0]),
    "mustBeBetween": lambda value, given: bool(given[0] <= value <= given[1]),
    "mustNotBeBetween": lambda value, given: not given[0] <= value <= given[1],
}


class _Sandbox:
    """A DuckDB database that holds one table and can reach nothing else."""

    def __init__(self) -> None:
        import duckdb

        self._folder = TemporaryDirectory(prefix="cityledger-sql-", ignore_cleanup_errors=True)
        self._connection: DuckDBPyConnection = duckdb.connect(
            str(Path(self._folder.name) / "delivery.duckdb"),
            config={
                "memory_limit": MEMORY,
                "threads": 2,
                "max_temp_directory_size": DISK,
                "temp_directory": str(Path(self._folder.name) / "spill"),
                "autoload_known_extensions": False,
                "autoinstall_known_extensions": False,
            },
        )
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")
        self._filled = False

    def create(self, types: Mapping[str, str]) -> None:
        """Make an empty table, to see whether a query fits it."""
        columns = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
        self._connection.execute(f"CREATE TABLE {TABLE} ({columns})")

    def add(self, batch: pl.DataFrame) -> None:
        """Append rows; the first batch settles the types."""
        self._connection.register("batch", batch.to_arrow())
        start = f"INSERT INTO {TABLE}" if self._filled else f"CREATE TABLE {TABLE} AS"
        self._connection.execute(f"{start} SELECT * FROM batch")
        self._connection.unregister("batch")
        self._filled = True

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The first two rows of the answer."""
        with _interrupted(self._connection):
            return self._connection.execute(sql).fetchmany(2)

    def close(self) -> None:
        """Remove everything."""
        self._connection.close()
        self._folder.cleanup()


@contextmanager
def _interrupted(connection: DuckDBPyConnection) -> Iterator[None]:
    timer = Timer(SECONDS, connection.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class _Sql:
    def __init__(self, query: Query, columns: Sequence[str], judge: Callable[[Any], bool]) -> None:
        self._query, self._columns, self._judge = query, list(columns), judge
        self._sandbox: _Sandbox | None = None
        self.show = False
        self.measured: float | None = None

    def add(self, batch: pl.DataFrame) -> None:
        if self._sandbox is None:
            self._sandbox = _Sandbox()
        self._sandbox.add(batch.select(self._columns))

    def table(self, control_totals: Any) -> tuple[pl.DataFrame, pl.Expr]:  # noqa: ARG002
        if self._sandbox is None:
            raise CannotCheckError("there was nothing to ask about")
        try:
            value = _single(_answer(self._sandbox, self._query.sql))
        finally:
            self._sandbox.close()
        if self.show and isinstance(value, int | float) and not isinstance(value, bool):
            self.measured = float(value)
        return pl.DataFrame({"good": [self._judge(value)]}), pl.col("good")


def _answer(sandbox: _Sandbox, sql: str) -> list[tuple[Any, ...]]:
    """The answer; what DuckDB says about a failure may hold values, so only its kind is told."""
    import duckdb

    try:
        return sandbox.ask(sql)
    except duckdb.InterruptException:
        raise CannotCheckError(f"the query took longer than {SECONDS:g} s") from None
    except duckdb.OutOfMemoryException:
        raise CannotCheckError(f"the query needs more than {MEMORY} of memory") from None
    except duckdb.Error as error:
        raise CannotCheckError(f"the query failed: {type(error).__name__}") from None


def _single(rows: Sequence[tuple[Any, ...]]) -> Any:
    if len(rows) != 1 or len(rows[0]) != 1:
        raise CannotCheckError("the query does not return exactly one value")
    value = rows[0][0]
    if value is None:
        raise CannotCheckError("the query returned NULL")
    return value


def _condition(call: Call) -> Callable[[Any], bool]:
    operator, given = str(call.get("operator")), call.get("values")
    if operator not in _HOLDS:
        raise call.refuse(f"no operator is called '{operator}'", f"use {', '.join(OPERATORS)}")
    wanted = 2 if operator.endswith("Between") else 1
    if not isinstance(given, list | tuple) or len(given) != wanted:
        raise call.refuse(f"{operator} needs {wanted} values", "write them as a list")

    def judge(value: Any) -> bool:
        try:
            return _HOLDS[operator](value, given)
        except TypeError:
            raise CannotCheckError("the query's value can't be compared with the bound") from None

    return judge


def _check_fits(call: Call, query: Query, columns: Sequence[str]) -> None:
    """Run the query over no rows: a misspelt column shows at compile time."""
    import duckdb

    sandbox = _Sandbox()
    try:
        sandbox.create({name: _SQL_TYPES[call.types[name]] for name in columns})
        sandbox.ask(query.sql)
    except duckdb.BinderException:
        raise call.refuse("the query does not fit the columns", "check names and types") from None
    except duckdb.Error:
        pass  # what only fails without rows is judged with rows
    finally:
        sandbox.close()


@total_rule(
    gb_code="0104",
    source="ODCS type sql; GB/T 36344 0104 业务规则",
    required=("query", "operator", "values"),
    least_columns=0,
    example=Example(
        good={"a": [1, 2]},
        bad={"a": [1, 1]},
        arguments={
            "query": "SELECT count(*) - count(DISTINCT a) FROM ${object}",
            "operator": "mustBe",
            "values": [0],
        },
        columns=(),
    ),
)
def sql(call: Call) -> _Sql:
    """The one value that ``query`` returns fulfils the condition (``operator``, ``values``).

    One SELECT over ``${object}``, read-only, without clock and chance. NULL, no row and several
    values are ``error``. All delivered rows are asked, quarantined ones included.
    """
    try:
        column = call.spec.columns[0] if call.spec.columns else None
        query = read_query(str(call.get("query")), tuple(call.types), column)
    except QueryRefusedError as error:
        raise call.refuse(str(error), "see docs/contracts.md, type: sql") from None
    columns = query.columns or tuple(call.types)[:1]
    judge = _condition(call)
    _check_fits(call, query, columns)
    rule = _Sql(query, columns, judge)
    rule.show = not call.private.intersection(columns)
    return rule
