"""Scores as they are stored, and when a delivery is due."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from cityledger.contracts.model import Scope, ServiceLevel
from cityledger.contracts.violations import ContractError
from cityledger.contracts.working_days import WorkingDays
from cityledger.ledger.deliveries import ZONE, due_at, expected, promised
from cityledger.ledger.journal import Journal
from cityledger.ledger.quality import QualityStore
from cityledger.ledger.scores import ScoreBook, delivery_facts
from cityledger.records import Accounting, RuleStatus, Standardisation
from cityledger.storage.database import Database
from hypothesis import given
from hypothesis import strategies as st

from .conftest import Records

PROJECT = Path(__file__).parents[3]
LAST = date(2026, 3, 31)
HOURLY = ServiceLevel("day", timedelta(hours=8), timedelta(days=30))


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    folder = tmp_path / "contracts"
    shutil.copytree(PROJECT / "contracts", folder)
    return folder


@pytest.fixture
def book(database: Database, contracts: Path) -> ScoreBook:
    return ScoreBook(database, contracts)


def _build(snapshot: int, *keys: str, failed: int = 1) -> Standardisation:
    results = [
        Records().result(key=key, scope=Scope.HISTORY, evaluated=100, failed=failed) for key in keys
    ]
    return Standardisation(
        snapshot_id=snapshot, models=(), staged=(), digests={}, results=tuple(results)
    )


# --- the book ---


def test_the_same_score_is_kept_once(
    book: ScoreBook, journal: Journal, records: Records, count: Callable[[str], int]
) -> None:
    """Prevents a repeated task from filling the journal; a changed configuration adds."""
    validation = records.validation()
    assert book.save_validation(validation) is None  # nothing is scored that is not stored
    journal.save_validation(validation)
    first = book.save_validation(validation)
    assert first == book.save_validation(validation)
    assert count("score") == 1
    assert book.rebuild() == 0


def test_a_changed_configuration_adds_scores_and_keeps_the_former(
    book: ScoreBook,
    contracts: Path,
    database: Database,
    journal: Journal,
    records: Records,
    count: Callable[[str], int],
) -> None:
    """Prevents last year's published grade from vanishing when the cuts are moved."""
    validation = records.validation()
    journal.save_validation(validation)
    journal.save_standardisation(_build(5, "hotline.tickets._table.sequence", "core.fct.x.y"), [])
    assert book.rebuild() == 3  # a store that grew before there were scores
    before = QualityStore(database, contracts).partition_card("hotline.tickets", "2026-03-31")
    text = (contracts / "scoring.yaml").read_text(encoding="utf-8")
    (contracts / "scoring.yaml").write_text(text.replace("from: 80", "from: 89"), encoding="utf-8")
    assert book.rebuild() == 3
    assert book.rebuild() == 0
    assert count("score") == 6
    after = QualityStore(database, contracts).partition_card("hotline.tickets", "2026-03-31")
    assert before is not None
    assert after is not None
    assert before.config_sha256 != after.config_sha256
    (contracts / "scoring.yaml").write_text(text, encoding="utf-8")
    assert book.rebuild() == 0  # the way back finds the former scores


def test_a_wrong_configuration_is_an_error(
    book: ScoreBook, contracts: Path, journal: Journal, records: Records
) -> None:
    """Prevents grades by a configuration that nobody wrote."""
    journal.save_validation(records.validation())
    (contracts / "scoring.yaml").write_text("weights: {}", encoding="utf-8")
    with pytest.raises(ContractError, match="'conformity' is missing"):
        book.save_validation(records.validation())


def test_verdicts_on_tables_are_scored_with_their_dataset(
    book: ScoreBook, database: Database, contracts: Path, journal: Journal, records: Records
) -> None:
    """Prevents rules over all partitions from being judged and then shown nowhere."""
    journal.save_validation(records.validation(results=(records.result(failed=0),)))
    book.save_validation(records.validation(results=(records.result(failed=0),)))
    build = _build(7, "hotline.tickets._table.sequence", "core.dim_area.code.unique", failed=100)
    journal.save_standardisation(build, [])
    book.save_standardisation(build)
    store = QualityStore(database, contracts)
    view = store.dataset("hotline.tickets", LAST)
    assert [one.result.key for one in view.table_rules] == ["hotline.tickets._table.sequence"]
    accuracy = view.card.dimension("accuracy").indicators[1]
    assert (accuracy.evaluated, accuracy.satisfied) == (110, 10)
    assert view.trend[-1].scores == view.card.scores
    tables = store.city(LAST).tables
    assert [(one.table, one.scores.total, one.snapshot_id) for one in tables] == [
        ("core.dim_area", 0.0, 7)
    ]


