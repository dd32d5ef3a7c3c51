"""Column lineage of a dbt project, from the manifest of its last build."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import sqlglot
from pyarrow import parquet
from sqlglot import exp
from sqlglot.errors import SqlglotError

from cityledger.errors import BadInputError
from cityledger.ledger.columns.cache import LineageCache, cache_key
from cityledger.ledger.columns.model import (
    IDENTITY,
    ColumnLineage,
    How,
    Origin,
    Source,
    SourceKind,
    TableLineage,
    compose,
)
from cityledger.ledger.columns.sql import DIALECT, Found, QueryColumns

Columns = Sequence[str]
Node = Mapping[str, Any]

_READS = re.compile(r"read_parquet\('([^']+)'\)")
_FILES = "files"  # catalogue that stands for what is no table of the lake


def column_lineage(
    target_dir: Path, project_dir: Path, *, cache: Path | None = None
) -> list[TableLineage]:
    """Where each column of each table of the last build comes from, in build order.

    Args:
        target_dir: dbt's target folder, after a build.
        project_dir: The dbt project, for the seeds' columns.
        cache: File that remembers the lineage of models that have not changed.

    Returns:
        One record a table. A model that cannot be traced says so (``problem``) and does not keep
        the others from being traced.
    """
    manifest = json.loads((target_dir / "manifest.json").read_text("utf-8"))
    nodes = {
        key: node
        for key, node in manifest["nodes"].items()
        if node["resource_type"] in {"model", "seed"} and node["config"]["enabled"]
    }
    parents = {
        key: [one for one in node.get("depends_on", {}).get("nodes", []) if one in nodes]
        for key, node in nodes.items()
    }
    known: dict[Source, Columns] = {}
    found = []
    remembered = LineageCache(cache)
    for key in TopologicalSorter(parents).static_order():
        lineage = _node(nodes[key], known, project_dir, remembered)
        known[Source(SourceKind.TABLE, lineage.table)] = [one.column for one in lineage.columns]
        found.append(lineage)
    remembered.save()
    return found


def origins(tables: Iterable[TableLineage], table: str, column: str) -> list[ColumnLineage]:
    """Where a column comes from in the end: columns outside the lake, or reasons.

    Returns:
        One entry for each source column outside the lake (with one origin), and one for each
        column in which a trace ends with a reason.
    """
    by_name = {one.table: one for one in tables}
    ends: dict[tuple[str, str], ColumnLineage] = {}
    _follow(by_name, table, column, IDENTITY, ends, set())
    return [ends[key] for key in sorted(ends)]


def _follow(
    tables: Mapping[str, TableLineage],
    table: str,
    column: str,
    how: How,
    ends: dict[tuple[str, str], ColumnLineage],
    seen: set[tuple[str, str, How]],
) -> None:
    if (table, column, how) in seen:
        return
    seen.add((table, column, how))
    lineage = tables[table].column(column)
    if lineage.reason is not None:
        ends.setdefault((table, column), lineage)
    for origin in lineage.origins:
        for step in origin.how:
            whole = compose(how, step)
            if origin.kind is SourceKind.TABLE:
                _follow(tables, origin.source, origin.column, whole, ends, seen)
            else:
                _end(ends, origin, whole)


def _end(ends: dict[tuple[str, str], ColumnLineage], origin: Origin, how: How) -> None:
    key = (f"{origin.kind}:{origin.source}", origin.column)
    before = ends[key].origins[0].how if key in ends else ()
    merged = origin.model_copy(update={"how": tuple(sorted({*before, how}))})
    ends[key] = ColumnLineage(column=origin.column, origins=(merged,))


def _node(
    node: Node, known: Mapping[Source, Columns], project_dir: Path, cache: LineageCache
) -> TableLineage:
    table = f"{node['schema']}.{node['alias']}"
    if node["resource_type"] == "seed":
        path = project_dir / node["original_file_path"]
        with path.open(encoding="utf-8", newline="") as file:
            names = next(csv.reader(file))
        columns = tuple(ColumnLineage(column=name, reason="seed") for name in names)
        return TableLineage(model=node["name"], table=table, columns=columns)
    key = _key(node, known)
    lineage = cache.find(key)
    if lineage is None:
        lineage = _model(node, table, known)
        cache.keep(key, lineage)
    return lineage


def _key(node: Node, known: Mapping[Source, Columns]) -> str:
    """Stands for all that a model's lineage follows from."""
    sql = node["compiled_code"] or ""
    files = {path: _file_columns(Path(path)) for path in sorted(set(_READS.findall(sql)))}
    # SQL may name any table, so all that were built before count, not only the declared parents.
    tables = [[source.kind, source.name, *columns] for source, columns in known.items()]
    declared = {name: one.get("data_type") for name, one in node.get("columns", {}).items()}
    dataset = node["config"].get("meta", {}).get("dataset")
    names = [node["name"], node["schema"], node["alias"], dataset]
    return cache_key(names, sql, declared, files, tables)


