"""What the DAGs of the whole city have in common: by the clock, one run at a time, no past."""

from __future__ import annotations

from airflow.sdk import DAG, CronTriggerTimetable

from cityledger.airflow.dataset_dag import TASK_DEFAULTS, TIMEZONE


def city_dag(dag_id: str, schedule: str, *, description: str, document: str) -> DAG:
    """A DAG without tasks.

    Args:
        dag_id: Its name.
        schedule: Cron, five fields, in the city's time zone.
        description: One line on Airflow's list.
        document: Markdown on the DAG's page.
    """
    return DAG(
        dag_id=dag_id,
        description=description,
        doc_md=document,
        schedule=CronTriggerTimetable(schedule, timezone=TIMEZONE),
        catchup=False,
        max_active_runs=1,
        tags={"city"},
        default_args={**TASK_DEFAULTS, "owner": "city"},
    )
