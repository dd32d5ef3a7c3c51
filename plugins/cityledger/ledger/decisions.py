"""What people decided about quarantined rows: corrections, waivers, and who looked at the rows.

Only added to. Who may decide, and what makes sense, is judged in ``cityledger.quarantine``; stages
read from here what is in force.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert

from cityledger.records import Correction, Record, Waiver
from cityledger.storage import tables
from cityledger.storage.database import Database


class WaiverState(Record):
    """A waiver and, if it was revoked, by whom and why."""

    waiver: Waiver
    revoked_by: str | None = None
    revoked_at: datetime | None = None
    revoked_reason: str | None = None

    def in_force(self, on: date) -> bool:
        """Whether it lets rows pass on that day."""
        return self.revoked_by is None and on <= self.waiver.valid_until


class Access(Record):
    """Somebody looked at rows of a delivery.

    Attributes:
        action: ``browse`` (masked) or ``download`` (as handed in).
        rows: How many rows were shown.
        detail: File format, rule filter.
    """

    dataset: str
    partition: str
    delivery: str
    person: str
    action: str
    reason: str
    rows: int
    detail: dict[str, Any]
    saved_at: datetime | None = None


class DecisionStore:
    """Reads and adds decisions; safe for several processes at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_correction(self, correction: Correction) -> None:
        """Keep an accepted file; the same file for the same delivery is kept once."""
        row = correction.model_dump(mode="json", include={"dataset", "partition", "delivery"})
        row |= {
            "sha256": correction.file.sha256,
            "submitted_by": correction.submitted_by,
            "rows": len(correction.row_ids),
            "record": correction.model_dump(mode="json"),
        }
        with self._database.begin() as connection:
            connection.execute(insert(tables.correction).values(row).on_conflict_do_nothing())

    def corrections(self, dataset: str, partition: str, delivery: str) -> tuple[Correction, ...]:
        """The accepted files of a delivery, oldest first."""
        table = tables.correction
        query = (
            select(table.c.record)
            .where(
                table.c.dataset == dataset,
                table.c.partition == partition,
                table.c.delivery == delivery,
            )
            .order_by(table.c.id)
        )
        with self._database.begin() as connection:
            return tuple(Correction.model_validate(row[0]) for row in connection.execute(query))

    def correction_counts(self) -> Counter[tuple[str, str, str]]:
        """Accepted files by dataset, partition and delivery."""
        place = [tables.correction.c[name] for name in ("dataset", "partition", "delivery")]
        query = select(*place, func.count()).group_by(*place)
        with self._database.begin() as connection:
            rows = connection.execute(query).all()
        return Counter({(row[0], row[1], row[2]): row[3] for row in rows})

    def add_waiver(
        self,
        *,
        dataset: str,
        rule: str,
        partition: str | None,
        delivery: str | None,
        row_ids: Sequence[str],
        approved_by: str,
        reason: str,
        valid_until: date,
    ) -> Waiver:
        """Keep an approval; its number and time come from the database."""
        table = tables.waiver
        row: dict[str, Any] = {
            "dataset": dataset,
            "rule": rule,
            "partition": partition,
            "delivery": delivery,
            "row_ids": list(row_ids),
            "approved_by": approved_by,
            "reason": reason,
            "valid_until": valid_until,
        }
        added = insert(table).values(row).returning(table.c.id, table.c.saved_at)
        with self._database.begin() as connection:
            number, moment = connection.execute(added).one()
        return Waiver.model_validate(row | {"id": number, "approved_at": moment})

    def waivers(self, dataset: str | None = None) -> tuple[WaiverState, ...]:
        """All waivers, oldest first: of one dataset if given; revoked and expired ones included."""
        query = _waivers().order_by(tables.waiver.c.id)
        if dataset is not None:
            query = query.where(tables.waiver.c.dataset == dataset)
        with self._database.begin() as connection:
            return tuple(_state(row) for row in connection.execute(query).mappings())

    def waivers_in_force(
        self, dataset: str, partition: str, delivery: str, on: date
    ) -> tuple[Waiver, ...]:
        """The waivers that may let rows of a delivery pass on a day."""
        return tuple(
            state.waiver
            for state in self.waivers(dataset)
            if state.in_force(on) and state.waiver.covers(partition, delivery)
        )

    def find_waiver(self, number: int) -> WaiverState | None:
        """The waiver of that number."""
        with self._database.begin() as connection:
            query = _waivers().where(tables.waiver.c.id == number)
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else _state(row)

    def revoke_waiver(self, number: int, *, revoked_by: str, reason: str) -> bool:
        """End a waiver; False when somebody else has revoked it before."""
        row = {"waiver_id": number, "revoked_by": revoked_by, "reason": reason}
        with self._database.begin() as connection:
            added = connection.execute(
                insert(tables.waiver_revocation)
                .values(row)
                .on_conflict_do_nothing()
                .returning(tables.waiver_revocation.c.id)
            )
            return added.scalar_one_or_none() is not None

    def record_access(self, access: Access) -> None:
        """Keep that somebody looked at rows."""
        row = access.model_dump(mode="json", exclude={"saved_at"})
        with self._database.begin() as connection:
            connection.execute(insert(tables.quarantine_access).values(row))

    def accesses(self, dataset: str, *, limit: int = 1000) -> tuple[Access, ...]:
        """Who looked at rows of a dataset, newest first."""
        table = tables.quarantine_access
        columns = [table.c[name] for name in Access.model_fields]
        query = select(*columns).where(table.c.dataset == dataset)
        with self._database.begin() as connection:
            rows = connection.execute(query.order_by(table.c.id.desc()).limit(limit)).mappings()
            return tuple(Access.model_validate(dict(row)) for row in rows)


def _waivers() -> Select[Any]:
    waiver, end = tables.waiver, tables.waiver_revocation
    return select(
        *(column for column in waiver.c if column.name != "saved_at"),
        waiver.c.saved_at.label("approved_at"),
        end.c.revoked_by,
        end.c.saved_at.label("revoked_at"),
        end.c.reason.label("revoked_reason"),
    ).outerjoin(end, end.c.waiver_id == waiver.c.id)


def _state(row: Mapping[Any, Any]) -> WaiverState:
    values = dict(row)
    end = {name: values.pop(name) for name in ("revoked_by", "revoked_at", "revoked_reason")}
    return WaiverState(waiver=Waiver.model_validate(values), **end)
