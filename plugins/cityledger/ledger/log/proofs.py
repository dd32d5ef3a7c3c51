"""Proofs out of the log: that an event is in it, and that it only ever grew."""

from __future__ import annotations

from sqlalchemy import func, select

from cityledger.errors import BadInputError
from cityledger.ledger.log.files import LogFiles
from cityledger.ledger.log.merkle import consistency_proof, inclusion_proof, leaf_hash
from cityledger.ledger.log.tiles import WIDTH, NodeReader
from cityledger.ledger.log.writer import Checkpoint, latest_checkpoint
from cityledger.records import Record
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.objects import ObjectStore
from cityledger.storage.tables import lineage_event, log_bundle


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

    def inclusion(self, event_id: int, checkpoint: Checkpoint | None = None) -> Inclusion:
        """Proof for one event against a checkpoint (the newest, unless one is given).

        Raises:
            BadInputError: there is no such event, or the checkpoint is older than it.
        """
        head = self._head(checkpoint)
        raw, sha256, index = self._leaf(event_id)
        if index is None or index >= head.tree_size:
            raise BadInputError(
                f"event {event_id} is not in the tree of {head.tree_size} events yet",
                fix="cityledger ledger checkpoint",
                code="event_not_in_log",
            )
        hashes = inclusion_proof(index, head.tree_size, self._node(head.tree_size))
        return Inclusion(
            event_id=event_id,
            event_sha256=sha256,
            leaf_index=index,
            tree_size=head.tree_size,
            leaf=leaf_hash(raw).hex(),
            hashes=tuple(one.hex() for one in hashes),
        )

    def consistency(self, old: int, new: int) -> list[str]:
        """Proof, hex, that the tree of ``old`` leaves is the beginning of the one of ``new``.

        Raises:
            BadInputError: the log has not that many leaves, or the sizes are the wrong way round.
        """
        size = self._head(None).tree_size
        if not 0 < old <= new <= size:
            raise BadInputError(
                f"the log has {size} events: ask for 0 < old ≤ new ≤ {size}",
                where=f"old {old}, new {new}",
                code="no_such_tree",
            )
        return [one.hex() for one in consistency_proof(old, new, self._node(size))]

    def _head(self, checkpoint: Checkpoint | None) -> Checkpoint:
        head = checkpoint or latest_checkpoint(self._database)
        if head is None:
            raise BadInputError(
                "the log has no checkpoint yet",
                fix="cityledger ledger checkpoint",
                code="log_empty",
            )
        return head

    def _leaf(self, event_id: int) -> tuple[bytes, str, int | None]:
        begun = (
            select(log_bundle.c.bundle, log_bundle.c.first_event_id)
            .where(log_bundle.c.first_event_id <= event_id)
            .order_by(log_bundle.c.first_event_id.desc())
            .limit(1)
        )
        with self._database.begin() as connection:
            event = connection.execute(
                select(lineage_event.c.raw, lineage_event.c.sha256).where(
                    lineage_event.c.id == event_id
                )
            ).first()
            if event is None:
                raise BadInputError(f"the ledger has no event {event_id}", code="unknown_event")
            start = connection.execute(begun).first()
            if start is None:
                return bytes(event.raw), event.sha256, None
            before = select(func.count()).where(
                lineage_event.c.id >= start.first_event_id, lineage_event.c.id < event_id
            )
            offset = int(connection.scalar(before) or 0)
        return bytes(event.raw), event.sha256, int(start.bundle) * WIDTH + offset

    def _node(self, size: int) -> NodeReader:
        # Tiles of the newest tree serve every older one: a node never changes.
        newest = latest_checkpoint(self._database)
        return NodeReader(max(size, newest.tree_size if newest else 0), self._files.tile)
