"""From an indicator's value down to the rows that went into it, table by table.

Three ways lead down: a row id that the table carries; a declared one (``meta.rows`` of the model);
the table's key, when one parent has all of its columns. Where none does, the path ends and says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import sqlglot
from sqlglot import exp

from cityledger.audit.pinned import view
from cityledger.errors import CityLedgerError
from cityledger.ledger.builds import Build, BuiltModel
from cityledger.records import Record

_DIALECT = "duckdb"
_ROW_ID = "_row_id"


class Step(Record):
    """One table on the way down.

    Attributes:
        rows: How many of its rows went into the value.
        how: How they were found.
    """

    table: str
    rows: int
    how: str


class NoPathError(CityLedgerError):
    """The way down ends here, and why."""

    def __init__(self, table: str, why: str) -> None:
        super().__init__(
            f"no row-level path below {table}: {why}",
            where=table,
            fix="declare meta.rows in the model; see docs/evidence.md",
            code="no_row_path",
        )


@dataclass(frozen=True)
class Relation:
    """Rows of one table, as a query."""

    table: str
    sql: str


class RowPath:
    """Walks down from one value of an indicator."""

    def __init__(self, build: Build, connection: duckdb.DuckDBPyConnection) -> None:
        self._build, self._connection = build, connection

    def facts(self, model: BuiltModel, value: dict[str, Any]) -> Relation:
        """The rows of the table that an indicator counts, for one area and period.

        Raises:
            NoPathError: the indicator is not one select over one table by area and day.
        """
        query = sqlglot.parse_one(model.sql, dialect=_DIALECT)
        ctes = {cte.alias: cte.this for cte in query.find_all(exp.CTE)}
        per_area = ctes.get("per_area")
        if per_area is None:
            raise NoPathError(model.table, "it is not built by macro indicator_rows")
        whole = isinstance(per_area, exp.SetOperation) and value["area_level"] == "city"
        first = per_area.this if isinstance(per_area, exp.SetOperation) else per_area
        name = first.args["from_"].this.name
        facts = ctes.get(name)
        if not isinstance(facts, exp.Select) or not _plain(facts):
            raise NoPathError(model.table, f"'{name}' is no plain select over one table")
        source = facts.args["from_"].this
        table = f"{source.db}.{source.name}"
        return Relation(table, _filtered(facts, table, value, whole=whole))

    def down(self, relation: Relation) -> Iterator[tuple[Relation, str]]:
        """The tables below, until rows carry the id of one source row.

        Raises:
            NoPathError: the way ends before.
        """
        while _ROW_ID not in self.columns(relation.table):
            relation, how = self._below(relation)
            yield relation, how

    def staged(self, relation: Relation) -> list[Relation]:
        """The staging rows with the row ids of a relation."""
        parents = self._build.model(relation.table).parents
        return [
            Relation(
                parent,
                f"SELECT s.* FROM {view(parent)} AS s SEMI JOIN ({relation.sql}) AS r"
                f" ON s.{_ROW_ID} = r.{_ROW_ID}",
            )
            for parent in parents
            if parent.startswith("staging.")
        ]

    def count(self, relation: Relation) -> int:
        """How many rows a relation has."""
        row = self._connection.execute(f"SELECT count(*) FROM ({relation.sql})").fetchone()
        return int(row[0]) if row else 0

    def columns(self, table: str) -> list[str]:
        """Names of a table's columns."""
        found = self._connection.execute(f"DESCRIBE SELECT * FROM {view(table)}").fetchall()
        return [name for name, *_ in found]

    def _below(self, relation: Relation) -> tuple[Relation, str]:
        model = self._build.model(relation.table)
        declared = model.meta.get("rows")
        if declared:
            parent, match = declared["table"], declared["match"]
            return _semi(parent, relation, match), f"as the model declares: {match}"
        parents = [one for one in model.parents if set(model.key) <= set(self.columns(one))]
        if not model.key or len(parents) != 1:
            raise NoPathError(relation.table, "its rows are made from many, without a common key")
        match = " AND ".join(f"source.{name} = target.{name}" for name in model.key)
        return _semi(parents[0], relation, match), f"same {', '.join(model.key)}"


def _semi(parent: str, relation: Relation, match: str) -> Relation:
    return Relation(
        parent,
        f"SELECT source.* FROM {view(parent)} AS source SEMI JOIN ({relation.sql}) AS target"
        f" ON {match}",
    )


def _plain(select: exp.Select) -> bool:
    shape = ("joins", "group", "distinct", "having", "qualify", "limit", "with_")
    source = select.args.get("from_")
    return (
        source is not None
        and isinstance(source.this, exp.Table)
        and bool(source.this.db)
        and not any(select.args.get(part) for part in shape)
    )


def _filtered(facts: exp.Select, table: str, value: dict[str, Any], *, whole: bool) -> str:
    """The rows of the facts' table that lie in the value's area and period."""
    named = {one.alias_or_name: one.unalias() for one in facts.selects}
    query = exp.select("source.*").from_(f"{view(table)} AS source")
    if facts.args.get("where"):
        query = query.where(facts.args["where"].this.copy())
    day = exp.cast(named["day"].copy(), "date")
    bounds = [exp.cast(exp.Literal.string(str(value[end])), "date") for end in _PERIOD]
    query = query.where(exp.Between(this=day, low=bounds[0], high=bounds[1]))
    if not whole:
        area = exp.Literal.string(value["area_code"])
        query = query.where(exp.EQ(this=named["area_code"].copy(), expression=area))
    return query.sql(dialect=_DIALECT)


_PERIOD = ("period_start", "period_end")
