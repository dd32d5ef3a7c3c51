"""What pages get: windows, deliveries, changes, history."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cityledger.errors import BadInputError
from cityledger.ledger.deliveries import ZONE
from cityledger.ledger.journal import Journal
from cityledger.ledger.quality import QualityStore
from cityledger.ledger.quality_records import DeliveryState
from cityledger.ledger.scores import ScoreBook
from cityledger.records import (
    Receipt,
    RuleResult,
    RuleStatus,
    Validation,
)
from cityledger.settings import Settings
from cityledger.storage.database import Database

from .conftest import Records

PROJECT = Path(__file__).parents[3]
DATASET = "hotline.tickets"  # daily, due 8 hours after the day
LAST = date(2026, 3, 31)
NOON = datetime(2026, 4, 1, 12, tzinfo=ZONE)


class City:
    """A city that hands in what a test says."""

    def __init__(self, database: Database, contracts: Path, records: Records) -> None:
        self.now = NOON
        self.contracts = contracts
        self.journal = Journal(database)
        self.scores = ScoreBook(database, contracts)
        self.store = QualityStore(database, contracts, clock=lambda: self.now)
        self._records = records
        self._number = 0

    def deliver(
        self,
        day: date,
        *results: RuleResult,
        hour: int = 6,
        sequence: int = 1,
        score: bool = True,
    ) -> Validation:
        """A delivery for a day that landed on the next one."""
        receipt, validation = self.prepare(day, *results, hour=hour, sequence=sequence)
        self.journal.save_receipt(receipt)
        self.journal.save_validation(validation)
        if score:
            self.scores.save_validation(validation)
        return validation

    def prepare(
        self, day: date, *results: RuleResult, hour: int = 6, sequence: int = 1
    ) -> tuple[Receipt, Validation]:
        """What a delivery leaves behind, not stored yet."""
        self._number += 1
        name, key = f"d{self._number}", day.isoformat()
        landed = datetime(day.year, day.month, day.day, hour, tzinfo=ZONE) + timedelta(days=1)
        made = results or (self._records.result(),)
        return (
            self._records.receipt(sequence, name, partition=key, landed_at=landed),
            self._records.validation(name, partition=key, results=made),
        )


@pytest.fixture
def city(database: Database, tmp_path: Path, records: Records) -> City:
    contracts = tmp_path / "contracts"
    shutil.copytree(PROJECT / "contracts", contracts)
    return City(database, contracts, records)


def _back(days: int) -> date:
    return LAST - timedelta(days=days)


def test_an_empty_city_has_pages(city: City) -> None:
    """Prevents a console that breaks on the day it is installed; nothing is assessed, not 100."""
    view = city.store.city(LAST)
    assert len(view.datasets) == 9
    assert {one.scores.dimensions["conformity"] for one in view.datasets} == {None}
    assert city.store.newest_day() is None
    assert city.store.runs(DATASET) == ()
    assert view.trend[-1].day == LAST


def test_a_card_is_stored_with_its_run(city: City, records: Records) -> None:
    """Prevents pages that show other numbers than the run was told."""
    city.deliver(LAST, records.result(evaluated=1000, failed=100))
    run = city.store.runs(DATASET)[0]
    view = city.store.run(run.run)
    assert view.card is not None
    assert view.card.dimension("accuracy").score == 90.0
    assert view.card.scores == run.scores
    assert [fact.rule for fact in view.facts] == ["readable", "on_time"]
    assert view.receipt is not None
    assert view.release is None
    with pytest.raises(BadInputError, match="no run 999"):
        city.store.run(999)


def test_every_level_adds_up_the_same_sums(city: City, records: Records) -> None:
    """Prevents a city whose score is a mean of percentages: ten rows against a million."""
    city.deliver(_back(1), records.result(evaluated=10, failed=10))
    city.deliver(LAST, records.result(evaluated=990, failed=0))
    for card in (
        city.store.card(dataset=DATASET, day=LAST),
        city.store.card(department="hotline", day=LAST),
        city.store.city(LAST).card,
    ):
        accuracy = card.dimension("accuracy")
        assert accuracy.score == 99.0
        assert accuracy.indicators[1].evaluated == 1000


def test_a_corrected_delivery_replaces_the_former(city: City, records: Records) -> None:
    """Prevents a department from being scored on what it has long corrected.

    The former delivery judged again (its contract changed) does not count either.
    """
    first = city.deliver(LAST, records.result(evaluated=10, failed=10))
    city.deliver(LAST, records.result(evaluated=10, failed=0), sequence=2, hour=9)
    city.journal.save_validation(first.model_copy(update={"contract_sha256": "e" * 64}))
    city.scores.save_validation(first.model_copy(update={"contract_sha256": "e" * 64}))
    assert city.store.card(dataset=DATASET, day=LAST).dimension("accuracy").score == 100.0
    view = city.store.dataset(DATASET, LAST)
    assert len(view.runs) == 3
    assert view.deliveries[-1].deliveries == 2
    assert view.counts.repeated == 1


def test_the_window_ends(city: City, records: Records) -> None:
    """Prevents scores of last year from holding up today's."""
    city.deliver(_back(31), records.result(evaluated=10, failed=10))
    city.deliver(_back(30), records.result(evaluated=10, failed=5))
    city.deliver(LAST, records.result(evaluated=10, failed=0))
    assert city.store.card(dataset=DATASET, day=LAST).dimension("accuracy").score == 75.0


