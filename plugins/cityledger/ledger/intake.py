"""The ledger's intake: takes lineage events in, in every process that emits them.

An event goes straight to its destination (`senders`), and into the outbox when that does not take
it; what waits there goes first the next time. An event is known by the SHA-256 of its bytes, so
delivering it twice keeps it once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from cityledger.errors import CityLedgerError
from cityledger.ledger.outbox import Outbox
from cityledger.ledger.senders import RefusedError, Sender, sender_for
from cityledger.settings import Settings

_BATCH_EVENTS = 500
_BATCH_BYTES = 8 * 1024 * 1024
# While the destination is away, a producer does not wait for it with every event.
_REST = 10.0

log = logging.getLogger(__name__)


class Intake:
    """Takes lineage events in and delivers them."""

    def __init__(self, settings: Settings, *, rest: float = _REST) -> None:
        self._settings, self._rest = settings, rest
        self._box = Outbox(settings.home / "outbox")
        self._away_until = 0.0

    @property
    def outbox(self) -> Path:
        """Where events wait while their destination is away."""
        return self._box.folder

    def waiting(self) -> list[Path]:
        """The events that wait, oldest first."""
        return self._box.waiting()

    def accept(self, raw: bytes) -> bool:
        """Keep an event; never loses it.

        Returns:
            True when it is delivered, False when it waits in the outbox.

        Raises:
            OSError: neither the destination nor the outbox took it.
        """
        return self.accept_all([raw])

    def accept_all(self, raws: Sequence[bytes]) -> bool:
        """Keep events, in one transaction where that is possible.

        Returns:
            True when all are delivered, False when some wait in the outbox.

        Raises:
            OSError: neither the destination nor the outbox took them.
        """
        if time.monotonic() < self._away_until:
            self._put(raws)
            return False
        try:
            self.flush_outbox()
            self._sender.send(raws)
        except RefusedError as error:
            return self._accept_each(raws, error)
        except CityLedgerError as error:
            log.warning("lineage events kept in the outbox: %s", error)
            self._away_until = time.monotonic() + self._rest
            self._put(raws)
            return False
        return True

    def flush_outbox(self) -> int:
        """Deliver what waits in the outbox, oldest first.

        Returns:
            How many events were delivered.

        Raises:
            UnavailableError: the destination does not take them; they stay.
        """
        delivered = 0
        for batch in self._box.batches(_BATCH_EVENTS, _BATCH_BYTES):
            delivered += self._deliver(batch)
        self._box.tidy()
        return delivered

    @cached_property
    def _sender(self) -> Sender:
        return sender_for(self._settings)

    def _deliver(self, batch: Sequence[tuple[Path, bytes]]) -> int:
        try:
            self._sender.send([raw for _, raw in batch])
        except RefusedError as error:
            return self._deliver_each(batch, error)
        for path, _ in batch:
            self._box.done(path)
        return len(batch)

    def _deliver_each(self, batch: Sequence[tuple[Path, bytes]], error: RefusedError) -> int:
        """One of them is refused: find it, and deliver the others."""
        if len(batch) == 1:
            log.error("lineage event put aside in outbox/refused: %s", error)
            self._box.refuse(batch[0][0])
            return 0
        return sum(self._deliver([one]) for one in batch)

    def _accept_each(self, raws: Sequence[bytes], error: RefusedError) -> bool:
        """One of them is refused, or all of them together."""
        if len(raws) > 1:
            taken = [self.accept(raw) for raw in raws]
            return all(taken)
        log.error("lineage event put aside in outbox/refused: %s", error)
        for raw in raws:
            self._box.refuse(self._box.put(raw))
        return False

    def _put(self, raws: Iterable[bytes]) -> None:
        for raw in raws:
            self._box.put(raw)
