"""Removals as lineage events: what was taken away when its retention had ended, by whom and why.

A removal is told in the ledger before anything is removed. So its tombstone is a leaf of the signed
log, and whoever misses an object finds out what became of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import attr
from openlineage.client.event_v2 import Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import RunFacet, lifecycle_state_change_dataset
from sqlalchemy import select

from cityledger.ledger.facets import PRODUCER
from cityledger.ledger.lineage import new_run_id
from cityledger.ledger.transport import LedgerConfig, LedgerTransport
from cityledger.masking import scrub
from cityledger.records import ObjectRef, Record
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.tables import lineage_event

_FACET = "cityledger_removal"
_JOB = ".retention"


class Removal(Record):
    """A tombstone.

    Attributes:
        objects: What was removed, with the version ids that receipts name.
        ended_at: When the retention ended.
    """

    dataset: str
    partition: str
    delivery: str
    objects: tuple[ObjectRef, ...]
    ended_at: datetime
    removed_at: datetime
    removed_by: str
    reason: str


@attr.define
class RemovalRunFacet(RunFacet):
    """The tombstone of a removal (key ``cityledger_removal``)."""

    removal: dict[str, object]

    @staticmethod
    def _get_schema() -> str:
        return "urn:cityledger:facet:removal-run:1"


def tell_removal(settings: Settings, removal: Removal) -> str:
    """Write a tombstone into the ledger.

    Returns:
        The id of the run that stands for the removal.

    Raises:
        UnavailableError: the database does not answer.
    """
    run_id = new_run_id()
    told = removal.model_copy(update={"reason": scrub(removal.reason)})
    facet = RemovalRunFacet(removal=told.model_dump(mode="json"), producer=PRODUCER)
    events = [
        RunEvent(
            eventType=state,
            eventTime=datetime.now(UTC).isoformat(),
            run=Run(run_id, facets={_FACET: facet} if state is RunState.COMPLETE else {}),
            job=Job(settings.lineage_namespace, f"{removal.dataset}{_JOB}"),
            inputs=[],
            outputs=_dropped(removal.objects) if state is RunState.COMPLETE else [],
            producer=PRODUCER,
        )
        for state in (RunState.START, RunState.COMPLETE)
    ]
    LedgerTransport(LedgerConfig(settings=settings)).emit_all(events)
    return run_id


def told_removals(database: Database) -> list[Removal]:
    """The tombstones in the ledger's events, oldest first."""
    query = (
        select(lineage_event.c.raw)
        .where(lineage_event.c.job_name.endswith(_JOB), lineage_event.c.event_type == "COMPLETE")
        .order_by(lineage_event.c.id)
    )
    with database.begin() as connection:
        raws: list[bytes] = list(connection.scalars(query))
    facets = (json.loads(raw)["run"].get("facets", {}).get(_FACET) for raw in raws)
    return [_parsed(facet["removal"]) for facet in facets if facet]


def _parsed(told: dict[str, Any]) -> Removal:
    # OpenLineage's client leaves out what is None.
    objects = [{"version_id": None} | one for one in told["objects"]]
    return Removal.model_validate(told | {"objects": objects})


def _dropped(objects: Sequence[ObjectRef]) -> list[OutputDataset]:
    facet = lifecycle_state_change_dataset.LifecycleStateChangeDatasetFacet(
        lifecycleStateChange=lifecycle_state_change_dataset.LifecycleStateChange.DROP,
        producer=PRODUCER,
    )
    return [
        OutputDataset(f"s3://{one.bucket}", one.key, facets={"lifecycleStateChange": facet})
        for one in objects
    ]
