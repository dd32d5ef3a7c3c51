"""OpenLineage run events of the stages: START, then COMPLETE or FAIL.

Job names are ``<department>.<dataset>.<stage>`` in the namespace of the installation, so one grep
follows a dataset through contract, objects, DAG and lineage.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone

from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    JobFacet,
    RunFacet,
    job_type_job,
    nominal_time_run,
    ownership_job,
    parent_run,
)
from openlineage.client.transport import Transport
from openlineage.client.uuid import generate_new_uuid

from cityledger.contracts.identity import Partition
from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError
from cityledger.ledger.expectations import Declares
from cityledger.ledger.facets import (
    PRODUCER,
    StageRunFacet,
    declares_facet,
    error_facet,
    input_dataset,
    output_dataset,
)
from cityledger.ledger.facts import DECLARES
from cityledger.ledger.identity import Data
from cityledger.ledger.transport import LedgerConfig, LedgerTransport
from cityledger.records import Stage
from cityledger.settings import Settings

# Partitions are days of the civil calendar, and China keeps one civil time (GB/T 7408.1 writes it
# as an offset).
_CIVIL_TIME = timezone(timedelta(hours=8))


def new_run_id() -> str:
    """A UUID for one stage attempt (version 7: in time order)."""
    return str(generate_new_uuid())


@dataclass(frozen=True, slots=True)
class Origin:
    """A run that started ours: namespace and name of its job, and its id."""

    namespace: str
    name: str
    run_id: str

    @classmethod
    def parse(cls, text: str) -> Origin | None:
        """Read ``namespace/job name/run id``, as Airflow's lineage macros write it."""
        namespace, _, rest = text.partition("/")
        name, _, run_id = rest.rpartition("/")
        return cls(namespace, name, run_id) if namespace and name and run_id else None


@dataclass(frozen=True, slots=True)
class Parent:
    """The run that started ours, and the run at the root of it all."""

    job: Origin
    root: Origin | None = None

    @classmethod
    def from_environment(cls) -> Parent | None:
        """What ``OPENLINEAGE_PARENT_ID`` and ``OPENLINEAGE_ROOT_PARENT_ID`` say, if anything."""
        job = Origin.parse(os.environ.get("OPENLINEAGE_PARENT_ID", ""))
        root = Origin.parse(os.environ.get("OPENLINEAGE_ROOT_PARENT_ID", ""))
        return cls(job, root) if job else None


@dataclass(frozen=True, slots=True)
class StageRun:
    """One attempt of one stage.

    Attributes:
        dataset: ``department.dataset``, or the name of what serves all of them (``city``).
        partition: Partition key; anything else is recorded as it is, without a nominal time.
        declares: What the run will touch; told with its events, compared when it has ended.
    """

    stage: Stage
    dataset: str
    partition: str
    run_id: str = field(default_factory=new_run_id)
    delivery: str | None = None
    contract: Contract | None = None
    parent: Parent | None = None
    declares: Declares = field(default_factory=Declares)

    @property
    def job_name(self) -> str:
        """``<department>.<dataset>.<stage>``."""
        return f"{self.dataset}.{self.stage.value}"


