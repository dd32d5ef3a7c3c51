"""The journal: what every stage attempt came to, and the state that follows from it.

Rows are only ever added, one record a transaction. Saving a record that equals the newest of its
kind is a no-op, so a repeated task changes nothing; a differing one is added and counts from then
on, with the former still there to be audited.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, func, select
from sqlalchemy.dialects.postgresql import distinct_on, insert

from cityledger.ledger.matrix import MatrixRow, build_matrix
from cityledger.records import (
    ObjectRef,
    Outcome,
    Publication,
    Receipt,
    Record,
    Release,
    Stage,
    Standardisation,
    Validation,
)
from cityledger.storage import tables
from cityledger.storage.database import Database

R = TypeVar("R", bound=Record)

_OUTCOME = tuple(tables.outcome.c[name] for name in Outcome.model_fields)


class Journal:
    """Reads and writes the records of all stages; safe for several processes at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, outcome: Outcome) -> None:
        """Keep the outcome of a stage attempt; the same attempt twice is kept once."""
        values = _values(outcome)
        with self._database.begin() as connection:
            connection.execute(insert(tables.outcome).values(values).on_conflict_do_nothing())

    def outcomes(
        self,
        dataset: str | None = None,
        partition: str | None = None,
        stage: Stage | None = None,
        *,
        limit: int = 1000,
    ) -> list[Outcome]:
        """The newest outcomes first, of one dataset, partition or stage if given."""
        table = tables.outcome
        query = select(*_OUTCOME)
        wanted = {"dataset": dataset, "partition": partition, "stage": stage}
        for column, value in wanted.items():
            if value is not None:
                query = query.where(table.c[column] == value)
        with self._database.begin() as connection:
            return _outcomes(connection, query.order_by(table.c.id.desc()).limit(limit))

    def save_receipt(self, receipt: Receipt) -> None:
        """Remember a landed delivery (the receipt in the landing bucket stays the proof)."""
        table = tables.delivery
        with self._database.begin() as connection:
            connection.execute(
                insert(table)
                .values(
                    dataset=receipt.dataset,
                    partition=receipt.partition,
                    delivery=receipt.delivery,
                    sequence=receipt.sequence,
                    landed_at=receipt.landed_at,
                    record=_values(receipt),
                )
                .on_conflict_do_nothing(index_elements=["dataset", "partition", "delivery"])
            )

    def current_receipt(self, dataset: str, partition: str) -> Receipt | None:
        """The newest delivery of a partition."""
        receipts = self.receipts(dataset, partition)
        return receipts[-1] if receipts else None

    def receipts(self, dataset: str, partition: str) -> list[Receipt]:
        """All deliveries of a partition, oldest first."""
        table = tables.delivery
        query = (
            select(table.c.record)
            .where(table.c.dataset == dataset, table.c.partition == partition)
            .order_by(table.c.sequence)
        )
        return self._all(Receipt, query)

    def save_validation(self, validation: Validation) -> None:
        """Keep a validation and its rule results."""
        with self._database.begin() as connection:
            key = _append(
                connection,
                tables.validation,
                validation,
                {
                    "dataset": validation.dataset,
                    "partition": validation.partition,
                    "delivery": validation.delivery,
                    "contract_sha256": validation.contract_sha256,
                },
            )
            if key is not None:
                _insert_all(
                    connection,
                    tables.rule_result,
                    [
                        {"validation_id": key} | _columns(result, tables.rule_result)
                        for result in validation.results
                    ],
                )

    def find_validation(
        self,
        dataset: str,
        partition: str,
        delivery: str,
        contract_sha256: str,
        *,
        validated: ObjectRef | None = None,
    ) -> Validation | None:
        """What a delivery came to under a contract; None when it was not validated by it.

        Args:
            dataset: Its id.
            partition: The period's key.
            delivery: Its id.
            contract_sha256: Of the contract.
            validated: Only the verdict that left these good rows: an older one, when the delivery
                has been replayed since.
        """
        table = tables.validation
        query = _newest_record(
            table,
            {
                "dataset": dataset,
                "partition": partition,
                "delivery": delivery,
                "contract_sha256": contract_sha256,
            },
        )
        if validated is not None:
            good = table.c.record["validated"]
            query = query.where(
                good["key"].astext == validated.key, good["sha256"].astext == validated.sha256
            )
        with self._database.begin() as connection:
            found = connection.scalar(query)
        return None if found is None else Validation.model_validate(found)

    def save_release(self, release: Release) -> None:
        """Keep the verdict of the gate or of a steward."""
        with self._database.begin() as connection:
            _append(
                connection,
                tables.release,
                release,
                {
                    "dataset": release.dataset,
                    "partition": release.partition,
                    "delivery": release.delivery,
                },
                released=release.released,
                validated_sha256=release.validated.sha256,
            )

    def find_release(self, dataset: str, partition: str, delivery: str) -> Release | None:
        """The newest verdict on a delivery."""
        return self._newest(
            Release, tables.release, dataset=dataset, partition=partition, delivery=delivery
        )

    def released(self) -> list[Release]:
        """The newest released delivery of every dataset and partition.

        A delivery that is held, or was released once and is held now, does not count; the partition
        then keeps the delivery before it.
        """
        released = _released().subquery()
        place = (released.c.dataset, released.c.partition)
        return self._all(Release, select(released.c.record).order_by(*place))

    def pending(self) -> list[Release]:
        """Released deliveries that the warehouse does not hold yet.

        Compared by delivery and by the validated bytes: validating a delivery again under a changed
        contract makes it pending again.
        """
        released, staged = _released().subquery(), _newest_staged().subquery()
        same = and_(
            staged.c.dataset == released.c.dataset,
            staged.c.partition == released.c.partition,
            staged.c.delivery == released.c.delivery,
            staged.c.validated_sha256 == released.c.validated_sha256,
        )
        query = (
            select(released.c.record)
            .outerjoin(staged, same)
            .where(staged.c.dataset.is_(None))
            .order_by(released.c.dataset, released.c.partition)
        )
        return self._all(Release, query)

    def save_standardisation(
        self, standardisation: Standardisation, releases: Sequence[Release] | None = None
    ) -> None:
        """Keep a dbt build: what it staged, what became of every model, what its tables came to.

        Args:
            standardisation: The build.
            releases: The releases that it read. Without them the ones that are newest now are
                taken for it, which is right as long as no other process releases meanwhile.
        """
        used = self.released() if releases is None else releases
        sha256 = {(r.dataset, r.partition, r.delivery): r.validated.sha256 for r in used}
        staged = [
            _values(one)
            | {"validated_sha256": sha256.get((one.dataset, one.partition, one.delivery), "")}
            for one in standardisation.staged
        ]
        with self._database.begin() as connection:
            key = _append(
                connection,
                tables.standardisation,
                standardisation,
                {"snapshot_id": standardisation.snapshot_id},
            )
            if key is None:
                return
            parent = {"standardisation_id": key}
            _insert_all(connection, tables.staged, [parent | row for row in staged])
            _insert_all(
                connection,
                tables.model_result,
                [parent | _values(model) for model in standardisation.models],
            )
            _insert_all(
                connection,
                tables.table_result,
                [
                    parent
                    | {"subject": _subject(result.key), "record": _values(result)}
                    | _columns(result, tables.table_result)
                    for result in standardisation.results
                ],
            )

    def latest_standardisation(self) -> Standardisation | None:
        """The newest dbt build."""
        return self._newest(Standardisation, tables.standardisation)

    def save_publication(self, publication: Publication) -> None:
        """Keep a publication and its values."""
        columns = ("code", "area", "period", "value", "unit", "target", "status")
        with self._database.begin() as connection:
            key = _append(
                connection,
                tables.publication,
                publication,
                {"snapshot_id": publication.snapshot_id},
                content_sha256=publication.content_sha256,
                rows=publication.rows,
            )
            if key is not None:
                _insert_all(
                    connection,
                    tables.indicator_value,
                    [
                        {"publication_id": key} | value.model_dump(mode="json", include={*columns})
                        for value in publication.values
                    ],
                )

    def find_publication(self, snapshot_id: int) -> Publication | None:
        """What was published from a snapshot of the lake."""
        return self._newest(Publication, tables.publication, snapshot_id=snapshot_id)

    def matrix(self) -> list[MatrixRow]:
        """Datasets × partitions × stages: where everything stands."""
        with self._database.begin() as connection:
            latest = _outcomes(connection, _latest_outcomes())
            done = _outcomes(connection, _latest_outcomes("success", "held"))
            staged = [dict(row) for row in connection.execute(_newest_staged()).mappings()]
        return build_matrix(latest, done, staged)

    def _all(self, kind: type[R], query: Select[Any]) -> list[R]:
        with self._database.begin() as connection:
            return [kind.model_validate(row[0]) for row in connection.execute(query)]

    def _newest(self, kind: type[R], table: Table, **key: Any) -> R | None:
        with self._database.begin() as connection:
            found = connection.scalar(_newest_record(table, key))
        return None if found is None else kind.model_validate(found)


