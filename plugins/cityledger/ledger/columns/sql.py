"""Column lineage of one query, by sqlglot: through CTEs, stars, joins, windows and unions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from cityledger.errors import BadInputError
from cityledger.ledger.columns.model import (
    AGGREGATION,
    CONDITIONAL,
    FILTER,
    GROUP_BY,
    HASH,
    IDENTITY,
    JOIN,
    SORT,
    TRANSFORMATION,
    WINDOW,
    How,
    compose,
)

DIALECT = "duckdb"
Leaf = tuple[str, str]  # table as written in the query, column
Found = dict[Leaf, set[How]]
Schema = Mapping[str, object]

_HASHES = (exp.SHA2, exp.MD5, exp.MD5Digest, exp.SHA)


class QueryColumns:
    """The columns of a query and what they come from.

    Args:
        query: A parsed query; it is qualified in place.
        schema: Columns of the tables that it reads, nested as sqlglot wants it.

    Raises:
        BadInputError: a name in the query cannot be resolved.
    """

    def __init__(self, query: exp.Expr, schema: Schema) -> None:
        try:
            qualified = qualify(
                query,
                schema=dict(schema),
                dialect=DIALECT,
                quote_identifiers=False,
                validate_qualify_columns=True,
            )
        except SqlglotError as error:
            raise _unresolved(error) from error
        self._scopes = {id(scope.expression): scope for scope in traverse_scope(qualified)}
        self._root = self._scopes[id(qualified)]
        self._memo: dict[tuple[int, str], Found] = {}

    @property
    def names(self) -> list[str]:
        """The query's columns in order."""
        return _names(self._root.expression)

    def column(self, name: str) -> Found:
        """Source columns of a column, with how they count."""
        return self._column(self._root, name)

    def reason(self, name: str) -> str:
        """Why a column has no source column."""
        return _reason([*self._expressions(self._root, name)])

    def rows(self) -> Found:
        """Source columns that decide which rows there are."""
        found: Found = {}
        for scope in self._scopes.values():
            for how, part in _deciding(scope):
                self._walk(scope, part, how, found)
        return found

    def _column(self, scope: Scope, name: str) -> Found:
        key = (id(scope.expression), name)
        if key not in self._memo:
            self._memo[key] = {}  # a recursive CTE meets itself: nothing new comes from there
            self._memo[key] = self._fresh(scope, name)
        return self._memo[key]

    def _fresh(self, scope: Scope, name: str) -> Found:
        found: Found = {}
        for branch, column in _branches(scope, name):
            projection = _projection(branch.expression, column)
            self._walk(branch, projection, IDENTITY, found)
        return found

    def _expressions(self, scope: Scope, name: str) -> Iterator[exp.Expr]:
        """The expressions at the bottom of a column."""
        for branch, column in _branches(scope, name):
            projection = _projection(branch.expression, column)
            inner = projection.unalias()
            source = branch.sources.get(inner.table) if isinstance(inner, exp.Column) else None
            if isinstance(source, Scope) and source is not branch:
                yield from self._expressions(source, inner.name)
            else:
                yield from self._inlined(branch, inner)

    def _inlined(self, scope: Scope, expression: exp.Expr) -> Iterator[exp.Expr]:
        yield expression
        for column in expression.find_all(exp.Column):
            source = scope.sources.get(column.table)
            if isinstance(source, Scope):
                yield from self._expressions(source, column.name)

    def _walk(self, scope: Scope, node: exp.Expr, how: How, found: Found) -> None:
        if isinstance(node, exp.Column):
            self._leaf(scope, node, how, found)
            return
        if isinstance(node, exp.Query):
            self._subquery(node, how, found)
            return
        for child, step in _children(node):
            self._walk(scope, child, compose(how, step), found)

    def _leaf(self, scope: Scope, column: exp.Column, how: How, found: Found) -> None:
        source = scope.sources.get(column.table)
        if isinstance(source, Scope):
            for leaf, steps in self._column(source, column.name).items():
                found.setdefault(leaf, set()).update(compose(how, step) for step in steps)
        elif isinstance(source, exp.Table) and source.name:
            leaf = (_table_name(source), column.name)
            found.setdefault(leaf, set()).add(how)
        elif scope.parent is not None and column.table in scope.parent.sources:
            self._leaf(scope.parent, column, how, found)  # a correlated subquery

    def _subquery(self, query: exp.Query, how: How, found: Found) -> None:
        inner = query.unnest() if isinstance(query, exp.Subquery) else query
        scope = self._scopes.get(id(inner))
        if scope is None:
            return
        for name in _names(inner):
            for leaf, steps in self._column(scope, name).items():
                found.setdefault(leaf, set()).update(compose(how, step) for step in steps)


def _branches(scope: Scope, name: str) -> Iterator[tuple[Scope, str]]:
    """The SELECTs that a column comes from: each side of a union gives its own."""
    if not isinstance(scope.expression, exp.SetOperation):
        yield scope, name
        return
    names = _names(scope.expression)
    by_name = bool(scope.expression.args.get("by_name"))
    for side in scope.set_operation_scopes:
        theirs = _names(side.expression)
        wanted = name if by_name else theirs[names.index(name)]
        if wanted in theirs:
            yield from _branches(side, wanted)


