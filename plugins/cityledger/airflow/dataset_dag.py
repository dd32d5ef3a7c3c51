"""One DAG per contract: extract_land → parse_validate → release.

Where the contract has large files cut into parts: extract_land → split → parse_part, once for each
part → parse_validate → release.

A task ends with a durable commit mark (docs/adr/0002), so each can be repeated by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import (
    DAG,
    Asset,
    BaseOperator,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    TriggerRule,
    WeightRule,
    get_parsing_context,
)

from cityledger.airflow.operators import (
    ExtractLandOperator,
    ParsePartOperator,
    ParseValidateOperator,
    ReleaseOperator,
    SplitOperator,
)
from cityledger.airflow.specs import DAG_PREFIX, DagSpec, read_spec, read_specs
from cityledger.airflow.timetable import DeliveryTimetable
from cityledger.contracts.identity import DatasetId
from cityledger.errors import BadInputError, CityLedgerError, UnavailableError
from cityledger.settings import Settings, get_settings

if TYPE_CHECKING:
    from airflow.sdk.definitions.mappedoperator import MappedOperator

TIMEZONE = "Asia/Shanghai"

# What a person must put right is not tried again; a service that is away, a killed process or a
# timeout is. The first matching rule wins.
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(UnavailableError, RetryAction.RETRY, reason="a service does not answer"),
        RetryRule(CityLedgerError, RetryAction.FAIL, reason="somebody has to put this right"),
    ]
)

TASK_DEFAULTS: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": RETRY_POLICY,
    # Finish a delivery before the next is begun: the later task goes first.
    "weight_rule": WeightRule.UPSTREAM,
}


def dataset_dags() -> Iterator[DAG]:
    """The DAGs of all good contracts; in a task's process only the DAG of that task."""
    settings = get_settings()
    wanted = get_parsing_context().dag_id
    if wanted is None:
        specs = read_specs(settings).good
    elif wanted.startswith(DAG_PREFIX):
        spec = read_spec(settings.contracts_dir, wanted)
        specs = (spec,) if spec else ()
    else:
        specs = ()
    for spec in specs:
        yield dataset_dag(spec, settings)


def raise_broken_contracts() -> None:
    """Tell Airflow what is wrong with contracts, if anything is.

    Raises:
        BadInputError: with every violation of every contract.
    """
    if get_parsing_context().dag_id is not None:
        return  # a task's process has its own contract to worry about
    settings = get_settings()
    problems = read_specs(settings).problems
    if problems:
        raise BadInputError(
            "these contracts have no DAG until they are put right:\n" + "\n".join(problems),
            where=str(settings.contracts_dir),
            fix="correct them; `cityledger contract lint` checks",
            code="bad_contract",
        )


def released_asset(dataset: str, settings: Settings) -> Asset:
    """The dataset's released partitions, as an Airflow asset."""
    identity = DatasetId.parse(dataset)
    return Asset(
        name=dataset,
        uri=f"s3://{settings.bucket_prefix}validated/{identity.prefix}",
        group=identity.department,
    )


def dataset_dag(spec: DagSpec, settings: Settings) -> DAG:
    """The DAG of one dataset."""
    with DAG(
        dag_id=spec.dag_id,
        dag_display_name=f"{spec.dataset} {spec.title}",
        description=spec.title,
        doc_md=spec.document,
        schedule=DeliveryTimetable(spec.schedule, grain=spec.grain, timezone=TIMEZONE),
        catchup=False,
        # Runs that wait for a steward stay active; they must not keep later days from running.
        max_active_runs=32,
        tags={"dataset", spec.id.department, spec.grain},
        default_args={**TASK_DEFAULTS, "owner": spec.owner},
        fail_fast=False,
    ) as dag:
        landed = ExtractLandOperator(
            task_id="extract_land",
            dataset=spec.dataset,
            pool=spec.pool,
            execution_timeout=timedelta(hours=6),
        )
        validated = ParseValidateOperator(
            task_id="parse_validate",
            dataset=spec.dataset,
            delivery=_delivery_of(landed),
            in_parts=spec.in_parts,
            # Parts that there are none of are skipped.
            trigger_rule=TriggerRule.NONE_FAILED if spec.in_parts else TriggerRule.ALL_SUCCESS,
            execution_timeout=timedelta(hours=12),
        )
        released = ReleaseOperator(
            task_id="release",
            dataset=spec.dataset,
            delivery=_delivery_of(validated),
            outlets=[released_asset(spec.dataset, settings)],
            execution_timeout=timedelta(minutes=10),
        )
        if spec.in_parts:
            _parts(spec, landed) >> validated
        landed >> validated >> released
    return dag


def _parts(spec: DagSpec, landed: BaseOperator) -> MappedOperator:
    """The tasks that parse the parts of a delivery side by side, after one that plans them."""
    delivery = _delivery_of(landed)
    split = SplitOperator(
        task_id="split",
        dataset=spec.dataset,
        delivery=delivery,
        execution_timeout=timedelta(hours=6),
    )
    landed >> split
    return ParsePartOperator.partial(
        task_id="parse_part",
        dataset=spec.dataset,
        delivery=delivery,
        map_index_template="{{ task.number }}",
        execution_timeout=timedelta(hours=6),
    ).expand(number=split.output)


def _delivery_of(task: BaseOperator) -> str:
    # The run stays with the delivery it landed, even if the department delivers again meanwhile.
    return f"{{{{ ti.xcom_pull('{task.task_id}')['delivery'] }}}}"
