"""Makes checkpoints: brings the ledger's new events into the tree and signs its root."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, select
from sqlalchemy.dialects.postgresql import insert

from cityledger.errors import CityLedgerError
from cityledger.ledger.indexer import settled_horizon
from cityledger.ledger.log.files import LogFiles
from cityledger.ledger.log.keyring import Keyring
from cityledger.ledger.log.merkle import leaf_hash
from cityledger.ledger.log.notes import Head, Signer
from cityledger.ledger.log.tiles import (
    WIDTH,
    Edge,
    bundle_path,
    decode_bundle,
    encode_bundle,
    is_large,
    large_path,
    tile_path,
    tile_width,
)
from cityledger.records import Record
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.objects import ObjectStore
from cityledger.storage.tables import lineage_event, log_bundle, log_checkpoint

_FETCHED_EVENTS = 2000


class Checkpoint(Record):
    """A signed head of the log.

    Attributes:
        root: Root hash, hex.
        note: The signed note, as it lies in the bucket.
        last_event_id: ``lineage_event.id`` of the last leaf.
        object_version: Version of ``checkpoints/<size>-<key id>`` in the bucket.
    """

    tree_size: int
    root: str
    key_id: str
    note: str
    last_event_id: int
    object_version: str | None
    saved_at: datetime

    @property
    def path(self) -> str:
        """Where the note lies in the log."""
        return checkpoint_path(self.tree_size, self.key_id)


def checkpoint_path(size: int, key_id: str) -> str:
    """Where the checkpoint of a size lies besides being ``checkpoint`` for a while."""
    return f"checkpoints/{size:020d}-{key_id}"


def checkpoint(
    settings: Settings, *, database: Database | None = None, store: ObjectStore | None = None
) -> Checkpoint:
    """Take all events that the ledger holds into the log and sign the tree.

    Without new events (and with the same key) it is the newest checkpoint again. Killed anywhere,
    the next call finishes it.

    Raises:
        CityLedgerError: the log's files contradict its last checkpoint, so nothing is signed, or
            the signing key is missing.
        UnavailableError: database or object store do not answer.
    """
    database = database or Database.from_settings(settings)
    files = LogFiles(settings, store or ObjectStore.from_settings(settings))
    with database.lock("ledger-log"):
        return _Writer(database, files, Keyring(settings, database, files)).run()


def checkpoints(database: Database) -> list[Checkpoint]:
    """All checkpoints, oldest first."""
    columns = [log_checkpoint.c[name] for name in Checkpoint.model_fields]
    with database.begin() as connection:
        rows = connection.execute(select(*columns).order_by(log_checkpoint.c.id)).mappings()
        return [Checkpoint.model_validate(dict(row)) for row in rows]


def latest_checkpoint(database: Database) -> Checkpoint | None:
    """The newest checkpoint."""
    with database.begin() as connection:
        return newest_checkpoint(connection)


def newest_checkpoint(connection: Connection) -> Checkpoint | None:
    """The newest checkpoint, within a transaction."""
    columns = [log_checkpoint.c[name] for name in Checkpoint.model_fields]
    query = select(*columns).order_by(log_checkpoint.c.id.desc()).limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else Checkpoint.model_validate(dict(row))


class _Writer:
    def __init__(self, database: Database, files: LogFiles, keyring: Keyring) -> None:
        self._database, self._files, self._keyring = database, files, keyring
        self._last_id = 0
        self._bundle: list[bytes] = []

    def run(self) -> Checkpoint:
        signer = self._keyring.signer()
        newest = latest_checkpoint(self._database)
        edge = self._edge(newest)
        added = self._take_in(edge)
        if newest and not added and newest.key_id == signer.verifier.key_id:
            return newest
        self._write_edge(edge)
        return self._sign(edge, signer)

    def _edge(self, newest: Checkpoint | None) -> Edge:
        """The tree's right edge as the bucket holds it, checked against the last signature."""
        if newest is None:
            return Edge()
        self._last_id = newest.last_event_id
        edge = Edge(newest.tree_size, _levels(self._files, newest.tree_size))
        if edge.root().hex() != newest.root:
            raise CityLedgerError(
                f"the log's tiles do not give the root that was signed for"
                f" {newest.tree_size} events",
                where=self._files.where(newest.path),
                fix="run `cityledger ledger verify`; nothing is signed until it is clean",
                code="log_inconsistent",
            )
        if newest.tree_size % WIDTH:
            self._bundle = self._begun_bundle(newest.tree_size)
        return edge

    def _begun_bundle(self, size: int) -> list[bytes]:
        path = bundle_path(size // WIDTH, size % WIDTH)
        return decode_bundle(self._files.read(path))

    def _take_in(self, edge: Edge) -> int:
        before = edge.size
        with self._database.begin() as connection:
            settled = settled_horizon(connection)
        with self._database.begin() as connection:
            for event_id, raw in _events(connection, self._last_id, settled):
                self._add(connection, edge, event_id, raw)
                self._last_id = event_id
        return edge.size - before

    def _add(self, connection: Connection, edge: Edge, event_id: int, raw: bytes) -> None:
        index = edge.size
        if index % WIDTH == 0:
            row = {"bundle": index // WIDTH, "first_event_id": event_id}
            connection.execute(insert(log_bundle).values(row).on_conflict_do_nothing())
        if is_large(raw):
            self._files.add(large_path(index), raw)
        self._bundle.append(raw)
        if len(self._bundle) == WIDTH:
            self._files.add(bundle_path(index // WIDTH), encode_bundle(self._bundle))
            self._bundle = []
        for level, tile, hashes in edge.append(leaf_hash(raw)):
            self._files.add(tile_path(level, tile), b"".join(hashes))

    def _write_edge(self, edge: Edge) -> None:
        for level, tile, hashes in edge.partial():
            self._files.add(tile_path(level, tile, len(hashes)), b"".join(hashes))
        if self._bundle:
            path = bundle_path(edge.size // WIDTH, len(self._bundle))
            self._files.add(path, encode_bundle(self._bundle))

    def _sign(self, edge: Edge, signer: Signer) -> Checkpoint:
        head = Head(self._keyring.origin, edge.size, edge.root())
        note, key_id = signer.sign(head.text()), signer.verifier.key_id
        written = self._files.add(checkpoint_path(edge.size, key_id), note.encode())
        self._files.point(note)
        row = {
            "tree_size": edge.size,
            "root": head.root.hex(),
            "key_id": key_id,
            "note": note,
            "last_event_id": self._last_id,
            "object_version": written.version_id if written else None,
        }
        with self._database.begin() as connection:
            connection.execute(insert(log_checkpoint).values(row).on_conflict_do_nothing())
        newest = latest_checkpoint(self._database)
        if newest is None or newest.note != note:
            raise CityLedgerError("the checkpoint was not kept", code="checkpoint_lost")
        return newest


def _levels(files: LogFiles, size: int) -> list[list[bytes]]:
    """The unfinished tiles of a tree, level by level."""
    levels: list[list[bytes]] = []
    while hashes := size >> (8 * len(levels)):
        level, index = len(levels), hashes // WIDTH
        width = tile_width(size, level, index)
        levels.append(list(files.tile(level, index, width)) if width else [])
    return levels


def _events(connection: Connection, after: int, until: int) -> Iterator[tuple[int, bytes]]:
    query = (
        select(lineage_event.c.id, lineage_event.c.raw)
        .where(lineage_event.c.id > after, lineage_event.c.id <= until)
        .order_by(lineage_event.c.id)
    )
    for row in connection.execute(query.execution_options(yield_per=_FETCHED_EVENTS)):
        yield int(row.id), bytes(row.raw)
