"""The log's files in the WORM bucket: written once, locked, never overwritten."""

from __future__ import annotations

import logging
import os
import shutil
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from cityledger.errors import CityLedgerError
from cityledger.ledger.log.tiles import HASH, WIDTH, tile_path
from cityledger.records import ObjectRef
from cityledger.settings import Settings
from cityledger.storage.objects import EVIDENCE, ObjectStore

PREFIX = "ledger/"
CHECKPOINT = "checkpoint"
_BINARY, _TEXT = "application/octet-stream", "text/plain; charset=utf-8"
_CACHED_TILES = 1024  # 8 KiB each
_READERS = 6

log = logging.getLogger(__name__)


class LogFiles:
    """Paths are those of tlog-tiles; they lie below ``ledger/`` in the evidence bucket."""

    def __init__(self, settings: Settings, store: ObjectStore) -> None:
        self._store, self._days = store, settings.ledger_retention_days
        self._cache = settings.home / "cache" / "ledger" / store.bucket(EVIDENCE)
        self._tiles: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()

    def add(self, path: str, data: bytes) -> ObjectRef | None:
        """Write a file unless it is there already with the same bytes.

        Returns:
            None when it was there.

        Raises:
            CityLedgerError: it is there with other bytes (code ``log_file_differs``).
        """
        kind = _BINARY if path.startswith(("tile/", "large/")) else _TEXT
        written = self._store.put_new(
            EVIDENCE, PREFIX + path, data, retain_until=self._until(), content_type=kind
        )
        if written is None and self.read(path) != data:
            raise CityLedgerError(
                "the log holds this file with other bytes",
                where=self.where(path),
                fix="run `cityledger ledger verify` and keep the bucket as it is",
                code="log_file_differs",
            )
        return written

    def point(self, note: str) -> None:
        """Make a checkpoint the newest; every former one stays as an older version."""
        self._store.put_bytes(
            EVIDENCE,
            PREFIX + CHECKPOINT,
            note.encode(),
            retain_until=self._until(),
            content_type=_TEXT,
        )

    def read(self, path: str, version: str | None = None) -> bytes:
        """A file's bytes.

        Raises:
            CityLedgerError: it is not there (code ``object_missing``).
        """
        return self._store.get_bytes(EVIDENCE, PREFIX + path, version)

    def find(self, path: str, version: str | None = None) -> bytes | None:
        """A file's bytes, or None."""
        try:
            return self.read(path, version)
        except CityLedgerError as error:
            if error.code != "object_missing":
                raise
            return None

    def find_all(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """Many files in the order asked for; several are on their way while one is looked at."""
        waiting: deque[tuple[str, Future[bytes | None]]] = deque()
        with ThreadPoolExecutor(_READERS, thread_name_prefix="log-read") as pool:
            for path in paths:
                waiting.append((path, pool.submit(self.find, path)))
                if len(waiting) > 2 * _READERS:
                    yield _arrived(waiting)
            while waiting:
                yield _arrived(waiting)

    def tile(self, level: int, index: int, width: int = WIDTH) -> Sequence[bytes]:
        """The hashes of a tile, as the bucket holds it."""
        return split_tile(self.read(tile_path(level, index, width)))

    def known_tile(self, level: int, index: int, width: int = WIDTH) -> Sequence[bytes]:
        """The same from memory or this machine's disk, as tiles never change.

        For proofs, which show by themselves whether the tiles were right.
        """
        known = self._tiles.get((level, index))
        if known is not None and len(known) >= width:
            return known
        path = tile_path(level, index, width)
        hashes = split_tile(self._cached(path) or self._keep(path, self.read(path)))
        self._tiles[level, index] = hashes
        if len(self._tiles) > _CACHED_TILES:
            self._tiles.popitem(last=False)
        return hashes

    def fetch_tiles(self, tiles: Iterable[tuple[int, int, int]]) -> None:
        """Get to know tiles (level, index, width), all that are missing at once."""
        missing = [
            (level, index, width)
            for level, index, width in tiles
            if len(self._tiles.get((level, index), ())) < width
        ]
        if len(missing) > 1:
            with ThreadPoolExecutor(_READERS, thread_name_prefix="log-read") as pool:
                list(pool.map(lambda tile: self.known_tile(*tile), missing))

    def forget_tiles(self) -> None:
        """Drop what memory and disk know: something in it was wrong."""
        self._tiles.clear()
        shutil.rmtree(self._cache, ignore_errors=True)

    def _cached(self, path: str) -> bytes | None:
        try:
            return (self._cache / path).read_bytes()
        except OSError:
            return None

    def _keep(self, path: str, data: bytes) -> bytes:
        target = self._cache / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.with_name(f"{target.name}.{os.getpid()}.draft")
            draft.write_bytes(data)
            draft.replace(target)
        except OSError as error:  # a full or read-only disk only costs speed
            log.debug("a tile was not cached: %s", type(error).__name__)
        return data

    def list(self, prefix: str) -> Iterator[str]:
        """Paths below a prefix."""
        for key in self._store.list(EVIDENCE, PREFIX + prefix):
            yield key.removeprefix(PREFIX)

    def where(self, path: str) -> str:
        """How a file is named to people."""
        return f"s3://{self._store.bucket(EVIDENCE)}/{PREFIX}{path}"

    def _until(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=self._days)


def _arrived(
    waiting: deque[tuple[str, Future[bytes | None]]],
) -> tuple[str, bytes | None]:
    path, found = waiting.popleft()
    return path, found.result()


def split_tile(data: bytes) -> list[bytes]:
    """The hashes of a tile's bytes."""
    return [data[at : at + HASH] for at in range(0, len(data), HASH)]
