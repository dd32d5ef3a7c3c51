"""The tables of schema ``cityledger``, one module a subject; importing this one knows them all."""

from __future__ import annotations

from cityledger.storage.tables import graph as graph
from cityledger.storage.tables import orders as orders
from cityledger.storage.tables import profiles as profiles
from cityledger.storage.tables.base import SCHEMA, metadata
from cityledger.storage.tables.journals import (
    delivery,
    indicator_value,
    lineage_event,
    model_result,
    outcome,
    publication,
    release,
    rule_result,
    staged,
    standardisation,
    validation,
)
from cityledger.storage.tables.log import log_bundle, log_checkpoint, log_key
from cityledger.storage.tables.quarantine import (
    correction,
    quarantine_access,
    waiver,
    waiver_revocation,
)
from cityledger.storage.tables.retention import legal_hold, legal_hold_end, removal
from cityledger.storage.tables.scores import score, table_result

__all__ = [
    "SCHEMA",
    "correction",
    "delivery",
    "indicator_value",
    "legal_hold",
    "legal_hold_end",
    "lineage_event",
    "log_bundle",
    "log_checkpoint",
    "log_key",
    "metadata",
    "model_result",
    "outcome",
    "publication",
    "quarantine_access",
    "release",
    "removal",
    "rule_result",
    "score",
    "staged",
    "standardisation",
    "table_result",
    "validation",
    "waiver",
    "waiver_revocation",
]
