"""Pools named by contracts come into being with the first run that needs them.

Airflow leaves a task whose pool does not exist waiting for ever and says so in the scheduler's log
only. A contract that names a new pool must not need an administrator.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.listeners import hookimpl

from cityledger.airflow.specs import DAG_PREFIX

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

log = logging.getLogger(__name__)

# How many tasks may talk to one department's system at the same time, until somebody changes it
# on Airflow's page (Admin → Pools).
SLOTS = 2


@hookimpl
def on_dag_run_running(dag_run: DagRun, msg: str) -> None:  # noqa: ARG001  Airflow's signature
    """Create the pools that a dataset's tasks ask for (called in the scheduler)."""
    if not dag_run.dag_id.startswith(DAG_PREFIX) or dag_run.dag is None:
        return
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session
    from sqlalchemy import select

    wanted = {task.pool for task in dag_run.dag.tasks}
    with create_session(scoped=False) as session:
        known = set(session.scalars(select(Pool.pool).where(Pool.pool.in_(wanted))))
        for name in sorted(wanted - known):
            log.info("creating pool %s with %s slots", name, SLOTS)
            session.add(
                Pool(
                    pool=name,
                    slots=SLOTS,
                    description="Bounds the load on a department's system",
                    include_deferred=False,
                )
            )
