"""Extract: a department's files, bytes untouched, into the spool."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from uuid import uuid4

from cityledger.contracts.identity import Partition
from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError
from cityledger.records import Extraction, SpooledFile
from cityledger.sources.base import Source, SourceItem
from cityledger.sources.registry import connect

_COPY_BYTES = 4 << 20


def extract(
    contract: Contract, partition: Partition, *, spool_dir: Path, drop_dir: Path
) -> Extraction:
    """Copy the files of one delivery into a fresh folder below the spool.

    Args:
        contract: Names the connector and its options.
        partition: Which delivery; its grain must be the contract's.
        spool_dir: Local scratch space; the caller removes ``files[0].path.parent`` after landing.
        drop_dir: The folder where departments put their files.

    Raises:
        BadInputError: nothing was delivered, or it can't be taken as it is (changed while it was
            read, still being written); the spool is left as it was.
    """
    if partition.grain != contract.service_level.grain:
        raise BadInputError(
            f"{contract.id} is delivered by {contract.service_level.grain}, "
            f"{partition.key} is a {partition.grain}",
            fix=f"name a {contract.service_level.grain}",
            code="bad_partition",
        )
    source = connect(contract.source.connector, contract.source.options, drop_dir=drop_dir)
    items = source.list(partition)
    declared = source.declared_rows(partition)
    folder = spool_dir / f"{contract.id}-{partition.key}-{uuid4().hex[:12]}"
    folder.mkdir(parents=True)
    try:
        files = tuple(
            _spool(source, item, folder / f"{number:05d}") for number, item in enumerate(items)
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Extraction(
        dataset=str(contract.id),
        partition=partition.key,
        files=files,
        declared_rows=declared,
    )


def _spool(source: Source, item: SourceItem, path: Path) -> SpooledFile:
    digest = hashlib.sha256()
    with source.open(item) as stream, path.open("wb") as spooled:
        while data := stream.read(_COPY_BYTES):
            digest.update(data)
            spooled.write(data)
        spooled.flush()
    return SpooledFile(
        path=path,
        name=item.name,
        sha256=digest.hexdigest(),
        size=path.stat().st_size,
        source_uri=item.uri,
        modified_at=item.modified_at,
    )