def test_the_calendar_names_each_state(city: City) -> None:
    """Prevents a late or missing delivery from passing for a good one."""
    city.deliver(_back(4))
    city.deliver(_back(3), hour=9)
    held = city.deliver(_back(1))
    city.journal.save_release(
        Records().release(held.delivery, partition=held.partition, released=False)
    )
    city.now = datetime(2026, 4, 1, 7, tzinfo=ZONE)
    calendar = city.store.deliveries(DATASET, _back(6), LAST)
    assert [(one.period_end, one.state) for one in calendar] == [
        (_back(4), DeliveryState.ON_TIME),  # the first that ever came: nothing is owed before
        (_back(3), DeliveryState.LATE),
        (_back(2), DeliveryState.MISSING),
        (_back(1), DeliveryState.HELD),
        (LAST, DeliveryState.NOT_DUE),
    ]
    assert calendar[1].due_at == datetime(2026, 3, 29, 8, tzinfo=ZONE)
    card = city.store.card(dataset=DATASET, day=LAST)
    completeness = card.dimension("completeness").indicators[1]
    assert (completeness.satisfied, completeness.evaluated) == (3, 4)
    timeliness = card.dimension("timeliness").indicators[1]
    assert (timeliness.satisfied, timeliness.evaluated) == (2, 4)


def test_a_dataset_that_never_delivered_owes_one_partition(city: City) -> None:
    """Prevents both a month of accusations on the first day, and silence."""
    standing = next(one for one in city.store.city(LAST).datasets if one.dataset == DATASET)
    assert (standing.deliveries.missing, standing.deliveries.expected) == (1, 1)


def test_what_changed(city: City, records: Records) -> None:
    """Prevents a steward from comparing yesterday's page with today's by eye."""
    city.now = datetime.now(UTC)
    today = city.now.astimezone(ZONE).date()
    good = records.result(evaluated=10, failed=0, status=RuleStatus.PASSED)
    bad = records.result(evaluated=10, failed=10, status=RuleStatus.FAILED, threshold=1.0)
    city.deliver(today - timedelta(days=3), good)
    middle = datetime.now(UTC)
    for number in (1, 2):  # broken again is not newly broken
        city.deliver(today - timedelta(days=2), bad, hour=9, sequence=number)
    changes = city.store.changes(middle, datetime.now(UTC))
    assert [(one.dataset, one.better) for one in changes.grades] == [(DATASET, False)]
    assert [(one.key, one.before) for one in changes.broken] == [(bad.key, RuleStatus.PASSED)]
    assert city.store.changes(datetime.now(UTC)).broken == ()


