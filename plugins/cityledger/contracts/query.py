"""SQL checks of contracts (``type: sql``): one SELECT over the dataset, and nothing else.

The query is parsed, and everything that is not known to be harmless is refused: other tables, table
functions, files, settings, the clock and chance (a verdict must come out the same tomorrow). It
also runs in a database that can reach neither files nor the network (``quality_checks.rules.sql``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

TABLE = "delivery"
"""What ``${object}`` and ``${table}`` stand for."""

_TABLE_MARKS = ("${object}", "${table}", "{object}", "{table}")
_COLUMN_MARKS = ("${property}", "${column}", "{property}", "{column}")
_FUNCTIONS = frozenset(
    (
        *(
            "Abs",
            "AnyValue",
            "And",
            "ApproxDistinct",
            "ApproxQuantile",
            "ArgMax",
            "ArgMin",
        ),
        *(
            "Avg",
            "Between",
            "Case",
            "Cast",
            "Ceil",
            "Coalesce",
            "Concat",
            "ConcatWs",
            "Contains",
        ),
        *(
            "Corr",
            "Count",
            "CountIf",
            "CovarPop",
            "CovarSamp",
            "CumeDist",
            "Date",
            "DateAdd",
        ),
        *(
            "DateDiff",
            "DateFromParts",
            "DateSub",
            "DateTrunc",
            "Day",
            "DayOfMonth",
        ),
        *(
            "DayOfWeek",
            "DayOfWeekIso",
            "DayOfYear",
            "DenseRank",
            "EndsWith",
            "Exists",
        ),
        *(
            "Exp",
            "Extract",
            "First",
            "FirstValue",
            "Floor",
            "Greatest",
            "GroupConcat",
            "Hour",
        ),
        *(
            "If",
            "Initcap",
            "IsInf",
            "IsNan",
            "Kurtosis",
            "Lag",
            "Last",
            "LastDay",
            "LastValue",
        ),
        *(
            "Lead",
            "Least",
            "Left",
            "Length",
            "Ln",
            "Log",
            "LogicalAnd",
        ),
        *(
            "LogicalOr",
            "Lower",
            "Max",
            "Median",
            "Min",
            "Minute",
            "Mode",
            "Month",
            "NthValue",
        ),
        *(
            "Ntile",
            "Nullif",
            "Or",
            "Pad",
            "PercentRank",
            "PercentileCont",
        ),
        *(
            "PercentileDisc",
            "Pow",
            "Quantile",
            "Quarter",
            "Rank",
            "RegexpExtract",
        ),
        *(
            "RegexpFullMatch",
            "RegexpILike",
            "RegexpLike",
            "RegexpReplace",
            "Replace",
        ),
        *(
            "Reverse",
            "Right",
            "Round",
            "RowNumber",
            "SafeDivide",
            "Second",
            "Sign",
        ),
        *(
            "Skewness",
            "SplitPart",
            "Sqrt",
            "StartsWith",
            "Stddev",
            "StddevPop",
        ),
        *(
            "StddevSamp",
            "StrPosition",
            "StrToDate",
            "StrToTime",
            "Substring",
            "Sum",
        ),
        *(
            "TimeToStr",
            "Timestamp",
            "TimestampAdd",
            "TimestampDiff",
            "TimestampSub",
        ),
        *(
            "TimestampTrunc",
            "Trim",
            "Trunc",
            "TryCast",
            "TsOrDsAdd",
            "TsOrDsDiff",
        ),
        *(
            "TsOrDsToDate",
            "TsOrDsToTimestamp",
            "Unicode",
            "Upper",
            "Variance",
        ),
        *(
            "VariancePop",
            "Week",
            "WeekOfYear",
            "Xor",
            "Year",
            "YearOfWeekIso",
        ),
    )
)
_OTHER_FUNCTIONS = frozenset({"fsum", "isfinite", "len", "strlen"})
"""Harmless ones that the parser knows by name only. Not among them: ``levenshtein``, whose time is
the square of its texts' lengths and which nothing interrupts."""
_CATALOGUE = ("duckdb_", "pg_", "pragma_", "sqlite_")
"""How views begin that every database has: a name of WITH is not valid everywhere."""
_MOST_PADDING = 1000
"""Characters; a single text of some GB escapes the limits of memory and time."""


