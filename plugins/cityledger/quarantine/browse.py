"""Quarantined rows and rejected records, shown masked."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError
from cityledger.ledger.decisions import DecisionStore
from cityledger.lifecycle.readers.base import EXPECTED_REASONS
from cityledger.masking import HIDDEN, mask_frame, scrub
from cityledger.people import CITY_WIDE, Person, Role
from cityledger.quarantine.access import require_sight
from cityledger.quarantine.batches import (
    RULES,
    HeldRows,
    department_of,
    newest_of_each,
    newest_validation,
)
from cityledger.quarantine.reasons import REJECTS, Reason, explain
from cityledger.records import Record, Validation
from cityledger.runner import Runner

#: Most rows of one page.
MOST_ROWS: Final = 500


class HeldDelivery(Record):
    """The newest delivery of a dataset and partition of which something was held back.

    Attributes:
        rejected: Records that are none; what layouts foresee (totals, notes) is not counted.
        waived: Rows that passed by leave of a waiver, by rule.
        unused_corrections: Accepted files that the newest replay has not used.
    """

    dataset: str
    title: str
    department: str
    partition: str
    delivery: str
    judged_at: datetime
    parsed: int
    quarantined: int
    rejected: int
    by_rule: dict[str, int]
    rejects: dict[str, int]
    waived: dict[str, int]
    unused_corrections: int


class ShownRow(Record):
    """A quarantined row, masked.

    Attributes:
        source_row: Line or row in the file, 1-based.
        file: Name of the department's file (``archive#member``), or of the correction.
        values: Column name → what may be shown; None where the file had no such column.
    """

    row_id: str
    source_row: int
    file: str
    values: dict[str, str | None]
    reasons: tuple[Reason, ...]


class ShownReject(Record):
    """A rejected record; of its text only the length is shown when it may name people."""

    source_row: int
    file: str
    reason: str
    zh: str
    en: str
    text: str


class RowPage(Record):
    """Some of a delivery's quarantined rows.

    Attributes:
        columns: Column name → business name, in the contract's order.
        by_rule: Rule key → rows of the whole delivery.
        total: Rows that the filter finds.
    """

    dataset: str
    partition: str
    delivery: str
    columns: dict[str, str]
    by_rule: dict[str, int]
    total: int
    offset: int
    rows: tuple[ShownRow, ...]


class RejectPage(Record):
    """Some of a delivery's rejected records."""

    dataset: str
    partition: str
    delivery: str
    total: int
    offset: int
    rows: tuple[ShownReject, ...]


