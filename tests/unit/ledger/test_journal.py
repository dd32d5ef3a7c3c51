"""The journal: repeats change nothing, later records win, nothing is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from cityledger.errors import UnavailableError
from cityledger.ledger.journal import Journal
from cityledger.records import (
    Channel,
    Decision,
    IndicatorStatus,
    IndicatorValue,
    ModelResult,
    Publication,
    Stage,
    Staged,
    Standardisation,
)
from cityledger.storage.address import DatabaseAddress
from cityledger.storage.database import Database
from sqlalchemy.exc import IntegrityError

Count = Callable[[str], int]
DATASET, PARTITION = "hotline.tickets", "2026-03-31"


def _build(snapshot: int, *deliveries: str, **changes: Any) -> Standardisation:
    staged = [
        Staged(dataset=DATASET, partition=PARTITION, delivery=one, rows=8) for one in deliveries
    ]
    model = ModelResult(name="stg", layer="staging", status="success", rows=8, seconds=0.1)
    values: dict[str, Any] = {"digests": {"core.t": "ab"}, "models": (model,)}
    return Standardisation(snapshot_id=snapshot, staged=tuple(staged), **values | changes)


def test_receipts_come_back_in_delivery_order(journal: Journal, records: Any, count: Count) -> None:
    """Prevents an older delivery from standing as the current one."""
    second, first = records.receipt(2, "d2"), records.receipt(1, "d1")
    for receipt in (second, first, second):
        journal.save_receipt(receipt)
    assert journal.receipts(DATASET, PARTITION) == [first, second]
    assert journal.current_receipt(DATASET, PARTITION) == second
    assert journal.current_receipt(DATASET, "2026-04-01") is None
    assert count("delivery") == 2


def test_two_deliveries_with_one_sequence_are_refused(journal: Journal, records: Any) -> None:
    """Prevents a silent tie in the question which delivery is current."""
    journal.save_receipt(records.receipt(1, "d1"))
    with pytest.raises(IntegrityError):
        journal.save_receipt(records.receipt(1, "d2"))


def test_validation_is_kept_once_and_found_by_contract(
    journal: Journal, records: Any, count: Count
) -> None:
    """Prevents a repeated task from doubling results, and results of another contract's rules."""
    validation = records.validation()
    for _ in range(2):
        journal.save_validation(validation)
    assert journal.find_validation(DATASET, PARTITION, "d1", "c" * 64) == validation
    assert journal.find_validation(DATASET, PARTITION, "d1", "e" * 64) is None
    assert (count("validation"), count("rule_result")) == (1, 1)


def test_differing_validation_counts_from_then_on(
    journal: Journal, records: Any, count: Count
) -> None:
    """Prevents a forced re-run from being ignored, and from erasing what was said before."""
    journal.save_validation(records.validation())
    again = records.validation(content="b")
    journal.save_validation(again)
    assert journal.find_validation(DATASET, PARTITION, "d1", "c" * 64) == again
    assert count("validation") == 2


def test_concurrent_writers_of_one_record_add_it_once(
    journal: Journal, records: Any, count: Count
) -> None:
    """Prevents duplicates when two tasks save the same result at the same moment."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(journal.save_validation, [records.validation()] * 16))
        list(pool.map(journal.record, [records.outcome("r1")] * 16))
    assert (count("validation"), count("rule_result"), count("outcome")) == (1, 1, 1)


def test_newest_released_delivery_is_used(journal: Journal, records: Any) -> None:
    """Prevents a held correction from taking the released delivery out of the warehouse."""
    for sequence, delivery in enumerate(["d1", "d2", "d3"], start=1):
        journal.save_receipt(records.receipt(sequence, delivery))
    journal.save_release(records.release("d2"))
    journal.save_release(records.release("d1"))
    journal.save_release(records.release("d3", released=False, reasons=("too many",)))
    assert [one.delivery for one in journal.released()] == ["d2"]

    approved = Decision(
        approved=True,
        decided_by="steward",
        reason="checked",
        decided_at=datetime(2026, 4, 1, tzinfo=UTC),
        channel=Channel.AIRFLOW,
    )
    journal.save_release(records.release("d3", reasons=("too many",), decision=approved))
    assert [one.delivery for one in journal.released()] == ["d3"]
    found = journal.find_release(DATASET, PARTITION, "d3")
    assert found is not None
    assert found.decision == approved


def test_release_taken_back_does_not_count(journal: Journal, records: Any) -> None:
    """Prevents a delivery that is held now from being used because it was released once."""
    journal.save_release(records.release())
    journal.save_release(records.release(released=False))
    assert journal.released() == []
    assert journal.pending() == []


def test_pending_until_staged(journal: Journal, records: Any, count: Count) -> None:
    """Prevents both a forgotten delivery and one that is staged over and over."""
    first = records.release("d1")
    journal.save_receipt(records.receipt(1, "d1"))
    journal.save_release(first)
    assert journal.pending() == [first]
    for _ in range(2):
        journal.save_standardisation(_build(5, "d1"), [first])
    assert journal.pending() == []
    assert (count("standardisation"), count("staged"), count("model_result")) == (1, 1, 1)

    second = records.release("d2")
    journal.save_receipt(records.receipt(2, "d2"))
    journal.save_release(second)
    assert journal.pending() == [second]


def test_delivery_validated_anew_is_pending_again(journal: Journal, records: Any) -> None:
    """Prevents rows judged by an old contract from staying in the warehouse."""
    old, new = records.release("d1", "a"), records.release("d1", "b")
    journal.save_release(old)
    journal.save_standardisation(_build(5, "d1"), [old])
    journal.save_release(new)
    assert journal.pending() == [new]
    journal.save_standardisation(_build(6, "d1"))
    assert journal.pending() == []
    journal.save_release(old)
    assert journal.pending() == [old]


def test_release_made_during_a_build_stays_pending(journal: Journal, records: Any) -> None:
    """Prevents a delivery from being lost because it was released while dbt was running."""
    old, new = records.release("d1", "a"), records.release("d1", "b")
    journal.save_release(old)
    journal.save_release(new)
    journal.save_standardisation(_build(5, "d1"), [old])
    assert journal.pending() == [new]


def test_standardisation_and_publication_come_back_whole(
    journal: Journal, records: Any, count: Count
) -> None:
    """Prevents a publication from being repeated, or confused with another snapshot's."""
    assert journal.latest_standardisation() is None
    build = _build(7)
    journal.save_standardisation(_build(9))
    journal.save_standardisation(build)  # a lake made anew starts with small snapshot ids again
    assert journal.latest_standardisation() == build

    value = IndicatorValue(
        code="A1",
        name="好天数",
        name_en="good days",
        area="990100",
        period="2026-03",
        value="0.93",
        unit="%",
        target=None,
        status=IndicatorStatus.NOT_APPLICABLE,
    )
    publication = Publication(
        snapshot_id=7, objects=(records.ref(),), rows=1, content_sha256="ab", values=(value,)
    )
    for _ in range(2):
        journal.save_publication(publication)
    assert journal.find_publication(7) == publication
    assert journal.find_publication(9) is None
    assert (count("publication"), count("indicator_value")) == (1, 1)


