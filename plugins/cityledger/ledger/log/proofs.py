"""Proofs out of the log: that an event is in it, and that it only ever grew."""

from __future__ import annotations

from sqlalchemy import Connection, text

from cityledger.errors import BadInputError, CityLedgerError
from cityledger.ledger.log.files import LogFiles
from cityledger.ledger.log.merkle import (
    ProofError,
    consistency_proof,
    inclusion_proof,
    verify_inclusion,
)
from cityledger.ledger.log.tiles import WIDTH, NodeReader, tiles_beside
from cityledger.ledger.log.writer import Checkpoint, latest_checkpoint, newest_checkpoint
from cityledger.records import Record
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.objects import ObjectStore

# One query: the event, its bundle, and how many leaves of the bundle stand before it.
_LEAF = text(
    """
    SELECT sha256(CAST('\\x00' AS bytea) || e.raw) AS leaf, e.sha256, b.bundle, (
        SELECT count(*) FROM cityledger.lineage_event before
        WHERE before.id >= b.first_event_id AND before.id < e.id
    ) AS place
    FROM cityledger.lineage_event e
    LEFT JOIN LATERAL (
        SELECT bundle, first_event_id FROM cityledger.log_bundle
        WHERE first_event_id <= e.id ORDER BY first_event_id DESC LIMIT 1
    ) b ON true
    WHERE e.id = :event
    """
)


class Inclusion(Record):
    """That an event is leaf ``leaf_index`` of the tree of ``tree_size`` leaves.

    Attributes:
        leaf: Hash of the leaf, hex.
        hashes: The proof, hex, from the leaf upwards.
    """

    event_id: int
    event_sha256: str
    leaf_index: int
    tree_size: int
    leaf: str
    hashes: tuple[str, ...]


class Prover:
    """Makes proofs from the tiles in the bucket; they are remembered, so keep one."""

    def __init__(self, settings: Settings, database: Database, store: ObjectStore) -> None:
        self._database, self._files = database, LogFiles(settings, store)
        self._largest = 0

    def inclusion(self, event_id: int, checkpoint: Checkpoint | None = None) -> Inclusion:
        """Proof for one event against a checkpoint (the newest, unless one is given).

        Raises:
            BadInputError: there is no such event, or the checkpoint is older than it.
        """
        with self._database.each_alone() as connection:  # neither row ever changes
            head = _head(checkpoint or newest_checkpoint(connection))
            leaf, sha256, index = _leaf(connection, event_id)
        if index is None or index >= head.tree_size:
            raise BadInputError(
                f"event {event_id} is not in the tree of {head.tree_size} events yet",
                fix="cityledger ledger checkpoint",
                code="event_not_in_log",
            )
        return Inclusion(
            event_id=event_id,
            event_sha256=sha256,
            leaf_index=index,
            tree_size=head.tree_size,
            leaf=leaf.hex(),
            hashes=tuple(one.hex() for one in self._proof(index, leaf, head)),
        )

    def _proof(self, index: int, leaf: bytes, head: Checkpoint) -> list[bytes]:
        """A proof that proves; a cached tile that is wrong is read again from the bucket."""
        for attempt in (1, 2):
            self._files.fetch_tiles(tiles_beside(index, self._size(head.tree_size)))
            hashes = inclusion_proof(index, head.tree_size, self._node(head.tree_size))
            try:
                verify_inclusion(index, head.tree_size, leaf, hashes, bytes.fromhex(head.root))
            except ProofError as error:
                self._files.forget_tiles()
                if attempt == 2:
                    raise CityLedgerError(
                        f"the log does not prove leaf {index} under its checkpoint of"
                        f" {head.tree_size} events",
                        fix="cityledger ledger verify",
                        code="log_inconsistent",
                    ) from error
            else:
                break
        return hashes

    def consistency(self, old: int, new: int) -> list[str]:
        """Proof, hex, that the tree of ``old`` leaves is the beginning of the one of ``new``.

        Raises:
            BadInputError: the log has not that many leaves, or the sizes are the wrong way round.
        """
        size = _head(latest_checkpoint(self._database)).tree_size
        if not 0 < old <= new <= size:
            raise BadInputError(
                f"the log has {size} events: ask for 0 < old ≤ new ≤ {size}",
                where=f"old {old}, new {new}",
                code="no_such_tree",
            )
        return [one.hex() for one in consistency_proof(old, new, self._node(size))]

    def _node(self, size: int) -> NodeReader:
        return NodeReader(self._size(size), self._files.known_tile)

    def _size(self, size: int) -> int:
        """Tiles of the newest tree serve every older one: a node never changes."""
        self._largest = max(self._largest, size)
        return self._largest


def _head(checkpoint: Checkpoint | None) -> Checkpoint:
    if checkpoint is None:
        raise BadInputError(
            "the log has no checkpoint yet", fix="cityledger ledger checkpoint", code="log_empty"
        )
    return checkpoint


def _leaf(connection: Connection, event_id: int) -> tuple[bytes, str, int | None]:
    event = connection.execute(_LEAF, {"event": event_id}).first()
    if event is None:
        raise BadInputError(f"the ledger has no event {event_id}", code="unknown_event")
    begun = event.bundle is not None
    index = int(event.bundle) * WIDTH + int(event.place) if begun else None
    return bytes(event.leaf), event.sha256, index