class QueryRefusedError(ValueError):
    """The query is not one that a contract may ask; says why."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query that may run.

    Attributes:
        sql: DuckDB SQL over the table :data:`TABLE`.
        columns: Columns of the dataset that it reads, in the dataset's order.
    """

    sql: str
    columns: tuple[str, ...]


def read_query(text: str, columns: tuple[str, ...], column: str | None = None) -> Query:
    """Check a query.

    Args:
        text: As the contract has it, with ``${object}`` for the dataset.
        columns: Columns of the dataset.
        column: What ``${property}`` stands for.

    Raises:
        QueryRefusedError: it is not exactly one SELECT that only reads the dataset.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    sql = _filled_in(text, column)
    try:
        statements = [found for found in sqlglot.parse(sql, read="duckdb") if found is not None]
    except (SqlglotError, RecursionError):
        raise QueryRefusedError("the query is no SQL that DuckDB reads") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Select):
        raise QueryRefusedError("a check is exactly one SELECT")
    for reason in _objections(statements[0]):
        raise QueryRefusedError(reason)
    return Query(statements[0].sql(dialect="duckdb"), _columns_read(statements[0], columns))


def _filled_in(text: str, column: str | None) -> str:
    if not any(mark in text for mark in _TABLE_MARKS):
        raise QueryRefusedError("the query does not name the dataset: write FROM ${object}")
    for mark in _TABLE_MARKS:
        text = text.replace(mark, TABLE)
    for mark in _COLUMN_MARKS:
        if mark in text and column is None:
            raise QueryRefusedError(f"{mark} has no meaning outside a column's 'quality'")
        text = text.replace(mark, f'"{column}"')
    return text


def _objections(select: object) -> Iterator[str]:
    from sqlglot import exp

    assert isinstance(select, exp.Select)  # noqa: S101 - for the type checker
    named = {cte.alias_or_name.lower() for cte in select.find_all(exp.CTE)}
    if any(name.startswith(_CATALOGUE) for name in named):
        yield "a name of WITH may not be one of the database's own"
    if any(clause.args.get("recursive") for clause in select.find_all(exp.With)):
        yield "a check may not be recursive: it might not end"
    if not all(map(_is_short, select.find_all(exp.Pad))):
        yield f"a text is padded to a written number of at most {_MOST_PADDING} characters"
    for table in select.find_all(exp.Table):
        yield from _table_objections(table, named)
    for function in select.find_all(exp.Func):
        yield from _function_objections(function)
    forbidden = (exp.Into, exp.Lock, exp.Parameter, exp.Placeholder, exp.Command, exp.TableSample)
    for node in select.find_all(*forbidden):
        yield f"{node.key.upper()} has no place in a check"


def _is_short(pad: object) -> bool:
    from sqlglot import exp

    assert isinstance(pad, exp.Pad)  # noqa: S101 - for the type checker
    length = pad.expression
    written = isinstance(length, exp.Literal) and str(length.this).isdecimal()
    return written and int(str(length.this)) <= _MOST_PADDING


def _table_objections(table: object, named: set[str]) -> Iterator[str]:
    from sqlglot import exp

    assert isinstance(table, exp.Table)  # noqa: S101 - for the type checker
    if not isinstance(table.this, exp.Identifier):
        yield "a check reads the dataset only, no table function and no file"
    elif table.args.get("db") or table.args.get("when"):
        yield "a check reads the dataset only: write FROM ${object}"
    elif table.name.lower() not in {TABLE, *named}:
        yield f"'{table.name}' is not the dataset: write FROM ${{object}}"


def _function_objections(function: object) -> Iterator[str]:
    from sqlglot import exp

    if isinstance(function, exp.Anonymous):
        known, name = function.name.lower() in _OTHER_FUNCTIONS, function.name
    else:
        known, name = type(function).__name__ in _FUNCTIONS, getattr(function, "key", "?")
    if not known:
        yield f"function '{name}' is not allowed in a check"


def _columns_read(select: object, columns: tuple[str, ...]) -> tuple[str, ...]:
    from sqlglot import exp

    assert isinstance(select, exp.Select)  # noqa: S101 - for the type checker
    stars = [star for star in select.find_all(exp.Star) if not isinstance(star.parent, exp.Count)]
    if stars:
        return columns
    named = {identifier.name.lower() for identifier in select.find_all(exp.Identifier)}
    return tuple(name for name in columns if name.lower() in named)
