"""Finding a delivery's newest validation and reading what it held back, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow.parquet as pq
from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.dialects.postgresql import distinct_on

from cityledger.contracts.identity import DatasetId
from cityledger.errors import BadInputError
from cityledger.records import ObjectRef, Validation
from cityledger.storage import tables
from cityledger.storage.database import Database
from cityledger.storage.objects import ObjectStore

RULES = "_rules"


def newest_validation(
    database: Database, dataset: str, partition: str, delivery: str | None = None
) -> Validation:
    """What a delivery last came to, under whichever contract.

    Args:
        database: Of the installation.
        dataset: Its id.
        partition: The period's key.
        delivery: None for the partition's newest delivery that was judged.

    Raises:
        BadInputError: no delivery like that has been judged (code ``not_validated``).
    """
    table = tables.validation
    query = _newest().where(table.c.dataset == dataset, table.c.partition == partition)
    if delivery is not None:
        query = query.where(table.c.delivery == delivery)
    chosen = query.subquery()
    with database.begin() as connection:
        record = connection.scalar(
            select(table.c.record).where(table.c.id.in_(select(chosen.c.id)))
        )
    if record is None:
        raise BadInputError(
            "no such delivery has been judged",
            where="/".join(filter(None, (dataset, partition, delivery))),
            fix="cityledger quarantine list shows what there is",
            code="not_validated",
        )
    return Validation.model_validate(record)


def newest_of_each(
    database: Database, departments: frozenset[str] | None
) -> list[tuple[dict[str, Any], Any]]:
    """Of every dataset and partition: parts of the newest delivery's newest validation, and when.

    Args:
        database: Of the installation.
        departments: Only these departments' datasets; None for all.
    """
    table = tables.validation
    chosen = _newest().where(_of(departments)).subquery()
    parts = ("accounting", "rejects", "quarantined_by_rule", "waived_by_rule", "corrections")
    query = (
        select(
            table.c.dataset,
            table.c.partition,
            table.c.delivery,
            *(table.c.record[part].label(part) for part in parts),
            table.c.saved_at,
        )
        .join(chosen, chosen.c.id == table.c.id)
        .order_by(table.c.dataset, table.c.partition.desc())
    )
    with database.begin() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    return [(row, row.pop("saved_at")) for row in rows]


def _newest() -> Select[Any]:
    judged, landed = tables.validation, tables.delivery
    place = (judged.c.dataset, judged.c.partition)
    same = and_(
        landed.c.dataset == judged.c.dataset,
        landed.c.partition == judged.c.partition,
        landed.c.delivery == judged.c.delivery,
    )
    return (
        select(judged.c.id)
        .ext(distinct_on(*place))
        .join(landed, same)
        .order_by(*place, landed.c.sequence.desc(), judged.c.id.desc())
    )


def _of(departments: frozenset[str] | None) -> ColumnElement[bool]:
    if departments is None:
        return tables.validation.c.id > 0
    owned = [tables.validation.c.dataset.startswith(f"{d}.", autoescape=True) for d in departments]
    return or_(*owned) if owned else tables.validation.c.id < 0


def department_of(dataset: str) -> str:
    """The department's slug in a dataset id."""
    return DatasetId.parse(dataset).department


class HeldRows:
    """A Parquet object in the quarantine bucket, read row group by row group.

    Args:
        store: Of the installation.
        ref: The object; None reads as no rows.
    """

    def __init__(self, store: ObjectStore, ref: ObjectRef | None) -> None:
        self._store, self._ref = store, ref

    def frames(self, rule: str | None = None) -> Iterator[pl.DataFrame]:
        """All rows, or those that broke a rule, at most one row group in memory."""
        if self._ref is None:
            return
        with self._store.open(self._ref) as stream, pq.ParquetFile(stream) as file:
            for group in range(file.num_row_groups):
                if rule is None or _hits(file, group, rule).any():
                    frame = _read(file, group)
                    yield frame if rule is None else frame.filter(_hits(file, group, rule))

    def column(self, name: str) -> Iterator[pl.Series]:
        """One column, a row group at a time; nothing else is read."""
        if self._ref is None:
            return
        with self._store.open(self._ref) as stream, pq.ParquetFile(stream) as file:
            for group in range(file.num_row_groups):
                yield _read(file, group, name)[name]

    def page(self, offset: int, limit: int, rule: str | None = None) -> tuple[pl.DataFrame, int]:
        """Some rows, and how many there are: only the row groups that hold them are read whole."""
        if self._ref is None:
            return pl.DataFrame(), 0
        parts, total = [], 0
        with self._store.open(self._ref) as stream, pq.ParquetFile(stream) as file:
            for group in range(file.num_row_groups):
                hits = _hits(file, group, rule)
                count = int(hits.sum())
                start = max(offset - total, 0)
                wanted = min(offset + limit - total, count) - start
                total += count
                if wanted > 0:
                    parts.append(_read(file, group).filter(hits).slice(start, wanted))
        return pl.concat(parts) if parts else pl.DataFrame(), total


def _read(file: pq.ParquetFile, group: int, *columns: str) -> pl.DataFrame:
    table = file.read_row_group(group, columns=list(columns) or None)
    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame):
        raise TypeError("a Parquet row group is a table")
    return frame


def _hits(file: pq.ParquetFile, group: int, rule: str | None) -> pl.Series:
    if rule is None:
        rows = file.metadata.row_group(group).num_rows
        return pl.repeat(value=True, n=rows, dtype=pl.Boolean, eager=True)
    return _read(file, group, RULES)[RULES].list.contains(rule).fill_null(value=False)
