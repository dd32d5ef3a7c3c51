"""Receipts: the commit marks of landing, kept beside the objects that they prove.

A delivery has landed when its receipt exists; the partition's current delivery is the one with
the highest sequence number. Sequence numbers are claimed with a conditional put, so of two landers
at the same time each gets a number of its own.
"""

from __future__ import annotations

from datetime import datetime

from cityledger.contracts.identity import DatasetId
from cityledger.records import Receipt
from cityledger.storage.keys import claim_key, receipt_key, receipt_prefix
from cityledger.storage.objects import LANDING, ObjectStore


def find_receipt(
    store: ObjectStore, dataset: DatasetId, partition: str, delivery: str
) -> Receipt | None:
    """The receipt of a delivery, if it has landed."""
    for key in store.list(LANDING, receipt_prefix(dataset, partition)):
        if key.endswith(f"-{delivery}.json"):
            return _read(store, key)
    return None


def current_receipt(store: ObjectStore, dataset: DatasetId, partition: str) -> Receipt | None:
    """The receipt of the newest delivery of a partition, if there is any."""
    keys = list(store.list(LANDING, receipt_prefix(dataset, partition)))
    return _read(store, max(keys)) if keys else None


def claim_sequence(
    store: ObjectStore,
    dataset: DatasetId,
    partition: str,
    delivery: str,
    *,
    retain_until: datetime,
) -> int:
    """Reserve the next sequence number of a partition for a delivery.

    No number is ever given to two deliveries. A claim without receipt is what a crashed lander
    left: the same delivery takes it up again as long as nothing newer has landed, any other
    delivery skips the number. What the store alone cannot tell is a crashed lander from a slow one;
    so one delivery landed by two processes while a third commits another could get two numbers,
    which the runner's lock on dataset and partition rules out.
    """
    sequence = _highest(store, dataset, partition) + 1
    while not _claim(store, claim_key(dataset, partition, sequence), delivery, retain_until):
        sequence += 1
    return sequence


def save_receipt(store: ObjectStore, receipt: Receipt) -> Receipt:
    """Write the commit mark, locked like the objects; an existing one wins.

    Returns:
        The receipt that now stands in the store.
    """
    dataset = DatasetId.parse(receipt.dataset)
    key = receipt_key(dataset, receipt.partition, receipt.sequence, receipt.delivery)
    written = store.put_new(
        LANDING,
        key,
        receipt.model_dump_json(indent=2).encode(),
        retain_until=receipt.retain_until,
        content_type="application/json",
    )
    return receipt if written else _read(store, key)


def _claim(store: ObjectStore, key: str, delivery: str, retain_until: datetime) -> bool:
    mine = delivery.encode()
    if store.put_new(LANDING, key, mine, retain_until=retain_until, content_type="text/plain"):
        return True
    return store.get_bytes(LANDING, key) == mine


def _highest(store: ObjectStore, dataset: DatasetId, partition: str) -> int:
    prefix = receipt_prefix(dataset, partition)
    numbers = (int(key[len(prefix) :].split("-")[0]) for key in store.list(LANDING, prefix))
    return max(numbers, default=0)


def _read(store: ObjectStore, key: str) -> Receipt:
    return Receipt.model_validate_json(store.get_bytes(LANDING, key))
