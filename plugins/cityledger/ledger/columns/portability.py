"""Finds in a model's SQL what DuckDB, Sail and Apache Spark do not do alike.

Functions are those that were seen to give equal results on all three; any other name is a doubt,
because an engine that has the name may still mean something else by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import Token, TokenType, exp
from sqlglot.errors import SqlglotError

from cityledger.ledger.columns.determinism import Doubt
from cityledger.ledger.columns.sql import DIALECT

FUNCTIONS = frozenset(
    {
        *("abs", "coalesce", "nullif", "greatest", "least", "concat_ws"),
        *("count", "sum", "min", "max", "max_by", "min_by", "percentile_cont"),
        *("row_number", "rank", "dense_rank", "lag", "lead", "first_value", "last_value"),
        *("cast", "try_cast", "extract", "date_trunc", "date", "decimal", "exists"),
        *("substring", "upper", "lower", "trim", "length", "replace", "sha2"),
    }
)
"""Functions (and what is written like one) that give equal results on all engines."""

# What follows one of these is no function's parenthesis.
_OTHER_PARENTHESES = frozenset(
    {
        *("in", "and", "or", "not", "on", "as", "over", "when", "then", "else", "where", "having"),
        *("by", "from", "join", "values", "filter", "within", "using", "union", "all", "select"),
        *("between", "case", "distinct", "is", "like", "ilike", "any", "with", "group"),
    }
)
_TOKENS: Mapping[TokenType, str] = {
    TokenType.DCOLON: "a cast by colons: write cast(… as …)",
    TokenType.DIV: "whole-number division: use divide_floor",
    TokenType.ARROW: "an arrow",
    TokenType.DARROW: "an arrow",
    TokenType.QUALIFY: "QUALIFY: filter a subquery",
    TokenType.PIVOT: "PIVOT",
    TokenType.UNPIVOT: "UNPIVOT: write a union",
    TokenType.ASOF: "an ASOF join",
    TokenType.L_BRACKET: "a list",
    TokenType.L_BRACE: "a struct",
    TokenType.FLOAT: "a 32-bit float",
    TokenType.INT128: "hugeint: use wide_integer",
    TokenType.GLOB: "GLOB",
}
_AFTER_ORDER = frozenset(
    {TokenType.ROWS, TokenType.RANGE, TokenType.LIMIT, TokenType.UNION, TokenType.SEMICOLON}
)


def portability_doubts(model: str, sql: str) -> list[Doubt]:
    """What engines may do differently in a statement, in the order of its text.

    Args:
        model: Its name, for the report.
        sql: Compiled for DuckDB, or written in a test.
    """
    try:
        tokens = sqlglot.tokenize(sql, dialect=DIALECT)
        query = sqlglot.parse_one(sql, dialect=DIALECT)
    except SqlglotError as error:
        return [Doubt(model=model, kind="unreadable", sql=str(error).splitlines()[0])]
    found = [*_token_doubts(tokens, _named(query)), *_tree_doubts(query)]
    return [Doubt(model=model, kind="engine", sql=what) for what in dict.fromkeys(found)]


def project_portability_doubts(target_dir: Path, inputs: Path) -> list[Doubt]:
    """The same for the models, tests and unit tests of a project.

    Args:
        target_dir: dbt's target folder after ``compile``.
        inputs: Folder of the input files; only macro ``input_table`` reads there, and it has an
            implementation for each engine.
    """
    manifest = json.loads((target_dir / "manifest.json").read_text("utf-8"))
    reads = re.compile(rf"read_parquet\('{re.escape(str(inputs))}/(\w+)\.parquet'\)")
    return [
        doubt
        for name, sql in sorted(_statements(manifest))
        for doubt in portability_doubts(name, reads.sub(r"\1", sql))
    ]


def _statements(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for node in manifest["nodes"].values():
        if node["resource_type"] in {"model", "test"} and node.get("compiled_code"):
            yield node["name"], node["compiled_code"]
    for test in manifest.get("unit_tests", {}).values():
        for fixture in [*test["given"], test["expect"]]:
            if isinstance(fixture["rows"], str) and fixture["format"] == "sql":
                yield test["name"], fixture["rows"]


def _token_doubts(tokens: Sequence[Token], named: frozenset[str]) -> Iterator[str]:
    for number, token in enumerate(tokens):
        following = tokens[number + 1] if number + 1 < len(tokens) else None
        if what := _TOKENS.get(token.token_type):
            yield what
        if token.token_type is TokenType.ORDER_BY and not _says_where_nulls_go(tokens, number):
            yield "ORDER BY without NULLS FIRST or LAST"
        if token.token_type is TokenType.TEXT and token.text.lower() != "string":
            yield f"{token.text.lower()}: write string"
        if following is not None:
            yield from _pair(token, following, named)


def _pair(token: Token, following: Token, named: frozenset[str]) -> Iterator[str]:
    kind, after = token.token_type, following.token_type
    if kind is TokenType.GROUP_BY and after is TokenType.ALL:
        yield "GROUP BY ALL"
    if kind is TokenType.STAR and following.text.lower() in {"exclude", "except", "replace"}:
        yield "columns left out of or replaced in a star"
    if kind is TokenType.ALL and following.text.lower() == "by":
        yield "a union by name"
    if after is TokenType.L_PAREN and token.text.isidentifier():
        name = token.text.lower()
        if name not in FUNCTIONS | _OTHER_PARENTHESES | named:
            yield f"{name}(): not known to be the same everywhere"


def _says_where_nulls_go(tokens: Sequence[Token], start: int) -> bool:
    """Whether every part of the ORDER BY at a position says so."""
    depth, said = 0, False
    for token in tokens[start + 1 :]:
        kind = token.token_type
        depth += (kind is TokenType.L_PAREN) - (kind is TokenType.R_PAREN)
        if depth < 0 or (depth == 0 and kind in _AFTER_ORDER):
            return said
        if depth == 0 and kind is TokenType.COMMA:
            if not said:
                return False
            said = False
        said = said or token.text.lower() == "nulls"
    return said


def _named(query: exp.Expr) -> frozenset[str]:
    """Names of CTEs and tables that list their columns in parentheses."""
    aliases = query.find_all(exp.TableAlias)
    return frozenset(alias.name.lower() for alias in aliases if alias.columns)


def _tree_doubts(query: exp.Expr) -> Iterator[str]:
    for node in query.walk():
        if isinstance(node, exp.With) and node.recursive:
            yield "a recursive CTE"
        quoted = isinstance(node, exp.Identifier) and node.quoted
        if quoted and not isinstance(node.parent, exp.Table):
            yield "double quotes, which make a text on Spark"
        if isinstance(node, exp.Select):
            yield from _lateral(node)


def _lateral(select: exp.Select) -> Iterator[str]:
    """An alias that is used in the same list; sources' columns are qualified or not so named."""
    defined: set[str] = set()
    for projection in select.selects:
        inner = projection.unalias()
        used = {c.name for c in inner.find_all(exp.Column) if not c.table}
        if not isinstance(inner, exp.Column) and used & defined:
            yield "an alias of the same SELECT"
        if isinstance(projection, exp.Alias) and projection.alias not in used:
            defined.add(projection.alias)