class Quarantine:
    """What is held back, for the console and the command line."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._decisions = DecisionStore(runner.database)

    def list(self, person: Person) -> list[HeldDelivery]:
        """Deliveries with something held back, of the departments that the person sees."""
        departments = None if person.has(*CITY_WIDE) else _own(person)
        accepted = self._decisions.correction_counts()
        entries = (
            self._entry(row, moment, accepted)
            for row, moment in newest_of_each(self._runner.database, departments)
        )
        return [one for one in entries if one.quarantined or one.rejected]

    def rows(
        self,
        dataset: str,
        partition: str,
        delivery: str | None = None,
        *,
        person: Person,
        rule: str | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> RowPage:
        """Quarantined rows, masked whoever asks (unmasked: ``download``).

        Args:
            dataset: Its id.
            partition: The period's key.
            delivery: None for the newest.
            person: Who asks.
            rule: Key of a rule that the rows broke.
            offset: Rows to leave out.
            limit: Rows to show, at most `MOST_ROWS`.

        Raises:
            BadInputError: ``not_allowed``, ``unknown_dataset`` or ``not_validated``.
        """
        contract, validation = self._find(dataset, partition, delivery, person)
        held = HeldRows(self._runner.store, validation.quarantined)
        frame, total = held.page(max(offset, 0), _bounded(limit), rule)
        return RowPage(
            **_place(validation),
            columns={column.name: column.business_name for column in contract.columns},
            by_rule=validation.quarantined_by_rule,
            total=total,
            offset=max(offset, 0),
            rows=tuple(_shown(frame, contract, validation)) if frame.height else (),
        )

    def rejected(
        self,
        dataset: str,
        partition: str,
        delivery: str | None = None,
        *,
        person: Person,
        offset: int = 0,
        limit: int = 50,
    ) -> RejectPage:
        """Rejected records.

        Their text has no columns that could be masked one by one: it is hidden whole where the
        contract has personal columns, or the record is a note (who filled in the table); it is
        scrubbed elsewhere.

        Raises:
            BadInputError: ``not_allowed``, ``unknown_dataset`` or ``not_validated``.
        """
        contract, validation = self._find(dataset, partition, delivery, person)
        held = HeldRows(self._runner.store, validation.rejected)
        frame, total = held.page(max(offset, 0), _bounded(limit))
        files = file_names(validation)
        personal = any(
            column.classification not in {"public", "internal"} for column in contract.columns
        )
        return RejectPage(
            **_place(validation),
            total=total,
            offset=max(offset, 0),
            rows=tuple(
                _reject(row, files, personal=personal) for row in frame.iter_rows(named=True)
            ),
        )

    def _find(
        self, dataset: str, partition: str, delivery: str | None, person: Person
    ) -> tuple[Contract, Validation]:
        contract = self._runner.contract(dataset)
        require_sight(person, contract)
        return contract, newest_validation(self._runner.database, dataset, partition, delivery)

    def _entry(
        self, row: dict[str, Any], moment: datetime, accepted: Counter[tuple[str, str, str]]
    ) -> HeldDelivery:
        place = (row["dataset"], row["partition"], row["delivery"])
        accounting, used = row["accounting"], row["corrections"] or []
        return HeldDelivery(
            dataset=place[0],
            title=self._title(place[0]),
            department=department_of(place[0]),
            partition=place[1],
            delivery=place[2],
            judged_at=moment,
            parsed=accounting["parsed"],
            quarantined=accounting["quarantined"],
            rejected=accounting["rejected"] - accounting["expected_rejects"],
            by_rule=dict(sorted(row["quarantined_by_rule"].items())),
            rejects={k: n for k, n in row["rejects"].items() if k not in EXPECTED_REASONS},
            waived=row["waived_by_rule"] or {},
            unused_corrections=max(accepted[place] - len(used), 0),
        )

    def _title(self, dataset: str) -> str:
        try:
            return self._runner.contract(dataset).title
        except BadInputError:  # the contract has gone, what it judged has not
            return dataset


def file_name(source: str, names: dict[str, str]) -> str:
    """The department's name of a source object: ``archive.zip#member.csv``."""
    uri, _, member = source.partition("#")
    name = names.get(uri, Path(uri).name)
    return f"{name}#{member}" if member else name


def _told(source: str, names: dict[str, str]) -> str:
    return scrub(file_name(source, names))


def file_names(validation: Validation) -> dict[str, str]:
    """Names that departments gave to source objects, by URI."""
    return {one.uri: one.name for one in (*validation.inputs, *validation.corrections)}


def _own(person: Person) -> frozenset[str]:
    return person.departments if person.has(Role.DEPARTMENT) else frozenset()


def _bounded(limit: int) -> int:
    return max(1, min(limit, MOST_ROWS))


def _place(validation: Validation) -> dict[str, str]:
    return {
        "dataset": validation.dataset,
        "partition": validation.partition,
        "delivery": validation.delivery,
    }


def _shown(frame: pl.DataFrame, contract: Contract, validation: Validation) -> list[ShownRow]:
    files = file_names(validation)
    masked = mask_frame(frame, contract)
    values = masked.select(pl.exclude("^_.*$"))
    return [
        ShownRow(
            row_id=row["_row_id"],
            source_row=row["_source_row"],
            file=_told(row["_source_object"], files),
            values=shown,
            reasons=explain(row[RULES] or (), contract),
        )
        for row, shown in zip(
            frame.iter_rows(named=True), values.iter_rows(named=True), strict=True
        )
    ]


def _reject(row: dict[str, Any], files: dict[str, str], *, personal: bool) -> ShownReject:
    zh, en = REJECTS.get(row["_reason"], (row["_reason"], row["_reason"]))
    text = row["_text"] or ""
    hidden = personal or row["_reason"] == "note"
    return ShownReject(
        source_row=row["_source_row"],
        file=_told(row["_source_object"], files),
        reason=row["_reason"],
        zh=zh,
        en=en,
        text=f"{HIDDEN} ({len(text)})" if text and hidden else scrub(text),
    )
