"""How many of Airflow's tasks wait or run: the length of the queue, whatever executor there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cityledger.observability.metrics.families import Figures


def unfinished_tasks() -> Figures:
    """Task instances by state, of those states that are not an end; a part of ``/metrics``."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import State
    from sqlalchemy import func, select

    from cityledger.observability.metrics import catalogue
    from cityledger.observability.metrics.families import Figures

    states = sorted(str(state.value) for state in State.unfinished if state is not None)
    query = (
        select(TaskInstance.state, func.count())
        .where(TaskInstance.state.in_(states))
        .group_by(TaskInstance.state)
    )
    figures = Figures()
    with create_session(scoped=False) as session:
        counted = {str(state): count for state, count in session.execute(query)}
    for state in states:
        figures.set(catalogue.TASKS, counted.get(state, 0), state)
    return figures
