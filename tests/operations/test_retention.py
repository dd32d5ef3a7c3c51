"""Retention and legal holds, on real servers with short locks."""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError, CityLedgerError
from cityledger.ledger.log import checkpoint
from cityledger.ledger.log.landed import verify_landed
from cityledger.ledger.log.verify import verify
from cityledger.lifecycle.parts.plan import PartShelf, Plan
from cityledger.operations.retention import remove
from cityledger.operations.retention.book import RetentionBook
from cityledger.operations.retention.hold import keep_held, place_hold, release_hold
from cityledger.operations.retention.lake import forget_past
from cityledger.operations.retention.remove import remove_due
from cityledger.operations.retention.standing import standings
from cityledger.runner import Runner
from cityledger.settings import Settings
from cityledger.storage import duck
from cityledger.storage.database import Database
from cityledger.storage.keys import PARTS
from cityledger.storage.objects import LAKE, LANDING, QUARANTINE, VALIDATED
from cityledger.storage.operator_store import OperatorStore
from pydantic import SecretStr

from tests.operations.conftest import PSEUDONYM_KEY

PERSONAL, PARTITION = "hotline.tickets", "2026-03-31"
PLAIN = ("environment.air_quality", "2026-03")
LOCK = 2.0
WHO = {"reason": "three years are over", "by": "retention officer"}
#: Longer than any contract keeps its data.
LATER = datetime.now(UTC) + timedelta(days=20 * 366)