# --- facts of a delivery ---


def _facts(records: Records, first: datetime | None, **counts: int | None) -> dict[str, int]:
    values: dict[str, int | None] = {
        "declared": None,
        "extracted": 11,
        "rejected": 1,
        "expected_rejects": 1,
        "parsed": 10,
        "quarantined": 0,
        "validated": 10,
    }
    validation = records.validation(accounting=Accounting(**values | counts))
    found = delivery_facts(validation, first, HOURLY, WorkingDays())
    return {fact.rule: fact.failed for fact in found}


def test_a_delivery_tells_about_itself(records: Records) -> None:
    """Prevents late, short and unreadable deliveries from scoring like good ones."""
    in_time = datetime(2026, 4, 1, 8, tzinfo=ZONE)
    assert _facts(records, in_time) == {"readable": 0, "on_time": 0}
    assert _facts(records, in_time + timedelta(seconds=1))["on_time"] == 1
    assert _facts(records, in_time.astimezone(UTC), declared=12)["complete"] == 1
    assert _facts(records, None, declared=11) == {"readable": 0, "complete": 0}
    assert _facts(records, None, rejected=4, extracted=14)["readable"] == 3


def test_an_empty_delivery_has_no_share_of_readable_records(records: Records) -> None:
    """Prevents a division by zero, and 100 points for nothing."""
    nothing = {"extracted": 1, "parsed": 0, "validated": 0}
    assert _facts(records, None, **nothing) == {}


# --- promises ---


def test_latency_in_working_days_skips_holidays() -> None:
    """Prevents a department from being late because of the National Day week."""
    level = ServiceLevel("month", timedelta(days=7), timedelta(days=30), None, 5)
    due = due_at(date(2026, 9, 30), level, WorkingDays())
    # 8, 9, 10 (a worked Saturday), 12 and 13 October: due when the 13th ends.
    assert due == datetime(2026, 10, 14, tzinfo=ZONE)


def test_a_promise_in_an_unannounced_year_says_so() -> None:
    """Prevents a reminder that nobody can justify."""
    level = ServiceLevel("month", timedelta(days=7), timedelta(days=30), None, 5)
    window = {"start": date(2035, 1, 1), "end": date(2035, 2, 1)}
    assert [one.certain for one in promised(level, WorkingDays(), **window)] == [False]
    assert all(one.certain for one in promised(HOURLY, WorkingDays(), **window))


@given(
    st.sampled_from(["day", "month", "quarter", "year"]),
    st.dates(date(2000, 1, 1), date(2040, 1, 1)),
    st.integers(0, 800),
)
def test_expected_partitions_follow_each_other(grain: str, start: date, days: int) -> None:
    """Prevents a gap, or a partition counted twice, at the turn of a month or year."""
    end = start + timedelta(days=days)
    found = expected(grain, start, end)
    for one, following in pairwise(found):
        assert following.start == one.end + timedelta(days=1)
    assert all(start <= one.end <= end for one in found)
    if found:
        assert found[0].previous().end < start
    elif grain == "day":
        assert end < start


def test_status_of_broken_rules_is_counted(
    book: ScoreBook, database: Database, contracts: Path, journal: Journal, records: Records
) -> None:
    """Prevents a heat map without the rules that hold a batch."""
    results = [
        records.result(key=f"hotline.tickets.phone.{status}", status=status)
        for status in (RuleStatus.FAILED, RuleStatus.ERROR, RuleStatus.WARNING)
    ]
    validation = records.validation(results=tuple(results))
    journal.save_validation(validation)
    book.save_validation(validation)
    standing = next(
        one
        for one in QualityStore(database, contracts).city(LAST).datasets
        if one.dataset == "hotline.tickets"
    )
    assert standing.broken_rules == 2
