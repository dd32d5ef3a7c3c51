"""The DAG ``standardise``: what has been released becomes tables, indicators and a publication."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import (
    DAG,
    Asset,
    AssetAny,
    PartitionedAssetTimetable,
    TriggerRule,
    get_parsing_context,
)

from cityledger.airflow.collect import CollectReleases
from cityledger.airflow.dataset_dag import TASK_DEFAULTS, released_asset
from cityledger.airflow.operators import PublishOperator, StandardiseOperator
from cityledger.airflow.specs import DAG_PREFIX, dataset_ids
from cityledger.settings import Settings, get_settings

DAG_ID = "standardise"
# All released partitions of all datasets go into the same tables.
PARTITION = "released"
# A release waits this long for others that are on their way before it is standardised alone.
PATIENCE = timedelta(minutes=2)

DOCUMENT = """\
### From released deliveries to published indicators 从已放行数据到发布指标

Starts when a dataset's partition is released, collects what is released close together, and never
runs twice at the same time. A run that finds nothing to do ends as *skipped*.

* `standardise`: one dbt build: staging, core, indicators, audit (the log lists every model)
* `publish`: the indicator table as Parquet and CSV

Trigger it by hand to standardise what was released while this DAG was paused.
"""


def published_asset(settings: Settings) -> Asset:
    """The published indicator table, as an Airflow asset."""
    return Asset(name="indicators", uri=f"s3://{settings.bucket_prefix}published/indicators")


def standardise_dag() -> DAG:
    """The DAG, driven by the released partitions of all datasets."""
    settings = get_settings()
    with DAG(
        dag_id=DAG_ID,
        description="Released deliveries → tables → indicators → publication",
        doc_md=DOCUMENT,
        schedule=_schedule(settings),
        catchup=False,
        max_active_runs=1,
        tags={"city"},
        default_args={**TASK_DEFAULTS, "owner": "city"},
    ) as dag:
        standardised = StandardiseOperator(
            task_id="standardise", execution_timeout=timedelta(hours=6)
        )
        published = PublishOperator(
            task_id="publish",
            outlets=[published_asset(settings)],
            execution_timeout=timedelta(hours=1),
            # A publication that failed last time is made up for, even with nothing new to build.
            trigger_rule=TriggerRule.NONE_FAILED,
        )
        standardised >> published
    return dag


def _schedule(settings: Settings) -> PartitionedAssetTimetable | None:
    if get_parsing_context().dag_id is not None:
        return None  # a task's process does not schedule anything
    datasets = dataset_ids(settings.contracts_dir)
    if not datasets:
        return None
    # Airflow accepts mappers of its server side here, which its author-side types do not say.
    mapper: Any = CollectReleases(
        key=PARTITION,
        consumer=DAG_ID,
        producers=DAG_PREFIX,
        patience=PATIENCE.total_seconds(),
    )
    return PartitionedAssetTimetable(
        assets=AssetAny(*(released_asset(dataset, settings) for dataset in datasets)),
        default_partition_mapper=mapper,
    )
