"""Landing against a real object store: whole or not at all, once, and for as long as promised."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import Contract, Layout, ServiceLevel, SourceSpec
from cityledger.errors import BadInputError, UnavailableError
from cityledger.lifecycle import land as landing
from cityledger.lifecycle.land import land
from cityledger.records import Extraction, Receipt, SpooledFile
from cityledger.settings import Settings
from cityledger.storage.endpoint import S3Endpoint
from cityledger.storage.keys import receipt_prefix
from cityledger.storage.objects import LANDING, ObjectStore
from cityledger.storage.receipts import claim_sequence, current_receipt
from minio import Minio
from minio.error import S3Error

DATASET = DatasetId("hotline", "tickets")
DAY = "2026-03-31"
Deliver = Callable[..., Extraction]


@pytest.fixture
def contract() -> Contract:
    return Contract(
        id=DATASET,
        version="1.0.0",
        title="12345 热线工单",
        path=Path("hotline/tickets.odcs.yaml"),
        sha256="c" * 64,
        columns=(),
        rules=(),
        source=SourceSpec("drop_folder", {}),
        layout=Layout(),
        service_level=ServiceLevel("day", timedelta(hours=8), timedelta(days=90)),
    )


@pytest.fixture
def store(settings: Settings) -> ObjectStore:
    made = ObjectStore.from_settings(settings)
    made.ensure_buckets()
    return made


@pytest.fixture
def foreign(store: ObjectStore) -> Minio:
    """Somebody with the same keys who goes around the store."""
    at = store.endpoint
    return Minio(at.host, at.access_key, at.secret_key, secure=False)


@pytest.fixture
def deliver(tmp_path: Path) -> Deliver:
    """Spools files as extraction does: ``deliver(**{name: text})``."""

    def make(declared: int | None = None, **files: str) -> Extraction:
        spooled = []
        for number, (name, text) in enumerate(files.items()):
            sha256 = hashlib.sha256(text.encode()).hexdigest()
            path = tmp_path / f"{number}-{sha256[:8]}"
            path.write_text(text)
            spooled.append(
                SpooledFile(
                    path=path,
                    name=f"{name}.csv",
                    sha256=sha256,
                    size=len(text.encode()),
                    source_uri=f"file:///drop/{name}.csv",
                )
            )
        return Extraction(
            dataset=str(DATASET), partition=DAY, files=tuple(spooled), declared_rows=declared
        )

    return make


def _versions(client: Minio, store: ObjectStore) -> list[str]:
    found = client.list_objects(store.bucket("landing"), recursive=True, include_version=True)
    return sorted(str(one.version_id) for one in found)


def test_receipt_proves_locked_objects(
    store: ObjectStore, foreign: Minio, contract: Contract, deliver: Deliver
) -> None:
    """Prevents a delivery whose bytes cannot be shown, or can be deleted, before their time."""
    before = datetime.now(UTC)
    receipt = land(deliver(工单="a,b\n1,2\n", 附件="x", declared=1), contract, store=store)
    assert (receipt.sequence, receipt.declared_rows) == (1, 1)
    assert timedelta(days=90) <= receipt.retain_until - before < timedelta(days=91)
    assert current_receipt(store, DATASET, DAY) == receipt
    keys = [*store.list("landing", "_receipts/")]
    assert keys == [f"_receipts/hotline/tickets/{DAY}/00001-{receipt.delivery}.json"]
    stored = [*receipt.objects, store.find("landing", keys[0])]
    for one in stored:
        assert one is not None
        with store.open(one) as stream:
            assert hashlib.file_digest(stream, "sha256").hexdigest() == one.sha256
        with pytest.raises(S3Error, match="AccessDenied"):
            foreign.remove_object(one.bucket, one.key, version_id=one.version_id)
    assert receipt.objects[0].key == (
        f"hotline/tickets/{DAY}/工单.csv.{receipt.objects[0].sha256[:16]}"
    )


def test_same_delivery_again_writes_nothing(
    store: ObjectStore, foreign: Minio, contract: Contract, deliver: Deliver
) -> None:
    """Prevents a repeated task from making new versions of the same bytes."""
    first = land(deliver(a="1", b="2"), contract, store=store)
    versions = _versions(foreign, store)
    assert land(deliver(b="2", a="1"), contract, store=store) == first
    assert _versions(foreign, store) == versions


def test_old_delivery_handed_in_again_does_not_become_current(
    store: ObjectStore, foreign: Minio, contract: Contract, deliver: Deliver
) -> None:
    """Prevents a department's stale file from replacing its correction."""
    old = land(deliver(a="wrong", b="same"), contract, store=store)
    new = land(deliver(a="right", b="same"), contract, store=store)
    assert (old.sequence, new.sequence) == (1, 2)
    versions = _versions(foreign, store)
    assert land(deliver(a="wrong", b="same"), contract, store=store) == old
    assert current_receipt(store, DATASET, DAY) == new
    assert _versions(foreign, store) == versions
    # The unchanged file is the same object in both, kept as long as the later receipt promises.
    shared = new.objects[1]
    assert shared == old.objects[1]
    kept = foreign.get_object_retention(shared.bucket, shared.key, version_id=shared.version_id)
    assert kept is not None
    assert kept.retain_until_date >= new.retain_until - timedelta(seconds=1)