def _append(
    connection: Connection, table: Table, record: Record, key: Mapping[str, Any], **columns: Any
) -> int | None:
    """Add a record unless it equals the newest of its key; its id, or None when nothing was added.

    Writers of one key take turns, or two of them could both find their record missing.
    """
    body = _values(record)
    turn = "/".join([table.name, *map(str, key.values())])
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(turn, 0))))
    if connection.scalar(_newest_record(table, key)) == body:
        return None
    added = insert(table).values(**key, **columns, record=body).returning(table.c.id)
    return int(connection.execute(added).scalar_one())


def _newest_record(table: Table, key: Mapping[str, Any]) -> Select[Any]:
    matches: Iterable[ColumnElement[bool]] = (table.c[name] == key[name] for name in key)
    return select(table.c.record).where(*matches).order_by(table.c.id.desc()).limit(1)


def _latest_outcomes(*statuses: str) -> Select[Any]:
    table = tables.outcome
    places = (table.c.dataset, table.c.partition, table.c.stage)
    query = select(*_OUTCOME).ext(distinct_on(*places)).order_by(*places, table.c.id.desc())
    return query.where(table.c.status.in_(statuses)) if statuses else query


def _outcomes(connection: Connection, query: Select[Any]) -> list[Outcome]:
    rows = connection.execute(query).mappings()
    return [Outcome.model_validate(dict(row)) for row in rows]