@pytest.fixture
def town(ready_settings: Settings, drop: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Two judged deliveries, one of them personal, in landing under a lock of two seconds."""
    city = {"drop_dir": drop, "pseudonym_key": SecretStr(PSEUDONYM_KEY)}
    runner, agreed = Runner(ready_settings.model_copy(update=city)), Runner.contract

    def short(self: Runner, dataset: str) -> Contract:
        contract = agreed(self, dataset)
        level = dataclasses.replace(contract.service_level, retention=timedelta(seconds=LOCK))
        return dataclasses.replace(contract, service_level=level)

    monkeypatch.setattr(Runner, "contract", short)
    for dataset, partition in ((PERSONAL, PARTITION), PLAIN):
        runner.extract_land(dataset, partition)
        runner.parse_validate(dataset, partition)
        runner.release(dataset, partition)
    return runner


def _keys(settings: Settings, dataset: str) -> set[tuple[str, str]]:
    """Objects with rows of a dataset."""
    store, folder = OperatorStore.from_settings(settings), dataset.replace(".", "/")
    return {
        (bucket, one.key)
        for bucket in (LANDING, VALIDATED, QUARANTINE)
        for one in store.versions(bucket, f"{folder}/")
    }


def _settle(runner: Runner) -> None:
    time.sleep(LOCK + 1.1)
    checkpoint(runner.settings)


def test_personal_data_goes_and_the_ledger_says_why(town: Runner) -> None:
    """Data that outlives its purpose, or a removal that looks like a theft."""
    settings = town.settings
    store, database = OperatorStore.from_settings(settings), Database.from_settings(settings)
    known = {one.receipt.dataset: one for one in standings(settings, database, LATER)}
    assert (known[PERSONAL].due, known[PLAIN[0]].due) == (True, False)
    assert not standings(settings, database, datetime.now(UTC))[0].due
    _settle(town)
    plain, personal = _keys(settings, PLAIN[0]), _keys(settings, PERSONAL)
    assert {bucket for bucket, _ in personal} == {LANDING, VALIDATED, QUARANTINE}

    done = remove_due(settings, LATER, **WHO)

    assert done.deliveries == (f"{PERSONAL} {PARTITION} {known[PERSONAL].receipt.delivery}",)
    assert (done.objects, done.locked) == (len(personal), ())
    assert _keys(settings, PERSONAL) == set()
    assert _keys(settings, PLAIN[0]) == plain
    checkpoint(settings)
    assert verify(settings).clean
    assert list(verify_landed(database, store)) == []
    assert [one.dataset for one in town.journal.released()] == [PLAIN[0]]
    (stone,) = RetentionBook(database).removals()
    assert (stone.removed_by, stone.reason) == (WHO["by"], WHO["reason"])
    assert {(one.bucket, one.key) for one in stone.objects} == {
        (store.bucket(bucket), key) for bucket, key in personal
    }
    assert remove_due(settings, LATER, **WHO).deliveries == ()


def test_parts_without_a_verdict_go_with_their_delivery(town: Runner) -> None:
    """Names and telephone numbers that lie for ever where no task comes by any more."""
    settings = town.settings
    store = OperatorStore.from_settings(settings)
    receipt = town.landed(PERSONAL, PARTITION)
    shelf = PartShelf(store, receipt, town.contract(PERSONAL))
    shelf.save_plan(Plan(whole="a task that was never run again"))
    other = PartShelf(store, town.landed(*PLAIN), town.contract(PLAIN[0]))
    other.save_plan(Plan(whole="not personal"))
    _settle(town)
    remove_due(settings, LATER, **WHO)
    assert list(store.list(LAKE, PARTS)) == [other.key("plan.json")]
    assert _keys(settings, PERSONAL) == set()


@pytest.mark.drill
def test_what_is_gone_without_a_tombstone_is_a_finding(town: Runner) -> None:
    """Somebody with the keys who waits for the lock to end and then deletes."""
    settings = town.settings
    store, database = OperatorStore.from_settings(settings), Database.from_settings(settings)
    _settle(town)
    key = next(key for bucket, key in _keys(settings, PERSONAL) if bucket == LANDING)
    for one in list(store.versions(LANDING, key)):
        store.remove(LANDING, key, one.version_id)
    assert [one.kind for one in verify_landed(database, store)] == ["object_missing"]


def test_a_lock_that_has_not_ended_keeps_the_file_until_the_next_run(town: Runner) -> None:
    """A removal that stops half-way for good, or that claims what it could not do."""
    settings = town.settings
    store = OperatorStore.from_settings(settings)
    (version,) = store.versions(LANDING, "hotline/tickets/")
    # A lock whose end does not depend on how fast this machine is.
    store.hold(LANDING, version.key, version.version_id)
    done = remove_due(settings, LATER, **WHO)
    assert done.locked == (f"s3://{store.bucket(LANDING)}/{version.key}",)
    assert _keys(settings, PERSONAL) == {(LANDING, version.key)}
    store.release_hold(LANDING, version.key, version.version_id)
    _settle(town)
    again = remove_due(settings, LATER, **WHO)
    assert (again.deliveries, again.objects, again.locked) == ((), 1, ())
    assert _keys(settings, PERSONAL) == set()


@pytest.mark.drill
def test_a_removal_that_was_cut_off_is_finished(
    town: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tombstone over data that is still there for ever."""
    settings = town.settings
    _settle(town)

    def cut(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(remove, "_remove_all", cut)
        with pytest.raises(ConnectionError):
            remove_due(settings, LATER, **WHO)
    assert _keys(settings, PERSONAL)
    remove_due(settings, LATER, **WHO)
    assert _keys(settings, PERSONAL) == set()


def test_a_hold_keeps_everything_until_it_is_released(town: Runner) -> None:
    """Evidence for a court that a nightly job has deleted."""
    settings = town.settings
    store, database = OperatorStore.from_settings(settings), Database.from_settings(settings)
    whole = place_hold(settings, PERSONAL, None, reason="case 2026-17", by="legal office")
    part = place_hold(settings, PERSONAL, PARTITION, reason="audit", by="auditor")
    _settle(town)
    before = _keys(settings, PERSONAL)
    assert remove_due(settings, LATER, **WHO).deliveries == ()
    assert _keys(settings, PERSONAL) == before
    key = next(key for bucket, key in before if bucket == LANDING)
    version = next(iter(store.versions(LANDING, key)))
    with pytest.raises(CityLedgerError) as refused:  # not even past our code
        store.remove(LANDING, key, version.version_id)
    assert refused.value.code == "s3_refused"
    release_hold(settings, whole.id, reason="closed", by="legal office")
    assert remove_due(settings, LATER, **WHO).deliveries == ()
    assert keep_held(settings, database) == 1
    release_hold(settings, part.id, reason="done", by="auditor")
    assert len(remove_due(settings, LATER, **WHO).deliveries) == 1
    assert _keys(settings, PERSONAL) == set()
    with pytest.raises(BadInputError, match="released already"):
        release_hold(settings, part.id, reason="again", by="auditor")
    with pytest.raises(BadInputError, match="no dataset"):
        place_hold(settings, "no.such", None, reason="typo", by="auditor")


@pytest.mark.drill
def test_the_lake_forgets_removed_rows_and_nothing_else(town: Runner) -> None:
    """Rows that everybody believes gone, readable in an older snapshot or in an orphaned file."""
    settings = town.settings
    town.standardise()
    store = OperatorStore.from_settings(settings)
    table = "lake.staging.stg_hotline__tickets"
    with duck.connect(settings, lake=True, read_only=True) as connection:
        (before,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)
        (plain,) = connection.execute(
            "SELECT count(*) FROM lake.staging.stg_environment__air_quality"
        ).fetchone() or (0,)
    assert before > 0
    assert plain > 0
    old = {one.key for one in store.versions(LAKE)}
    _settle(town)
    remove_due(settings, LATER, **WHO)

    done = forget_past(town)

    assert done.expired >= 1
    assert old.isdisjoint(one.key for one in store.versions(LAKE))
    with duck.connect(settings, lake=True, read_only=True) as connection:
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        assert connection.execute(
            "SELECT count(*) FROM lake.staging.stg_environment__air_quality"
        ).fetchone() == (plain,)
        snapshots = connection.execute("SELECT min(snapshot_id) FROM lake.snapshots()").fetchone()
    assert snapshots is not None
    assert snapshots[0] >= done.snapshot_id
    checkpoint(settings)
    assert verify(settings).clean
