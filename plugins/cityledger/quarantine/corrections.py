"""Accepting a corrected file: checked whole, landed under lock, used by the next replay.

Nothing of a file is accepted unless all of it makes sense for the delivery.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl
from sqlalchemy import select

from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError
from cityledger.ledger.decisions import DecisionStore
from cityledger.lifecycle.cells import displayed
from cityledger.lifecycle.corrections import ROW_ID, read_corrections
from cityledger.masking import scrub
from cityledger.people import Person
from cityledger.quarantine.access import require_handling
from cityledger.quarantine.batches import HeldRows, newest_validation
from cityledger.records import Correction, LandedObject, Record, Validation
from cityledger.runner import Runner
from cityledger.storage import tables
from cityledger.storage.keys import correction_key, correction_receipt_key
from cityledger.storage.objects import LANDING, ObjectStore

#: A file of corrections is edited by hand: this is far more than anybody types.
MOST_BYTES: Final = 256 << 20
#: How long a second steward waits for the first before being told to come back.
PATIENCE_SECONDS: Final = 30.0
_SHOWN: Final = 5


class Accepted(Record):
    """What became of a handed-in file.

    Attributes:
        fresh: False when the same file had been accepted before; nothing was done.
        unchanged: Rows of the file that are as in quarantine, and therefore not part of it.
    """

    correction: Correction
    fresh: bool
    unchanged: int


class UnfitFileError(BadInputError):
    """A file that does not fit the delivery.

    Attributes:
        lines: Rows of the file that show it, 1-based with the header, the first few.
        columns: Business names of missing columns.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str,
        fix: str,
        code: str,
        lines: Sequence[int] = (),
        columns: Sequence[str] = (),
    ) -> None:
        super().__init__(what, where=where, fix=fix, code=code)
        self.lines, self.columns = tuple(lines), tuple(columns)


def correct(
    runner: Runner,
    dataset: str,
    partition: str,
    delivery: str | None = None,
    *,
    name: str,
    data: bytes,
    by: Person,
) -> Accepted:
    """Accept a corrected file; the rows change with the next ``replay``.

    Args:
        runner: Of the installation.
        dataset: Its id.
        partition: The period's key.
        delivery: None for the partition's newest.
        name: The file's name.
        data: The downloaded workbook or CSV, edited, in the department's encoding.
        by: Of the department, or a steward.

    Raises:
        BadInputError: what is wrong with the file: ``not_allowed``, ``file_too_large``,
            ``no_row_ids``, ``missing_column``, ``duplicate_row``, ``other_dataset``,
            ``other_partition``, ``other_delivery``, ``not_quarantined``, ``unknown_row``,
            ``nothing_changed``, or what reading it says. Nothing is kept then.
        UnavailableError: the delivery is being worked on (``locked``), or a service does not
            answer.
    """
    contract = runner.contract(dataset)
    require_handling(by, contract)
    name = scrub(Path(name.replace("\\", "/")).name) or "corrections"
    if len(data) > MOST_BYTES:
        raise _bad("the file is too large for a correction", name, "file_too_large", "split it")
    store = DecisionStore(runner.database)
    with runner.database.lock(f"{dataset}/{partition}", timeout=PATIENCE_SECONDS):
        validation = newest_validation(runner.database, dataset, partition, delivery)
        place = (dataset, partition, validation.delivery)
        sha256 = hashlib.sha256(data).hexdigest()
        for earlier in store.corrections(*place):
            if earlier.file.sha256 == sha256:
                return Accepted(correction=earlier, fresh=False, unchanged=0)
        frame = read_corrections(data, name, contract)
        _check_columns(frame, contract, name)
        _check_ids(frame, validation, runner, name, by)
        changed = _changed(frame, validation, runner)
        if not changed:
            raise _bad(
                "no row differs from what is in quarantine",
                name,
                "nothing_changed",
                "correct the cells that column _问题 speaks of, save the file, hand it in again",
            )
        correction = _land(runner.store, contract, validation, name, data, changed, by)
        store.add_correction(correction)
    return Accepted(correction=correction, fresh=True, unchanged=frame.height - len(changed))


def _check_columns(frame: pl.DataFrame, contract: Contract, name: str) -> None:
    missing = [c.business_name for c in contract.columns if c.name not in frame.columns]
    if missing:
        raise UnfitFileError(
            f"columns are missing: {'、'.join(missing)}",
            where=name,
            fix="hand in the downloaded file with all its columns and their names",
            code="missing_column",
            columns=missing,
        )


def _check_ids(
    frame: pl.DataFrame, validation: Validation, runner: Runner, name: str, by: Person
) -> None:
    blank = frame.filter(pl.col(ROW_ID) == "")
    if blank.height:
        raise _bad(
            f"there is no {ROW_ID} in {_lines(blank)}",
            name,
            "unknown_row",
            "rows can't be added here: missing records come with a new delivery",
            blank,
        )
    twice = frame.filter(pl.col(ROW_ID).is_duplicated())
    if twice.height:
        raise _bad(
            f"a row occurs more than once: {_lines(twice)}",
            name,
            "duplicate_row",
            "keep the right one of them",
            twice,
        )
    foreign = frame.filter(~pl.col(ROW_ID).str.starts_with(f"{validation.delivery}-"))
    if foreign.height:
        raise _foreign(foreign, validation, runner, name, by)
    held = _ids(HeldRows(runner.store, validation.quarantined))
    outside = frame.filter(~pl.col(ROW_ID).is_in(held.implode()))
    if outside.height:
        raise _outside(outside, validation, runner, name)