def _projection(select: exp.Expr, name: str) -> exp.Expr:
    for projection in _selects(select):
        if projection.alias_or_name == name:
            return projection
    raise BadInputError(
        f"column '{name}' is not among those of the query", code="column_unresolved"
    )


def _selects(query: exp.Expr) -> list[exp.Expr]:
    return list(query.selects) if isinstance(query, exp.Query) else []


def _names(query: exp.Expr) -> list[str]:
    return list(query.named_selects) if isinstance(query, exp.Query) else []


def _children(node: exp.Expr) -> Iterator[tuple[exp.Expr, How]]:
    """The parts of an expression, each with how it counts for the whole."""
    special = next((rule for kind, rule in _RULES if isinstance(node, kind)), None)
    if special is not None:
        yield from special(node)
        return
    step = IDENTITY if isinstance(node, exp.Alias | exp.Paren) else TRANSFORMATION
    yield from ((child, step) for child in node.iter_expressions())


def _case(node: exp.Expr) -> Iterator[tuple[exp.Expr, How]]:
    if node.this is not None:
        yield node.this, CONDITIONAL
    for branch in node.args.get("ifs") or []:
        yield branch.this, CONDITIONAL
        yield branch.args["true"], TRANSFORMATION
    if node.args.get("default") is not None:
        yield node.args["default"], TRANSFORMATION


def _if(node: exp.Expr) -> Iterator[tuple[exp.Expr, How]]:
    yield node.this, CONDITIONAL
    for name in ("true", "false"):
        if node.args.get(name) is not None:
            yield node.args[name], TRANSFORMATION


def _window(node: exp.Expr) -> Iterator[tuple[exp.Expr, How]]:
    yield node.this, TRANSFORMATION
    for part in node.args.get("partition_by") or []:
        yield part, WINDOW
    for name in ("order", "spec"):
        if node.args.get(name) is not None:
            yield node.args[name], WINDOW


def _filtered(node: exp.Expr) -> Iterator[tuple[exp.Expr, How]]:
    yield node.this, TRANSFORMATION
    yield node.expression, CONDITIONAL


def _aggregate(node: exp.Expr) -> Iterator[tuple[exp.Expr, How]]:
    yield from ((child, AGGREGATION) for child in node.iter_expressions())


def _order(node: exp.Expr) -> Iterator[tuple[exp.Expr, How]]:
    if node.this is not None:  # what an aggregate such as string_agg orders
        yield node.this, IDENTITY
    yield from ((part, SORT) for part in node.expressions)


def _hash(node: exp.Expr) -> Iterator[tuple[exp.Expr, How]]:
    yield from ((child, HASH) for child in node.iter_expressions())


def _exists(node: exp.Expr) -> Iterator[tuple[exp.Expr, How]]:
    yield node.this, CONDITIONAL


_Kinds = type[exp.Expr] | tuple[type[exp.Expr], ...]
_Rule = Callable[[exp.Expr], Iterator[tuple[exp.Expr, How]]]
_RULES: tuple[tuple[_Kinds, _Rule], ...] = (
    (exp.Case, _case),
    (exp.If, _if),
    (exp.Window, _window),
    (exp.Filter, _filtered),
    (exp.AggFunc, _aggregate),
    (exp.Order, _order),
    (_HASHES, _hash),
    (exp.Exists, _exists),
)


def _deciding(scope: Scope) -> Iterator[tuple[How, exp.Expr]]:
    """The parts of a query that decide which rows it has."""
    query = scope.expression
    for join in query.args.get("joins") or []:
        if join.args.get("on") is not None:
            yield JOIN, join.args["on"]
        for column in join.args.get("using") or []:
            yield JOIN, column
    for name, how in (("where", FILTER), ("having", FILTER), ("qualify", FILTER), ("order", SORT)):
        if query.args.get(name) is not None:
            yield how, query.args[name]
    for part in query.args["group"].expressions if query.args.get("group") else []:
        yield GROUP_BY, part
    if query.args.get("distinct") and not isinstance(query, exp.SetOperation):
        yield from ((GROUP_BY, projection) for projection in _selects(query))


def _reason(expressions: Sequence[exp.Expr]) -> str:
    if any(one.find(exp.Count) for one in expressions):
        return "count of rows"
    generated = (exp.Anonymous, exp.Unnest, exp.GenerateSeries, exp.Explode, exp.RowNumber)
    if any(one.find(*generated) for one in expressions):
        return "generated"
    return "constant"


def _table_name(table: exp.Table) -> str:
    return ".".join(part.name for part in table.parts)


def _unresolved(error: Exception) -> BadInputError:
    return BadInputError(
        f"the columns of the query cannot be resolved: {str(error).splitlines()[0]}",
        fix="qualify the column, or add its table to the project",
        code="column_unresolved",
    )
