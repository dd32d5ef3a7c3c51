"""The compiled suite of a contract: reads text into types and opens judging sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import polars as pl
from cityledger.contracts.model import ColumnType, Contract, Scope, Severity
from cityledger.errors import CityLedgerError
from cityledger.records import RuleResult

from quality_checks.rules.base import PARTITION, Form
from quality_checks.session import BoundRule, Session, Tally
from quality_checks.values.base import OutputType, Precision, Reading, polars_type

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation


@dataclass(frozen=True, slots=True)
class Suite:
    """A compiled contract (:func:`quality_checks.compiler.compile_suite`).

    Attributes:
        columns: Output columns in order: name → type and precision, extras included.
        waves: Readings by column; each wave may use the values of those before.
        rules: Every rule with what it was bound to.
    """

    contract: Contract
    columns: Mapping[str, OutputType]
    waves: tuple[Mapping[str, Reading], ...]
    rules: tuple[BoundRule, ...]

    @property
    def output_columns(self) -> list[tuple[str, ColumnType, Precision]]:
        """Name, type, precision of the validated columns, without the underscore ones."""
        return [(name, kind, precision) for name, (kind, precision) in self.columns.items()]

    def read(self, text: pl.DataFrame) -> pl.DataFrame:
        """Read a text frame into a typed one: same rows, same order.

        Args:
            text: A String (or all-null) column per contract column, and underscore columns, which
                pass through.

        Raises:
            CityLedgerError: a column of the contract is missing.
        """
        missing = [c.name for c in self.contract.columns if c.name not in text.columns]
        if missing:
            raise CityLedgerError(
                f"the parsed frame lacks {', '.join(missing)}",
                where=str(self.contract.id),
                fix="parsing must hand over every column of the contract, empty if need be",
                code="missing_column",
            )
        frame = text.with_columns(
            pl.col(column.name).cast(pl.String)
            for column in self.contract.columns
            if text.schema[column.name] != pl.String
        )
        for wave in self.waves:
            frame = _read_wave(frame, wave)
        own = [name for name in text.columns if name.startswith("_")]
        return frame.select(
            *(pl.col(f"__value__{name}").alias(name) for name in self.columns),
            *own,
            *(name for name in frame.columns if name.startswith("__reason__")),
        )

    def session(self, judged: Mapping[str, Tally] = MappingProxyType({})) -> Session:
        """A judge for one delivery (or one table).

        Args:
            judged: What was counted of rules that were judged already (:meth:`row_session`).
        """
        return Session(str(self.contract.id), self._types, self._of_deliveries, judged)

    def row_session(self) -> Session:
        """A judge by those rules only that look at each row by itself.

        Parts of a delivery can be judged by it side by side, in any order.
        """
        rules = [bound for bound in self._of_deliveries if bound.rule.form is Form.ROW]
        return Session(str(self.contract.id), self._types, rules)

    @property
    def blocks_by_other_rows(self) -> bool:
        """Whether a row can be held back because of what other rows say, e.g. a duplicate."""
        return any(
            bound.rule.form is Form.STREAM and bound.spec.severity is Severity.BLOCK
            for bound in self._of_deliveries
        )

    @property
    def _types(self) -> dict[str, pl.DataType | None]:
        return {name: polars_type(*output) for name, output in self.columns.items()}

    @property
    def _of_deliveries(self) -> list[BoundRule]:
        return [bound for bound in self.rules if bound.spec.scope is not Scope.HISTORY]

    def check_history(self, table: pl.DataFrame | DuckDBPyRelation) -> tuple[RuleResult, ...]:
        """Judge a table over all partitions by the rules of scope ``history``.

        Args:
            table: Polars frame or DuckDB relation with the columns that the rules read (typed, by
                their contract names); of a relation only those are fetched.
        """
        rules = [bound for bound in self.rules if bound.spec.scope is Scope.HISTORY]
        if not rules:
            return ()
        read = frozenset[str]().union(*(bound.call.reads_columns for bound in rules))
        needed = [name for name in self.columns if name in read]
        if any(bound.rule.by_partition for bound in rules):
            needed.append(PARTITION)
        frame = table if isinstance(table, pl.DataFrame) else table.select(*needed).pl()
        session = Session(str(self.contract.id), dict.fromkeys(needed), rules)
        session.check(frame.select(needed))
        return session.finish()


def _read_wave(frame: pl.DataFrame, wave: Mapping[str, Reading]) -> pl.DataFrame:
    work = {name: expr for reading in wave.values() for name, expr in reading.prepare.items()}
    if work:
        frame = frame.with_columns(**work)
    columns = {}
    for name, reading in wave.items():
        columns[f"__value__{name}"] = reading.value
        for suffix, extra in reading.extras.items():
            columns[f"__value__{name}_{suffix}"] = extra
        reason = pl.lit(None, pl.String) if reading.reason is None else reading.reason
        columns[f"__reason__{name}"] = reason.cast(pl.String)
    return frame.with_columns(**columns)
