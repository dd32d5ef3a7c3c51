"""Land: the delivery's untouched bytes into the locked bucket, the receipt last.

Objects without a receipt are nobody's delivery: a crash in between leaves nothing current, and the
next run finds the objects by their content and only writes what is missing.
"""

from __future__ import annotations

from datetime import UTC, datetime

from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError
from cityledger.records import Extraction, LandedObject, ObjectRef, Receipt, SpooledFile
from cityledger.storage.keys import delivery_id, landing_key
from cityledger.storage.objects import LANDING, ObjectStore
from cityledger.storage.receipts import claim_sequence, find_receipt, save_receipt


def land(extraction: Extraction, contract: Contract, *, store: ObjectStore) -> Receipt:
    """Put a delivery into the landing bucket.

    The same bytes under the same names for the same partition are a no-op that returns the
    existing receipt, also when a newer delivery has landed since; other bytes become the next
    delivery of the partition.

    Raises:
        BadInputError: the extraction has no files, or a spooled file changed since extraction;
            nothing becomes current.
        UnavailableError: the object store does not answer; run again.
    """
    if not extraction.files:
        raise BadInputError(
            "the delivery has no files",
            where=f"{extraction.dataset} {extraction.partition}",
            fix="check the contract's file pattern and the drop folder",
            code="no_files",
        )
    dataset = contract.id
    delivery = delivery_id((file.name, file.sha256) for file in extraction.files)
    landed = find_receipt(store, dataset, extraction.partition, delivery)
    if landed is not None:
        return landed
    now = datetime.now(UTC)
    retain_until = now + contract.service_level.retention
    objects = tuple(
        _land_file(store, dataset, extraction.partition, file, retain_until)
        for file in extraction.files
    )
    sequence = claim_sequence(
        store, dataset, extraction.partition, delivery, retain_until=retain_until
    )
    # A twin of this lander may have committed since the first look, under the number before.
    return find_receipt(store, dataset, extraction.partition, delivery) or save_receipt(
        store,
        Receipt(
            dataset=str(dataset),
            partition=extraction.partition,
            delivery=delivery,
            sequence=sequence,
            objects=objects,
            landed_at=now,
            retain_until=retain_until,
            contract_version=contract.version,
            contract_sha256=contract.sha256,
            declared_rows=extraction.declared_rows,
        ),
    )


def _land_file(
    store: ObjectStore,
    dataset: DatasetId,
    partition: str,
    file: SpooledFile,
    retain_until: datetime,
) -> LandedObject:
    key = landing_key(dataset, partition, file.name, file.sha256)
    found = store.find(LANDING, key)
    if found is None or (found.sha256, found.size) != (file.sha256, file.size):
        ref = store.put_file(LANDING, key, file.path, sha256=file.sha256, retain_until=retain_until)
    else:
        ref = _keep_until(store, found, retain_until)
    return LandedObject(
        **ref.model_dump(),
        name=file.name,
        source_uri=file.source_uri,
        modified_at=file.modified_at,
    )


def _keep_until(store: ObjectStore, ref: ObjectRef, retain_until: datetime) -> ObjectRef:
    # Left by a crashed run or shared with an earlier delivery: it must outlive this receipt, too.
    store.extend_retention(ref, retain_until)
    return ref
