"""Places and releases legal holds: in the book, in the object store, in the ledger's events."""

from __future__ import annotations

from datetime import UTC, datetime

from cityledger.contracts.registry import load_contracts
from cityledger.errors import BadInputError
from cityledger.operations.retention.book import Hold, RetentionBook
from cityledger.operations.retention.standing import standings
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.objects import LANDING
from cityledger.storage.operator_store import OperatorStore


def place_hold(
    settings: Settings, dataset: str, partition: str | None, *, reason: str, by: str
) -> Hold:
    """Keep a dataset's data, or a partition's, whatever its retention says.

    Raises:
        BadInputError: there is neither a contract nor a delivery of that name.
    """
    database = Database.from_settings(settings)
    with database.lock("retention"):
        known = standings(settings, database, datetime.now(UTC), dataset=dataset)
        if not known and dataset not in {
            str(key) for key in load_contracts(settings.contracts_dir)
        }:
            raise BadInputError(
                f"there is no dataset {dataset}",
                fix="`cityledger status` lists them",
                code="unknown_dataset",
            )
        made = RetentionBook(database).place(dataset, partition, reason=reason, by=by)
        keep_held(settings, database)
    return made


def release_hold(settings: Settings, number: int, *, reason: str, by: str) -> Hold:
    """End a hold; what another one covers stays held.

    Raises:
        BadInputError: it is not in force.
    """
    database = Database.from_settings(settings)
    with database.lock("retention"):
        ended = RetentionBook(database).end(number, reason=reason, by=by)
        keep_held(settings, database, freed=ended)
    return ended


def keep_held(settings: Settings, database: Database, *, freed: Hold | None = None) -> int:
    """Make the object store agree with the book: it refuses to delete what is held.

    Called again, it also reaches what has landed since the hold was placed.

    Args:
        settings: Which installation.
        database: Its database.
        freed: A hold that has just been released.

    Returns:
        How many landed objects are held.
    """
    store, dataset = OperatorStore.from_settings(settings), freed.dataset if freed else None
    known = standings(settings, database, datetime.now(UTC), dataset=dataset)
    # The same bytes may belong to several deliveries, of which one is held.
    held = {one.key for each in known if each.holds for one in each.receipt.objects}
    free = {one.key for each in known if freed and not each.removed for one in each.receipt.objects}
    for key in sorted(held):
        for version in _versions(store, key):
            store.hold(LANDING, key, version)
    for key in sorted(free - held):
        for version in _versions(store, key):
            store.release_hold(LANDING, key, version)
    return len(held)


def _versions(store: OperatorStore, key: str) -> list[str | None]:
    found = store.versions(LANDING, key)
    return [one.version_id for one in found if one.key == key and not one.marker]