class Emitter:
    """Emits the events of stage runs through a transport."""

    def __init__(self, transport: Transport, *, namespace: str = "cityledger") -> None:
        self._transport, self._namespace = transport, namespace
        self._held: list[RunEvent] | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Emitter:
        """An emitter into this installation's ledger."""
        return cls(
            LedgerTransport(LedgerConfig(settings=settings)), namespace=settings.lineage_namespace
        )

    @contextmanager
    def together(self) -> Iterator[None]:
        """Send the events of the block in one go when it ends, however it ends."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            if isinstance(self._transport, LedgerTransport):
                self._transport.emit_all(held)
            else:
                for event in held:
                    self._transport.emit(event)

    def start(
        self, run: StageRun, *, inputs: Iterable[Data] = (), outputs: Iterable[Data] = ()
    ) -> None:
        """The attempt begins."""
        self._emit(RunState.START, run, inputs, outputs, {})

    def complete(
        self,
        run: StageRun,
        *,
        inputs: Iterable[Data] = (),
        outputs: Iterable[Data] = (),
        facets: Mapping[str, RunFacet] | None = None,
    ) -> None:
        """The attempt succeeded; inputs and outputs with their versions and verdicts."""
        self._emit(RunState.COMPLETE, run, inputs, outputs, facets or {})

    def fail(
        self,
        run: StageRun,
        error: BaseException,
        *,
        inputs: Iterable[Data] = (),
        outputs: Iterable[Data] = (),
    ) -> None:
        """The attempt failed; the message is the error's own words only if it is one of ours."""
        self._emit(RunState.FAIL, run, inputs, outputs, {"errorMessage": error_facet(error)})

    def _emit(
        self,
        state: RunState,
        run: StageRun,
        inputs: Iterable[Data],
        outputs: Iterable[Data],
        extra: Mapping[str, RunFacet],
    ) -> None:
        event = RunEvent(
            eventType=state,
            eventTime=datetime.now(UTC).isoformat(),
            run=Run(run.run_id, facets={**_run_facets(run), **extra}),
            job=Job(self._namespace, run.job_name, facets=_job_facets(run)),
            inputs=[input_dataset(data) for data in inputs],
            outputs=[output_dataset(data) for data in outputs],
            producer=PRODUCER,
        )
        if self._held is None:
            self._transport.emit(event)
        else:
            self._held.append(event)


def _run_facets(run: StageRun) -> dict[str, RunFacet]:
    contract = run.contract
    facets: dict[str, RunFacet] = {
        "cityledger_stage": StageRunFacet(
            stage=run.stage.value,
            dataset=run.dataset,
            partition=run.partition,
            delivery=run.delivery,
            contract={"version": contract.version, "sha256": contract.sha256} if contract else None,
            producer=PRODUCER,
        )
    }
    if run.declares:
        facets[DECLARES] = declares_facet(run.declares)
    if (period := _period(run.partition)) is not None:
        facets["nominalTime"] = period
    if run.parent is not None:
        facets["parent"] = _parent(run.parent)
    return facets


def _job_facets(run: StageRun) -> dict[str, JobFacet]:
    facets: dict[str, JobFacet] = {
        "jobType": job_type_job.JobTypeJobFacet(
            processingType="BATCH", integration="CITYLEDGER", jobType="STAGE", producer=PRODUCER
        )
    }
    if run.contract is not None:
        # The department, not the person: lineage is shown to more people than contracts are.
        owner = ownership_job.Owner(f"department:{run.contract.id.department}", type="OWNER")
        facets["ownership"] = ownership_job.OwnershipJobFacet(owners=[owner], producer=PRODUCER)
    return facets


def _period(partition: str) -> nominal_time_run.NominalTimeRunFacet | None:
    try:
        period = Partition.parse(partition)
        after = period.end + timedelta(days=1)
    except (BadInputError, OverflowError):
        return None
    return nominal_time_run.NominalTimeRunFacet(
        nominalStartTime=_midnight(period.start),
        nominalEndTime=_midnight(after),
        producer=PRODUCER,
    )


def _midnight(day: date) -> str:
    return datetime.combine(day, time.min, _CIVIL_TIME).isoformat()


def _parent(parent: Parent) -> parent_run.ParentRunFacet:
    root = parent.root
    return parent_run.ParentRunFacet(
        run=parent_run.Run(parent.job.run_id),
        job=parent_run.Job(parent.job.namespace, parent.job.name),
        root=None
        if root is None
        else parent_run.Root(
            run=parent_run.RootRun(root.run_id),
            job=parent_run.RootJob(root.namespace, root.name),
        ),
        producer=PRODUCER,
    )