def _foreign(
    rows: pl.DataFrame, mine: Validation, runner: Runner, name: str, by: Person
) -> BadInputError:
    """Tell whose rows they are, if the person may know: the ids begin with their delivery."""
    delivery = rows[ROW_ID][0].partition("-")[0]
    table = tables.delivery
    query = select(table.c.dataset, table.c.partition).where(table.c.delivery == delivery)
    with runner.database.begin() as connection:
        found = connection.execute(query.order_by(table.c.id)).first()
    if found is None or not by.sees(found.dataset.partition(".")[0]):
        return _bad(
            f"the ids in {_lines(rows)} are of no delivery",
            name,
            "unknown_row",
            f"leave column {ROW_ID} as it was downloaded",
            rows,
        )
    dataset, partition = found
    code = "other_delivery"
    if dataset != mine.dataset:
        code = "other_dataset"
    elif partition != mine.partition:
        code = "other_partition"
    return _bad(
        f"rows of {dataset}/{partition}, delivery {delivery} ({_lines(rows)}) can't correct "
        f"{mine.dataset}/{mine.partition}, delivery {mine.delivery}",
        name,
        code,
        "hand the file in where its rows belong, or download the rows of this delivery",
        rows,
    )


def _outside(rows: pl.DataFrame, mine: Validation, runner: Runner, name: str) -> BadInputError:
    wanted = rows[ROW_ID].implode()
    good = HeldRows(runner.store, mine.validated).column(ROW_ID)
    if any(part.is_in(wanted).any() for part in good):
        return _bad(
            f"rows are not in quarantine, they were found to be good: {_lines(rows)}",
            name,
            "not_quarantined",
            "leave those rows out; to change good rows, hand in the whole delivery again",
            rows,
        )
    return _bad(
        f"the delivery has no such rows: {_lines(rows)}",
        name,
        "unknown_row",
        f"leave column {ROW_ID} as it was downloaded",
        rows,
    )


def _ids(held: HeldRows) -> pl.Series:
    parts = list(held.column(ROW_ID))
    return pl.concat(parts) if parts else pl.Series(dtype=pl.String)


def _changed(frame: pl.DataFrame, validation: Validation, runner: Runner) -> list[str]:
    """Ids of the rows that differ from those in quarantine, in the file's order."""
    names = [name for name in frame.columns if not name.startswith("_")]
    given = {row[ROW_ID]: row for row in frame.iter_rows(named=True)}
    same: set[str] = set()
    for held in HeldRows(runner.store, validation.quarantined).frames():
        for row in held.filter(pl.col(ROW_ID).is_in(list(given))).iter_rows(named=True):
            mine = given[row[ROW_ID]]
            if all(displayed(mine[name]) == displayed(row.get(name)) for name in names):
                same.add(row[ROW_ID])
    return [row_id for row_id in given if row_id not in same]


def _land(
    store: ObjectStore,
    contract: Contract,
    validation: Validation,
    name: str,
    data: bytes,
    row_ids: Sequence[str],
    by: Person,
) -> Correction:
    """The file, then its receipt: the receipt is the commit mark."""
    now = datetime.now(UTC)
    until = now + contract.service_level.retention
    place = (DatasetId.parse(validation.dataset), validation.partition, validation.delivery)
    sha256 = hashlib.sha256(data).hexdigest()
    key = correction_key(*place, name, sha256)
    ref = store.put_bytes(LANDING, key, data, retain_until=until)
    correction = Correction(
        dataset=validation.dataset,
        partition=validation.partition,
        delivery=validation.delivery,
        file=LandedObject(**ref.model_dump(), name=name, source_uri=f"upload:{by.name}"),
        row_ids=tuple(row_ids),
        submitted_by=by.name,
        submitted_at=now,
    )
    store.put_new(
        LANDING,
        correction_receipt_key(*place, sha256),
        correction.model_dump_json(indent=2).encode(),
        retain_until=until,
        content_type="application/json",
    )
    return correction


def _lines(rows: pl.DataFrame) -> str:
    return "line " + ", ".join(_first(rows["_line"].to_list()))


def _first(numbers: Sequence[int]) -> Iterator[str]:
    yield from map(str, numbers[:_SHOWN])
    if len(numbers) > _SHOWN:
        yield f"… ({len(numbers)} in all)"


def _bad(
    what: str, where: str, code: str, fix: str, rows: pl.DataFrame | None = None
) -> BadInputError:
    lines = [] if rows is None else rows["_line"].to_list()[:_SHOWN]
    return UnfitFileError(what, where=where, fix=fix, code=code, lines=lines)
