"""The transparency log: every lineage event in one append-only, signed Merkle tree.

Leaf = the exact bytes of an event as received; order = ``lineage_event.id``.
"""

from __future__ import annotations

from cityledger.ledger.log.writer import Checkpoint, checkpoint, checkpoints, latest_checkpoint

__all__ = ["Checkpoint", "checkpoint", "checkpoints", "latest_checkpoint"]
