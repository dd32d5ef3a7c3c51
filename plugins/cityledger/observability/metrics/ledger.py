"""How far the ledger is behind: events that wait, are not indexed, not signed, not examined."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import text

from cityledger.ledger.forward import Forwarder
from cityledger.ledger.intake import Intake
from cityledger.ledger.log.examined import latest_examination
from cityledger.ledger.log.writer import newest_checkpoint
from cityledger.observability.metrics import catalogue
from cityledger.observability.metrics.families import Figures
from cityledger.settings import Settings
from cityledger.storage.database import Database

# Ids have gaps, so they are counted; behind an index, and what is behind is short.
_AFTER: Final = text(
    "SELECT count(*), min(received_at) FROM cityledger.lineage_event WHERE id > :event"
)
_INDEXED: Final = text(
    "SELECT coalesce((SELECT event FROM cityledger.graph_position WHERE reader = 'graph'), 0)"
)


class Ledger:
    """The ledger of an installation, with the outbox of this machine."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings, self._database = settings, database
        self._outbox = Intake(settings).outbox

    def figures(self) -> Figures:
        """As of now."""
        figures = Figures()
        self._on_disk(figures)
        with self._database.begin() as connection:
            signed = newest_checkpoint(connection)
            indexed: Any = connection.scalar(_INDEXED)
            behind: Any = connection.execute(_AFTER, {"event": indexed}).one()
            covered = signed.last_event_id if signed else 0
            unsigned: Any = connection.execute(_AFTER, {"event": covered}).one()
            examined = latest_examination(connection)
        figures.set(catalogue.UNINDEXED, behind[0])
        figures.set(catalogue.UNSIGNED, unsigned[0])
        figures.set_time(catalogue.UNSIGNED_SINCE, unsigned[1])
        if signed is not None:
            figures.set(catalogue.SIGNED, signed.tree_size)
            figures.set_time(catalogue.SIGNED_AT, signed.saved_at)
        if examined is not None:
            figures.set_time(catalogue.VERIFIED_AT, examined.at)
            figures.set(catalogue.FINDINGS, examined.findings)
        for target in self._settings.lineage_targets:
            standing = Forwarder(self._database, target).standing()
            figures.set(catalogue.FORWARD, standing.waiting, target.name)
        return figures

    def _on_disk(self, figures: Figures) -> None:
        waiting = sorted(self._outbox.glob("*.json"))
        refused = sum(1 for _ in (self._outbox / "refused").glob("*.json"))
        figures.set(catalogue.OUTBOX, len(waiting))
        figures.set(catalogue.OUTBOX_REFUSED, refused)
        if waiting:
            nanoseconds = int(waiting[0].name.partition("-")[0])
            figures.set_time(catalogue.OUTBOX_SINCE, datetime.fromtimestamp(nanoseconds / 1e9, UTC))