@pytest.mark.parametrize("stop_at", ["second object", "claim", "receipt"])
def test_crash_before_the_receipt_leaves_nothing_current(
    store: ObjectStore,
    foreign: Minio,
    contract: Contract,
    deliver: Deliver,
    monkeypatch: pytest.MonkeyPatch,
    stop_at: str,
) -> None:
    """Prevents half a delivery from being parsed, and a crash from needing a clean-up."""

    class Killed(BaseException):
        """Stands for `kill -9` at this point."""

    def die(*_: object, **__: object) -> None:
        raise Killed

    put_file = store.put_file

    def put_first_only(bucket: str, key: str, *rest: Any, **options: Any) -> Any:
        return die() if "/b.csv" in key else put_file(bucket, key, *rest, **options)

    with monkeypatch.context() as patch:
        if stop_at == "second object":
            patch.setattr(store, "put_file", put_first_only)
        else:
            step = "claim_sequence" if stop_at == "claim" else "save_receipt"
            patch.setattr(landing, step, die)
        with pytest.raises(Killed):
            land(deliver(a="1", b="2"), contract, store=store)
    assert current_receipt(store, DATASET, DAY) is None
    left = _versions(foreign, store)
    receipt = land(deliver(a="1", b="2"), contract, store=store)
    assert receipt.sequence == 1
    assert current_receipt(store, DATASET, DAY) == receipt
    assert set(left) < set(_versions(foreign, store))
    assert len([*store.list("landing", "hotline/")]) == 2


def test_delivery_after_a_crashed_one_and_back(
    store: ObjectStore,
    contract: Contract,
    deliver: Deliver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Prevents a sequence number claimed by a crashed run from making an old delivery the new."""
    claimed = claim_sequence(
        store, DATASET, DAY, "crashed000000000", retain_until=datetime.now(UTC) + timedelta(hours=1)
    )
    assert claimed == 1
    second = land(deliver(a="other"), contract, store=store)
    assert second.sequence == 2
    third = land(deliver(a="back"), contract, store=store)
    assert third.sequence == 3
    assert current_receipt(store, DATASET, DAY) == third


def test_file_changed_since_extraction_lands_nothing_current(
    store: ObjectStore, contract: Contract, deliver: Deliver
) -> None:
    """Prevents a receipt whose hash is not that of the landed bytes."""
    extraction = deliver(a="1", b="2")
    extraction.files[1].path.write_text("3")
    with pytest.raises(BadInputError) as caught:
        land(extraction, contract, store=store)
    assert caught.value.code == "file_changed"
    assert current_receipt(store, DATASET, DAY) is None
    assert land(deliver(a="1", b="2"), contract, store=store).sequence == 1


def test_delivery_without_files_is_refused(
    store: ObjectStore, contract: Contract, deliver: Deliver
) -> None:
    """Prevents an empty receipt that counts as an answered request."""
    with pytest.raises(BadInputError) as caught:
        land(deliver(), contract, store=store)
    assert caught.value.code == "no_files"


def test_object_replaced_by_somebody_is_not_taken_for_the_delivery(
    store: ObjectStore, foreign: Minio, contract: Contract, deliver: Deliver
) -> None:
    """Prevents forged bytes under the right key from getting a receipt."""
    extraction = deliver(a="true")
    sha256 = extraction.files[0].sha256
    key = f"hotline/tickets/{DAY}/a.csv.{sha256[:16]}"
    foreign.put_object(store.bucket("landing"), key, io.BytesIO(b"forged"), 6)
    receipt = land(extraction, contract, store=store)
    with store.open(receipt.objects[0]) as stream:
        assert stream.read() == b"true"


def stored_receipts(store: ObjectStore) -> list[str]:
    keys = store.list(LANDING, receipt_prefix(DATASET, DAY))
    found = (Receipt.model_validate_json(store.get_bytes(LANDING, key)) for key in keys)
    return [one.model_dump_json() for one in found]


def test_different_deliveries_landing_at_once_get_numbers_of_their_own(
    store: ObjectStore, contract: Contract, deliver: Deliver
) -> None:
    """Prevents a tie in the question which delivery is current."""
    extractions = [deliver(a=str(number)) for number in range(5)]
    with ThreadPoolExecutor(5) as pool:
        receipts = list(pool.map(lambda one: land(one, contract, store=store), extractions))
    assert sorted(one.sequence for one in receipts) == [1, 2, 3, 4, 5]
    assert sorted(stored_receipts(store)) == sorted(one.model_dump_json() for one in receipts)


def test_twins_landing_at_once_share_one_receipt(
    store: ObjectStore, contract: Contract, deliver: Deliver
) -> None:
    """Prevents one delivery with two receipts when a task is started twice."""
    for round_ in range(3):
        extraction = deliver(a=f"round {round_}")
        with ThreadPoolExecutor(4) as pool:
            receipts = list(
                pool.map(lambda one: land(one, contract, store=store), [extraction] * 4)
            )
        assert len({one.model_dump_json() for one in receipts}) == 1
        assert len(stored_receipts(store)) == round_ + 1


def test_store_that_is_down_is_told(contract: Contract, deliver: Deliver) -> None:
    """Prevents a stack trace where one sentence says what to start."""
    store = ObjectStore(S3Endpoint.parse("http://key:secret@127.0.0.1:1"))
    with pytest.raises(UnavailableError):
        land(deliver(a="1"), contract, store=store)