def _file_columns(path: Path) -> list[str] | None:
    try:
        return list(parquet.read_schema(path).names)
    except OSError:
        return None


def _model(node: Node, table: str, known: Mapping[Source, Columns]) -> TableLineage:
    declared = {name: one.get("data_type") for name, one in node.get("columns", {}).items()}
    try:
        columns = _resolved(node, known)
        return TableLineage(
            model=node["name"],
            table=table,
            columns=tuple(_column(columns, name, declared.get(name)) for name in columns.names),
            rows=_origins(columns.rows()),
        )
    except (SqlglotError, BadInputError, KeyError, OSError) as error:
        return TableLineage(
            model=node["name"],
            table=table,
            columns=tuple(
                ColumnLineage(column=name, type=kind, reason="untraceable")
                for name, kind in declared.items()
            ),
            problem=f"{type(error).__name__}: {str(error).splitlines()[0]}",
        )


def _resolved(node: Node, known: Mapping[Source, Columns]) -> QueryColumns:
    query = sqlglot.parse_one(node["compiled_code"], dialect=DIALECT)
    sources = {_address(source): names for source, names in known.items()}
    query, files = _named_files(query, node["config"].get("meta", {}).get("dataset"))
    return QueryColumns(query, _nested(sources | files))


def _column(columns: QueryColumns, name: str, kind: str | None) -> ColumnLineage:
    found = _origins(columns.column(name))
    reason = None if found else columns.reason(name)
    return ColumnLineage(column=name, type=kind, origins=found, reason=reason)


def _origins(found: Found) -> tuple[Origin, ...]:
    made = []
    for (table, column), how in sorted(found.items()):
        kind, name = _source(table)
        made.append(Origin(kind=kind, source=name, column=column, how=tuple(sorted(how))))
    return tuple(made)


# Files have no names in SQL: each read is replaced by a table of a catalogue of its own.


def _address(source: Source) -> tuple[str, str, str]:
    if source.kind is SourceKind.TABLE:
        schema, _, name = source.name.partition(".")
        return "lake", schema, name
    return _FILES, source.kind.value, source.name.replace(".", "__", 1)


def _source(table: str) -> Source:
    catalogue, schema, name = table.split(".")
    if catalogue != _FILES:
        return Source(SourceKind.TABLE, f"{schema}.{name}")
    return Source(SourceKind(schema), name.replace("__", ".", 1))


def _named_files(
    query: exp.Expr, dataset: str | None
) -> tuple[exp.Expr, dict[tuple[str, str, str], Columns]]:
    files: dict[tuple[str, str, str], Columns] = {}

    def named(source: Source, columns: Columns, alias: str) -> exp.Expr:
        address = _address(source)
        files[address] = columns
        catalogue, schema, name = address
        return exp.alias_(exp.table_(name, db=schema, catalog=catalogue), alias, table=True)

    def replace(node: exp.Expr) -> exp.Expr:
        if dataset and isinstance(node, exp.Subquery) and node.alias in _STAGED:
            names = list(node.named_selects)
            return named(_STAGED[node.alias](dataset), names, node.alias)
        if isinstance(node, exp.Table) and isinstance(node.this, exp.ReadParquet):
            path = Path(node.this.expressions[0].name)
            columns = parquet.read_schema(path).names
            return named(Source(SourceKind.INPUT, path.stem), columns, node.alias or path.stem)
        return node

    return query.transform(replace), files


# What macros `released_rows` and `stage` read: with nothing to add, the compiled SQL of an
# incremental run names no object at all, but the columns come from the same place.
_STAGED: Mapping[str, Callable[[str], Source]] = {
    "objects": lambda dataset: Source(SourceKind.VALIDATED, dataset),
    "releases": lambda _: Source(SourceKind.INPUT, "releases"),
}


def _nested(sources: Mapping[tuple[str, str, str], Columns]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for (catalogue, schema, name), columns in sources.items():
        tables = nested.setdefault(catalogue, {}).setdefault(schema, {})
        tables[name] = dict.fromkeys(columns, "UNKNOWN")
    return nested