def test_what_became_late(city: City) -> None:
    """Prevents a missing delivery from being noticed only by who looks for it."""
    city.deliver(_back(2))
    city.deliver(_back(1), hour=9)
    changes = city.store.city(_back(1)).changes
    late = [one for one in changes.late if one.dataset == DATASET]
    assert [(one.partition, one.state) for one in late] == [
        (_back(1).isoformat(), DeliveryState.LATE)
    ]


def test_the_trend_is_the_card_of_each_day(city: City, records: Records) -> None:
    """Prevents a curve that ends elsewhere than the card beside it says."""
    for back in (40, 33, 32, 20, 3, 1):  # the eldest leave the windows one by one
        hour = 6 if back % 2 else 9
        city.deliver(_back(back), records.result(evaluated=100, failed=back), hour=hour)
    for point in city.store.dataset(DATASET, LAST).trend[::4]:
        assert point.scores == city.store.card(dataset=DATASET, day=point.day).scores
    for point in city.store.city(LAST).trend[::10]:
        assert point.scores == city.store.card(day=point.day).scores


_ELSEWHERE = """
import json, sys
from pathlib import Path
from cityledger.ledger.journal import Journal
from cityledger.ledger.scores import ScoreBook
from cityledger.records import Receipt, Validation
from cityledger.storage.address import DatabaseAddress
from cityledger.storage.database import Database

url, contracts, receipt, validation = json.load(sys.stdin)
database, validation = Database(DatabaseAddress.parse(url)), Validation.model_validate(validation)
Journal(database).save_receipt(Receipt.model_validate(receipt))
Journal(database).save_validation(validation)
ScoreBook(database, Path(contracts)).save_validation(validation)
"""


def test_a_kept_city_shows_what_another_process_stored(
    city: City, records: Records, settings: Settings
) -> None:
    """Prevents a page that is fast because it shows the state of a minute ago."""
    city.deliver(_back(1), records.result(evaluated=100, failed=0))
    kept = city.store.city(LAST)
    assert city.store.city(LAST) is kept  # nothing happened: nothing is read again
    prepared = city.prepare(LAST, records.result(evaluated=100, failed=100))
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()
    told = [url, str(city.contracts), *(one.model_dump(mode="json") for one in prepared)]
    subprocess.run([sys.executable, "-c", _ELSEWHERE], input=json.dumps(told).encode(), check=True)
    fresh = city.store.city(LAST)
    assert kept.card.dimension("accuracy").score == 100.0
    assert fresh.card.dimension("accuracy").score == 50.0
    assert next(one for one in fresh.datasets if one.dataset == DATASET).newest_partition == (
        LAST.isoformat()
    )


def test_a_kept_city_grows_late_with_the_clock(city: City) -> None:
    """Prevents a missing delivery that stays "not due" because no journal has a new row."""
    city.deliver(_back(1))
    city.now = datetime(2026, 4, 1, 7, 59, tzinfo=ZONE)
    before = city.store.dataset(DATASET, LAST).counts
    city.now = datetime(2026, 4, 1, 8, 1, tzinfo=ZONE)
    after = city.store.dataset(DATASET, LAST).counts
    assert (before.missing, before.not_due) == (0, 1)
    assert (after.missing, after.not_due) == (1, 0)


def test_a_kept_city_follows_its_files(city: City, records: Records) -> None:
    """Prevents grades by a convention that the city has changed since."""
    city.deliver(LAST, records.result(evaluated=100, failed=50))
    before = city.store.city(LAST)
    path = city.contracts / "hotline" / "tickets.odcs.yaml"
    path.unlink()
    assert len(city.store.city(LAST).datasets) == len(before.datasets) - 1
