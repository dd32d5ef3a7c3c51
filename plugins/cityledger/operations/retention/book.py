"""Holds and tombstones in the database; both only grow."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from cityledger.errors import BadInputError
from cityledger.ledger.removals import Removal
from cityledger.records import Record
from cityledger.storage.database import Database
from cityledger.storage.tables import legal_hold, legal_hold_end, removal


class Hold(Record):
    """Nothing in its scope may be removed.

    Attributes:
        partition: None: all of the dataset's, also those to come.
        released_by: None while it is in force.
    """

    id: int
    dataset: str
    partition: str | None
    reason: str
    placed_by: str
    placed_at: datetime
    released_by: str | None = None
    released_at: datetime | None = None
    released_reason: str | None = None

    def covers(self, dataset: str, partition: str) -> bool:
        """Whether it keeps a partition's deliveries."""
        return (
            self.released_by is None
            and self.dataset == dataset
            and self.partition in {None, partition}
        )


class RetentionBook:
    """Who placed and released which hold, and what was removed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def place(self, dataset: str, partition: str | None, *, reason: str, by: str) -> Hold:
        """Keep a new hold."""
        row = {"dataset": dataset, "partition": partition, "reason": reason, "placed_by": by}
        added = insert(legal_hold).values(row).returning(legal_hold.c.id, legal_hold.c.saved_at)
        with self._database.begin() as connection:
            number, moment = connection.execute(added).one()
        return Hold.model_validate(row | {"id": number, "placed_at": moment})

    def end(self, number: int, *, reason: str, by: str) -> Hold:
        """Release a hold.

        Raises:
            BadInputError: there is no such hold, or it is released already.
        """
        row = {"hold_id": number, "reason": reason, "released_by": by}
        with self._database.begin() as connection:
            known = connection.scalar(select(legal_hold.c.id).where(legal_hold.c.id == number))
            ended = insert(legal_hold_end).values(row).on_conflict_do_nothing()
            done = known and connection.execute(ended.returning(legal_hold_end.c.id)).first()
        if not done:
            raise BadInputError(
                f"hold {number} is {'released already' if known else 'not known'}",
                fix="`cityledger retention status --json` lists the holds in force",
                code="hold_not_in_force",
            )
        return next(one for one in self.holds() if one.id == number)

    def holds(self) -> list[Hold]:
        """All holds ever placed, oldest first."""
        query = (
            select(
                legal_hold.c.id,
                legal_hold.c.dataset,
                legal_hold.c.partition,
                legal_hold.c.reason,
                legal_hold.c.placed_by,
                legal_hold.c.saved_at.label("placed_at"),
                legal_hold_end.c.released_by,
                legal_hold_end.c.saved_at.label("released_at"),
                legal_hold_end.c.reason.label("released_reason"),
            )
            .outerjoin(legal_hold_end, legal_hold_end.c.hold_id == legal_hold.c.id)
            .order_by(legal_hold.c.id)
        )
        with self._database.begin() as connection:
            return [Hold.model_validate(dict(row)) for row in connection.execute(query).mappings()]

    def bury(self, one: Removal, run_id: str) -> None:
        """Keep a tombstone; the same delivery's is kept once."""
        row = one.model_dump(mode="json", include={"dataset", "partition", "delivery", "reason"})
        row |= {
            "removed_by": one.removed_by,
            "run_id": run_id,
            "record": one.model_dump(mode="json"),
        }
        with self._database.begin() as connection:
            connection.execute(insert(removal).values(row).on_conflict_do_nothing())

    def removals(self) -> list[Removal]:
        """All tombstones, oldest first."""
        query = select(removal.c.record).order_by(removal.c.id)
        with self._database.begin() as connection:
            records: list[Any] = list(connection.scalars(query))
        return [Removal.model_validate(one) for one in records]
