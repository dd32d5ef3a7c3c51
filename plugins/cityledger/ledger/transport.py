"""An OpenLineage transport into the ledger, for our own emitter and for Airflow's provider.

Airflow: ``AIRFLOW__OPENLINEAGE__TRANSPORT='{"type":
"cityledger.ledger.transport.LedgerTransport"}'``. The addresses come from CityLedger's settings, so
no secret is written into Airflow's configuration.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attr
from openlineage.client.client import Event
from openlineage.client.serde import Serde
from openlineage.client.transport import Config, Transport

from cityledger.ledger.intake import Intake
from cityledger.settings import Settings, get_settings


@attr.define
class LedgerConfig(Config):
    """Nothing to configure beside the settings; tests hand in their own."""

    settings: Settings | None = None

    @classmethod
    def from_dict(cls, params: dict[str, Any]) -> LedgerConfig:
        """Made from the transport's configuration, whose keys beside ``type`` are refused."""
        unknown = sorted(set(params) - {"type"})
        if unknown:
            raise ValueError(f"LedgerTransport takes no options, got {', '.join(unknown)}")
        return cls()


class LedgerTransport(Transport):
    """Writes an event's bytes into the ledger, or into the outbox while the database is down."""

    kind = "cityledger"
    config_class = LedgerConfig

    def __init__(self, config: LedgerConfig) -> None:
        self._intake = Intake(config.settings or get_settings())

    def emit(self, event: Event) -> bool:
        """Keep the event.

        Returns:
            True when it is in the database, False when it waits in the outbox.
        """
        return self.emit_all([event])

    def emit_all(self, events: Iterable[Event]) -> bool:
        """Keep many events in one go.

        Returns:
            True when all are in the database, False when some wait in the outbox.
        """
        return self._intake.accept_all([Serde.to_json(event).encode() for event in events])
