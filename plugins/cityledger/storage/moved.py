"""Finds an object again whose version id another store gave.

An installation that was restored into another object store has the same keys and bytes there, but
new version ids: S3 lets nobody choose them. Receipts, lineage events and evidence packs are signed
and go on naming the old ones. What they name besides is the content's SHA-256, and that decides:
the key's version with these very bytes is the one that was meant. The bytes are hashed before they
are handed out, as an object's own metadata could say anything.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from typing import Final

import urllib3

from cityledger.records import ObjectRef

_READ_BYTES: Final = 1024**2
_Key = tuple[str, str, str, str]
#: The version ids of a key with a size, newest first.
Candidates = Callable[[ObjectRef], Iterable[str]]
#: The bytes of a version.
Read = Callable[[ObjectRef, str], urllib3.BaseHTTPResponse]


class MovedVersions:
    """The version ids of this store for those of another; each is looked for and hashed once."""

    def __init__(self) -> None:
        self._known: dict[_Key, str] = {}
        self._lock = threading.Lock()

    def get(self, ref: ObjectRef) -> str | None:
        """The version id to ask this store for."""
        if ref.version_id is None:
            return None
        return self._known.get(_name(ref, ref.version_id), ref.version_id)

    def find(self, ref: ObjectRef, candidates: Candidates, read: Read) -> str | None:
        """The version of the key that holds the reference's bytes, or None.

        Args:
            ref: An object whose version this store does not know.
            candidates: Lists the versions to try.
            read: Opens one of them.
        """
        if ref.version_id is None or not ref.sha256:
            return None
        for version in candidates(ref):
            if _sha256(read(ref, version)) == ref.sha256:
                with self._lock:
                    self._known[_name(ref, ref.version_id)] = version
                return version
        return None


def _name(ref: ObjectRef, version: str) -> _Key:
    return ref.bucket, ref.key, version, ref.sha256


def _sha256(response: urllib3.BaseHTTPResponse) -> str:
    digest = hashlib.sha256()
    try:
        while chunk := response.read(_READ_BYTES):
            digest.update(chunk)
    finally:
        response.close()
        response.release_conn()
    return digest.hexdigest()