def _released() -> Select[Any]:
    verdict, delivery = tables.release, tables.delivery
    keys = (verdict.c.dataset, verdict.c.partition, verdict.c.delivery)
    newest = select(verdict).ext(distinct_on(*keys)).order_by(*keys, verdict.c.id.desc()).subquery()
    landed = and_(
        delivery.c.dataset == newest.c.dataset,
        delivery.c.partition == newest.c.partition,
        delivery.c.delivery == newest.c.delivery,
    )
    place = (newest.c.dataset, newest.c.partition)
    current = (
        select(*place, newest.c.delivery, newest.c.validated_sha256, newest.c.record)
        .ext(distinct_on(*place))
        .outerjoin(delivery, landed)
        .where(newest.c.released)
        .order_by(*place, delivery.c.sequence.desc().nulls_last(), newest.c.id.desc())
        .subquery()
    )
    # A partition whose delivery is past its retention is empty: an older one must not come back.
    removed = select(tables.removal.c.id).where(
        tables.removal.c.dataset == current.c.dataset,
        tables.removal.c.partition == current.c.partition,
        tables.removal.c.delivery == current.c.delivery,
    )
    return select(current).where(~removed.exists())


def _newest_staged() -> Select[Any]:
    staged, build = tables.staged, tables.standardisation
    place = (staged.c.dataset, staged.c.partition)
    return (
        select(
            *place, staged.c.delivery, staged.c.validated_sha256, staged.c.rows, build.c.saved_at
        )
        .ext(distinct_on(*place))
        .join(build, build.c.id == staged.c.standardisation_id)
        .order_by(*place, staged.c.id.desc())
    )


def _subject(key: str) -> str:
    """The dataset, or ``schema.table``, that a rule on a table judges."""
    return ".".join(key.split(".", 2)[:2])


def _insert_all(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _columns(record: Record, table: Table) -> dict[str, Any]:
    """The values of a record that a table has columns for (the rest stays in the whole record)."""
    return {name: value for name, value in _values(record).items() if name in table.c}


def _values(record: Record) -> dict[str, Any]:
    values = _storable(record.model_dump(mode="json"))
    return dict(values)


def _storable(value: Any) -> Any:
    """PostgreSQL stores neither NUL nor lone surrogates, which texts from files may hold."""
    match value:
        case str():
            return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
        case dict():
            return {_storable(key): _storable(item) for key, item in value.items()}
        case list():
            return [_storable(item) for item in value]
        case _:
            return value
