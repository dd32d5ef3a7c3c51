"""Removes what is due: first the tombstone, in the ledger and the database, then the bytes.

Cut off in between, the next run removes what the tombstone names and is still there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from cityledger.contracts.identity import DatasetId
from cityledger.errors import CityLedgerError
from cityledger.ledger.decisions import DecisionStore
from cityledger.ledger.removals import Removal, tell_removal
from cityledger.operations.retention.book import RetentionBook
from cityledger.operations.retention.standing import Standing, standings
from cityledger.records import ObjectRef, Record
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.keys import PARTS
from cityledger.storage.objects import LAKE, LANDING, QUARANTINE, VALIDATED
from cityledger.storage.operator_store import OperatorStore


class Removed(Record):
    """What a run removed.

    Attributes:
        deliveries: That got a tombstone now.
        objects: Object versions that are gone now.
        locked: Landed objects whose lock the store has not opened yet: the next run tries again.
    """

    deliveries: tuple[str, ...]
    objects: int
    locked: tuple[str, ...]


def remove_due(settings: Settings, now: datetime, *, reason: str, by: str) -> Removed:
    """Remove every delivery of personal data whose time is over, unless a hold keeps it.

    Gone are its landed files (once their lock has ended), corrections, validated and quarantined
    rows, and what its parts have left; the receipt stays. The lake's next build is without it.

    Args:
        settings: Which installation.
        now: The moment to judge by.
        reason: Recorded.
        by: Who decides; recorded.

    Raises:
        UnavailableError: database or object store do not answer; run again.
    """
    database, store = Database.from_settings(settings), OperatorStore.from_settings(settings)
    book = RetentionBook(database)
    with database.lock("retention"):
        known = standings(settings, database, now)
        kept = _still_needed(known)
        told = []
        for one in known:
            if not one.due:
                continue
            place = one.receipt
            # No stage may read or write the delivery while it goes.
            with database.lock(f"{place.dataset}/{place.partition}"):
                objects = tuple(_objects(one, store, database, kept))
                removal = Removal(
                    dataset=place.dataset,
                    partition=place.partition,
                    delivery=place.delivery,
                    objects=objects,
                    ended_at=one.ends_at,
                    removed_at=now,
                    removed_by=by,
                    reason=reason,
                )
                book.bury(removal, tell_removal(settings, removal))
            told.append(f"{place.dataset} {place.partition} {place.delivery}")
        count, locked = _remove_all(book.removals(), known, store, kept)
    return Removed(deliveries=tuple(told), objects=count, locked=locked)


def _still_needed(known: Sequence[Standing]) -> set[tuple[str, str]]:
    """Landed files of deliveries that stay: the same bytes may belong to several deliveries."""
    return {
        (landed.bucket, landed.key)
        for one in known
        if not one.due and not one.removed
        for landed in one.receipt.objects
    }


def _objects(
    one: Standing, store: OperatorStore, database: Database, kept: set[tuple[str, str]]
) -> Iterator[ObjectRef]:
    """Everything that holds rows of the delivery, as it is to be removed."""
    place = one.receipt
    for landed in place.objects:
        if (landed.bucket, landed.key) not in kept:
            yield ObjectRef.model_validate(landed.model_dump(include=set(ObjectRef.model_fields)))
    corrections = DecisionStore(database).corrections(
        place.dataset, place.partition, place.delivery
    )
    for correction in corrections:
        yield ObjectRef.model_validate(
            correction.file.model_dump(include=set(ObjectRef.model_fields))
        )
    folder = f"{DatasetId.parse(place.dataset).prefix}/{place.partition}/{place.delivery}-"
    # Parts are there as long as the delivery has no verdict.
    for bucket, prefix in ((VALIDATED, folder), (QUARANTINE, folder), (LAKE, PARTS + folder)):
        for key in store.list(bucket, prefix):
            found = store.find(bucket, key)
            if found is not None:
                yield found


def _remove_all(
    removals: Sequence[Removal],
    known: Sequence[Standing],
    store: OperatorStore,
    kept: set[tuple[str, str]],
) -> tuple[int, tuple[str, ...]]:
    held = {
        (one.receipt.dataset, one.receipt.partition, one.receipt.delivery)
        for one in known
        if one.holds
    }
    logical = {store.bucket(name): name for name in (LANDING, VALIDATED, QUARANTINE, LAKE)}
    count, locked = 0, []
    for removal in removals:
        if (removal.dataset, removal.partition, removal.delivery) in held:
            continue
        for one in removal.objects:
            if (one.bucket, one.key) in kept:
                continue
            gone, refused = _remove(store, logical[one.bucket], one.key)
            count += gone
            locked += [one.uri] if refused else []
    return count, tuple(locked)


def _remove(store: OperatorStore, bucket: str, key: str) -> tuple[int, bool]:
    """Every version of a key: a landed key names its content, so all of them are the same bytes."""
    count = 0
    for version in list(store.versions(bucket, key)):
        if version.key != key:
            continue
        try:
            store.remove(bucket, key, version.version_id)
        except CityLedgerError as error:
            if error.code != "s3_refused":
                raise
            return count, True
        count += not version.marker
    return count, False
