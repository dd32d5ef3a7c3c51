"""An object that is sent while it is still being made, and appears whole or not at all."""

from __future__ import annotations

import hashlib
import io
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from cityledger.records import ObjectRef

# What is smaller goes out in one request at the end, as most datasets do. Not below S3's 5 MiB.
PART_BYTES: Final = 8 * 1024**2
# While a part is on its way, as much as three more may be made: the maker never waits for one part.
_WAITING_BYTES: Final = 3 * PART_BYTES
_POLL_SECONDS: Final = 0.1

Whole = Callable[[bytes], ObjectRef]
"""Stores the bytes of a small object."""
Parts = Callable[["PieceReader"], ObjectRef]
"""Stores what it reads until the end, in parts; keeps nothing when reading raises."""


class _AbandonedError(Exception):
    """Nobody wants the object any more."""


class ObjectWriter(io.RawIOBase):
    """Takes an object's bytes; :meth:`commit` makes it appear.

    Args:
        whole: Called by ``commit`` for a small object.
        parts: Called in a thread of its own as soon as the object is larger than a part.
    """

    def __init__(self, whole: Whole, parts: Parts) -> None:
        super().__init__()
        self._whole, self._parts = whole, parts
        self._head: list[bytes] = []
        self._size = 0
        self._abandoned = False
        self._digest = hashlib.sha256()
        self._reader = PieceReader()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="cityledger-upload")
        self._sending: Future[ObjectRef] | None = None

    def writable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Bytes written so far."""
        return self._size

    def write(self, data: Any) -> int:
        """Take bytes; raises what sending earlier ones raised."""
        if self._abandoned:
            # Parquet writers that an error left open write their footer when they are collected.
            return len(data)
        piece = bytes(data)
        self._digest.update(piece)
        self._size += len(piece)
        if self._sending is not None:
            self._reader.put(piece, self._sending)
            return len(piece)
        self._head.append(piece)
        if self._size > PART_BYTES:
            self._start()
        return len(piece)

    def commit(self) -> ObjectRef:
        """Send the rest and return the stored object.

        Raises:
            UnavailableError: the store does not answer; nothing is stored.
        """
        if self._sending is None:
            return self._whole(b"".join(self._head))
        self._reader.end(self._sending)
        stored = self._sending.result()
        return stored.model_copy(update={"sha256": self._digest.hexdigest(), "size": self._size})

    def abandon(self) -> None:
        """Make sure that nothing is left of what was sent; without effect after a commit."""
        self._abandoned = True
        if self._sending is not None and not self._sending.done():
            self._reader.abandoned = True
            self._reader.end(self._sending)
        self._pool.shutdown()
        self._head.clear()

    def _start(self) -> None:
        self._sending = self._pool.submit(self._parts, self._reader)
        self._reader.put(b"".join(self._head), self._sending)
        self._head.clear()


class PieceReader:
    """The reading end: pieces of a bounded number of bytes in all, as a binary file."""

    def __init__(self) -> None:
        self.abandoned = False
        self._pieces: deque[bytes] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._rest = b""
        self._ended = False

    def put(self, piece: bytes, sending: Future[ObjectRef]) -> None:
        """Queue a piece for the sender; raises the error that ended sending."""
        if not self._put(piece, sending):
            sending.result()

    def end(self, sending: Future[ObjectRef]) -> None:
        """Say that there is no more; sending may have ended by itself."""
        self._put(b"", sending)

    def _put(self, piece: bytes, sending: Future[ObjectRef]) -> bool:
        with self._changed:
            while self._waiting > _WAITING_BYTES and not sending.done():
                self._changed.wait(_POLL_SECONDS)
            if sending.done():
                return False
            self._pieces.append(piece)
            self._waiting += len(piece)
            self._changed.notify()
            return True

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, fewer at the end only.

        Raises:
            _AbandonedError: so that the sender drops what it has sent.
        """
        found, missing = [], size
        while missing and self._more():
            found.append(self._rest[:missing])
            self._rest = self._rest[missing:]
            missing -= len(found[-1])
        return b"".join(found)

    def _more(self) -> bool:
        if not self._rest and not self._ended:
            self._rest = self._take()
            self._ended = not self._rest
        if self.abandoned:
            raise _AbandonedError
        return bool(self._rest)

    def _take(self) -> bytes:
        with self._changed:
            while not self._pieces:
                self._changed.wait()
            piece = self._pieces.popleft()
            self._waiting -= len(piece)
            self._changed.notify()
            return piece
