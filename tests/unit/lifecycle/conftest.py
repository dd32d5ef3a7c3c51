"""An object store on a folder, for stages that only open and put."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
import pytest
from cityledger.errors import CityLedgerError
from cityledger.records import ObjectRef
from cityledger.storage.uploads import ObjectWriter, PieceReader


class FolderStore:
    """The methods of the object store that parse and validate use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.order: list[str] = []
        self.sent_in_parts = 0

    @contextmanager
    def open(self, ref: ObjectRef) -> Iterator[BinaryIO]:
        with (self.folder / ref.bucket / ref.key).open("rb") as stream:
            yield stream

    def put_file(self, bucket: str, key: str, path: Path, **_: Any) -> ObjectRef:
        self.order.append(key.rpartition("/")[2])
        return self.put_bytes(bucket, key, path.read_bytes())

    @contextmanager
    def writer(self, bucket: str, key: str) -> Iterator[ObjectWriter]:
        def whole(data: bytes) -> ObjectRef:
            self.order.append(key.rpartition("/")[2])
            return self.put_bytes(bucket, key, data)

        def parts(pieces: PieceReader) -> ObjectRef:
            self.sent_in_parts += 1
            return whole(pieces.read(1 << 40))

        made = ObjectWriter(whole, parts)
        try:
            yield made
        finally:
            made.abandon()

    def put_bytes(self, bucket: str, key: str, data: bytes) -> ObjectRef:
        path = self.folder / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        return ObjectRef(bucket=bucket, key=key, version_id=None, sha256=sha256, size=len(data))

    def get_bytes(self, bucket: str, key: str) -> bytes:
        path = self.folder / bucket / key
        if not path.exists():
            raise CityLedgerError("there is no such object", where=key, code="object_missing")
        return path.read_bytes()

    def frame(self, ref: ObjectRef) -> pl.DataFrame:
        return pl.read_parquet(self.folder / ref.bucket / ref.key)


@pytest.fixture(scope="session")
def folder_store() -> Callable[[Path], FolderStore]:
    return FolderStore
