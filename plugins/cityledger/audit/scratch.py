"""A folder that stands in for object store and lake while a number is re-derived."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from cityledger.errors import CityLedgerError
from cityledger.records import ObjectRef
from cityledger.storage.objects import ObjectStore

_PROFILE = """cityledger:
  target: lake
  outputs:
    lake:
      type: duckdb
      path: ":memory:"
      database: lake
      schema: staging
      threads: 1
      plugins: [{{module: cityledger.audit.scratch_session}}]
      attach: [{{path: "ducklake:{catalogue}", alias: lake}}]
"""


def write_profile(project: Path, catalogue: Path) -> None:
    """Let a copy of the dbt project build into a lake in a folder."""
    (project / "profiles.yml").write_text(_PROFILE.format(catalogue=catalogue), "utf-8")


class ScratchStore(ObjectStore):
    """Reads landed files from a pack or from the landing bucket; writes into a folder.

    Args:
        folder: Where everything that is written goes.
        inputs: SHA-256 → bytes of landed files that a pack brought.
        landing: The city's object store, for those that it did not bring.
    """

    def __init__(self, folder: Path, inputs: dict[str, bytes], landing: ObjectStore | None) -> None:
        self._folder, self._inputs, self._landing = folder, inputs, landing

    def bucket(self, name: str) -> str:
        """Buckets are folders."""
        return name

    def path(self, ref: ObjectRef) -> Path:
        """Where a written object lies."""
        return self._folder / ref.bucket / ref.key

    @contextmanager
    def open(self, ref: ObjectRef) -> Iterator[BinaryIO]:
        """A landed file, whose bytes must be those that landed.

        Raises:
            CityLedgerError: neither pack nor landing bucket has them, or they are others.
        """
        data = self._inputs.get(ref.sha256)
        if data is None:
            data = self._fetched(ref)
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise CityLedgerError(
                "the landed file is not the one that the pack names",
                where=ref.uri,
                fix="cityledger ledger verify --objects",
                code="object_changed",
            )
        yield io.BytesIO(data)

    @contextmanager
    def writer(self, bucket: str, key: str) -> Iterator[Any]:
        """A file that appears when it is committed."""
        path = self._folder / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with _Writer(path, bucket, key) as made:
            yield made

    def put_file(
        self,
        bucket: str,
        key: str,
        path: Path,
        *,
        sha256: str | None = None,
        retain_until: datetime | None = None,  # noqa: ARG002 - a scratch folder keeps nothing
        content_type: str = "application/octet-stream",  # noqa: ARG002
    ) -> ObjectRef:
        """What is held back is not needed again: only its digest is."""
        data = path.read_bytes()
        digest = sha256 or hashlib.sha256(data).hexdigest()
        return ObjectRef(bucket=bucket, key=key, version_id=None, sha256=digest, size=len(data))

    def _fetched(self, ref: ObjectRef) -> bytes:
        if self._landing is None:
            raise CityLedgerError(
                "the pack does not hold the landed files and no landing bucket is configured",
                where=ref.uri,
                fix="set CITYLEDGER_S3_URL, or make the pack with --with-inputs",
                code="inputs_missing",
            )
        with self._landing.open(ref) as stream:
            return stream.read()


class _Writer(io.FileIO):
    def __init__(self, path: Path, bucket: str, key: str) -> None:
        super().__init__(path, "wb")
        self._place = (path, bucket, key)
        self._digest, self._size = hashlib.sha256(), 0

    def write(self, data: Any, /) -> int:
        view = memoryview(data)
        self._digest.update(view)
        self._size += view.nbytes
        written = 0
        while written < view.nbytes:
            written += super().write(view[written:])
        return view.nbytes

    def commit(self) -> ObjectRef:
        """Finish the file."""
        self.flush()
        _, bucket, key = self._place
        return ObjectRef(
            bucket=bucket,
            key=key,
            version_id=None,
            sha256=self._digest.hexdigest(),
            size=self._size,
        )