def test_outcomes_newest_first_and_filtered(journal: Journal, records: Any) -> None:
    """Prevents a failure from being hidden behind an older success."""
    good = records.outcome("r1")
    bad = records.outcome(
        "r2", status="failure", error_code="file_changed", error="changed", detail={"fix": "again"}
    )
    other = records.outcome("r3", Stage.EXTRACT, dataset="health.outpatient_visits")
    for outcome in (good, bad, other, good):
        journal.record(outcome)
    assert journal.outcomes() == [other, bad, good]
    assert journal.outcomes(DATASET, stage=Stage.LAND) == [bad, good]
    assert journal.outcomes(DATASET, limit=1) == [bad]


def test_text_that_postgresql_cannot_store_is_kept_readable(journal: Journal, records: Any) -> None:
    """Prevents a file with NUL bytes from breaking the record of its own rejection."""
    journal.record(
        records.outcome("r1", error="NUL \0 and \udcff", detail={"header": ["a\0b", {"\0": 1}]})
    )
    (kept,) = journal.outcomes()
    assert kept.error == "NUL \ufffd and ?"
    assert kept.detail == {"header": ["a\ufffdb", {"\ufffd": 1}]}


def test_matrix_shows_where_everything_stands(journal: Journal, records: Any) -> None:
    """Prevents a status page that shows yesterday's success over today's failure."""
    accounting = records.validation().model_dump(mode="json")["accounting"]
    journal.record(records.outcome("r1", Stage.VALIDATE, detail={"accounting": accounting}))
    journal.record(records.outcome("r2", Stage.PARSE, detail={"accounting": accounting}))
    journal.record(records.outcome("r3", Stage.LAND))
    journal.record(records.outcome("r4", Stage.LAND, status="failure", error_code="x"))
    release = records.release()
    journal.save_release(release)
    journal.save_standardisation(_build(3, "d1"), [release])
    (row,) = journal.matrix()
    assert (row.dataset, row.partition) == (DATASET, PARTITION)
    assert [*row.stages] == [Stage.LAND, Stage.PARSE, Stage.VALIDATE, Stage.STANDARDISE]
    assert row.stages[Stage.LAND].status == "failure"
    assert row.stages[Stage.LAND].error_code == "x"
    assert row.stages[Stage.PARSE].rows == 10
    assert row.stages[Stage.VALIDATE].rows == 8
    assert row.stages[Stage.VALIDATE].seconds == 2.0
    assert row.stages[Stage.STANDARDISE].rows == 8


def test_matrix_looks_through_skipped_stages(journal: Journal, records: Any) -> None:
    """Prevents a repeated day from showing nothing but `skipped`, or a failure as done."""
    journal.record(records.outcome("r1", Stage.RELEASE, detail={"rows": 8}))
    journal.record(records.outcome("r2", Stage.RELEASE, status="skipped"))
    journal.record(records.outcome("r3", Stage.LAND, status="skipped"))
    journal.record(records.outcome("r4", Stage.PARSE))
    journal.record(records.outcome("r5", Stage.PARSE, status="failure"))
    (row,) = journal.matrix()
    assert (row.stages[Stage.RELEASE].status, row.stages[Stage.RELEASE].rows) == ("success", 8)
    assert row.stages[Stage.LAND].status == "skipped"
    assert row.stages[Stage.PARSE].status == "failure"


def test_database_that_is_down_is_told(records: Any) -> None:
    """Prevents a driver's stack trace at the end of an otherwise good run."""
    journal = Journal(Database(DatabaseAddress.parse("postgresql://u:p@127.0.0.1:1/d")))
    with pytest.raises(UnavailableError):
        journal.record(records.outcome("r1"))
