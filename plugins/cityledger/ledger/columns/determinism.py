"""Finds in a model's SQL what can give another result on another run.

DuckDB adds up floats in the order in which its threads finish, and an aggregate that may choose
among ties chooses what came first. Both change published numbers without any change of data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from cityledger.ledger.columns.sql import DIALECT
from cityledger.records import Record

_CLOCKS = (
    *(exp.CurrentDate, exp.CurrentTime, exp.CurrentTimestamp, exp.CurrentDatetime),
    *(exp.Localtime, exp.Localtimestamp),
)
_CLOCK_NAMES = {
    "now",
    "today",
    "get_current_timestamp",
    "get_current_time",
    "transaction_timestamp",
}
_RANDOM = (exp.Rand, exp.Randn, exp.Uuid)
_RANDOM_NAMES = {"random", "setseed", "gen_random_uuid", "uuidv4", "uuidv7", "nextval"}
_CHOOSING = (
    *(exp.First, exp.Last, exp.AnyValue, exp.ArgMax, exp.ArgMin, exp.Mode),
    *(exp.GroupConcat, exp.ArrayAgg),
)
_RANKING = (exp.RowNumber, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.NthValue)
_ADDING = (exp.Sum, exp.Avg, exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance)
_FLOATS = {exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT}
_ROW_ID = "_row_id"


class Doubt(Record):
    """Something in a model that may differ from run to run.

    Attributes:
        kind: ``clock``, ``random``, ``float_sum``, ``unordered``, ``ties``, ``unreadable``;
            ``engine`` for what engines do differently.
        sql: The place.
    """

    model: str
    kind: str
    sql: str


def doubts(model: str, sql: str, *, schema: Mapping[str, object]) -> list[Doubt]:
    """What is not reproducible in a model's SQL.

    Args:
        model: Its name.
        sql: Compiled.
        schema: Types of the columns that it reads, nested as sqlglot wants it; without a column's
            type its sums pass.
    """
    try:
        query = sqlglot.parse_one(sql, dialect=DIALECT)
        query = qualify(query, schema=dict(schema), dialect=DIALECT, validate_qualify_columns=False)
        query = annotate_types(query, schema=dict(schema), dialect=DIALECT)
    except SqlglotError as error:
        return [Doubt(model=model, kind="unreadable", sql=str(error).splitlines()[0])]
    return [
        Doubt(model=model, kind=kind, sql=node.sql(dialect=DIALECT)[:200])
        for node in query.walk()
        for kind in _kinds(node)
    ]


def project_doubts(target_dir: Path) -> list[Doubt]:
    """What is not reproducible in the models of a dbt project.

    Args:
        target_dir: dbt's target folder after ``compile`` or a build.
    """
    manifest = json.loads((target_dir / "manifest.json").read_text("utf-8"))
    nodes = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for node in nodes:
        types = {name: one.get("data_type") for name, one in node["columns"].items()}
        known = {name: kind or "UNKNOWN" for name, kind in types.items()}
        schema.setdefault(node["schema"], {})[node["alias"]] = known
    return [
        doubt
        for node in sorted(nodes, key=lambda one: str(one["name"]))
        for doubt in doubts(
            node["name"],
            node.get("compiled_code") or "",
            schema={"lake": schema},
        )
    ]


def _kinds(node: exp.Expr) -> Iterator[str]:
    name = node.name.lower() if isinstance(node, exp.Anonymous) else ""
    if isinstance(node, _CLOCKS) or name in _CLOCK_NAMES:
        yield "clock"
    if isinstance(node, _RANDOM) or name in _RANDOM_NAMES:
        yield "random"
    if isinstance(node, _ADDING) and node.this is not None and _is_float(node.this):
        yield "float_sum"
    if isinstance(node, exp.Select) and node.args.get("limit") and not node.args.get("order"):
        yield "unordered"
    if isinstance(node, _CHOOSING) and not _ordered(node):
        yield "unordered"
    if isinstance(node, exp.Window) and isinstance(node.this, _RANKING):
        yield from _window(node)


def _is_float(node: exp.Expr) -> bool:
    kind = node.type.this if node.type is not None else None
    return kind in _FLOATS or (isinstance(node, exp.Cast) and node.to.this in _FLOATS)


def _ordered(node: exp.Expr) -> bool:
    """Whether what is chosen or listed has an order; over a window the window's counts."""
    around = (exp.Window, exp.WithinGroup, exp.Order)
    return isinstance(node.this, exp.Order) or isinstance(node.parent, around)


def _window(node: exp.Window) -> Iterator[str]:
    order = node.args.get("order")
    if order is None:
        yield "unordered"
        return
    parts = [*order.expressions, *(node.args.get("partition_by") or [])]
    names = {column.name for part in parts for column in part.find_all(exp.Column)}
    if _ROW_ID not in names:
        yield "ties"
