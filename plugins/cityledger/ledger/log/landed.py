"""Compares landed objects with their receipts, byte by byte.

What was removed when its retention had ended is no finding: its tombstone is an event of the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import select

from cityledger.errors import CityLedgerError
from cityledger.ledger.log.verify import Finding
from cityledger.ledger.removals import told_removals
from cityledger.records import LandedObject, Receipt
from cityledger.storage.database import Database
from cityledger.storage.objects import LANDING, ObjectStore
from cityledger.storage.tables import delivery

_CHUNK = 1024**2


def verify_landed(database: Database, store: ObjectStore) -> Iterator[Finding]:
    """What is not as its receipt says: objects, receipts, and the journal's copy of them."""
    with database.begin() as connection:
        query = select(delivery.c.record).order_by(delivery.c.id)
        records: list[Any] = list(connection.scalars(query))
    journal = {_name(one): one for one in map(Receipt.model_validate, records)}
    ended = {
        (one.bucket, one.key, one.sha256): removal.removed_at
        for removal in told_removals(database)
        for one in removal.objects
    }
    stored: set[str] = set()
    for key in store.list(LANDING, "_receipts/"):
        receipt = Receipt.model_validate_json(store.get_bytes(LANDING, key))
        stored.add(_name(receipt))
        if journal.get(_name(receipt), receipt) != receipt:
            yield Finding(
                kind="receipt_changed",
                subject=key,
                what="bucket and journal tell the delivery differently",
            )
        for landed in receipt.objects:
            removed_at = ended.get((landed.bucket, landed.key, landed.sha256))
            for finding in _check(store, landed):
                if finding.kind != "object_missing" or removed_at is None:
                    yield finding
                elif removed_at < receipt.retain_until:
                    what = f"it was removed on {removed_at:%Y-%m-%d}, before its retention ended"
                    yield finding.model_copy(update={"what": what})
    for name in sorted(set(journal) - stored):
        yield Finding(
            kind="object_missing", subject=name, what="the journal knows a delivery without receipt"
        )


def _check(store: ObjectStore, landed: LandedObject) -> Iterator[Finding]:
    subject = f"{landed.uri} version {landed.version_id}"
    digest = hashlib.sha256()
    try:
        with store.open(landed) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except CityLedgerError as error:
        if error.code != "object_missing":
            raise
        yield Finding(kind="object_missing", subject=subject, what="a landed object is gone")
        return
    if digest.hexdigest() != landed.sha256:
        yield Finding(
            kind="object_changed",
            subject=subject,
            what=f"its bytes hash to {digest.hexdigest()}, landed were {landed.sha256}",
        )


def _name(receipt: Receipt) -> str:
    return f"{receipt.dataset}/{receipt.partition}/{receipt.delivery}"
