"""What our tasks tell Airflow's OpenLineage provider: datasets, and who their parent run is.

The provider asks an operator after its task has ended and gives up after ten seconds, so nothing
is looked up here: the operators keep what they read and wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from cityledger.records import ObjectRef
    from cityledger.runner import ParentRun

    Touched = Sequence[ObjectRef | str | tuple[str, int]]


class LineageMixin:
    """Reports :attr:`read` and :attr:`written` to OpenLineage.

    Attributes:
        read: Objects, source URIs, or tables of the lake as (``schema.table``, snapshot id).
        written: The same for what the task wrote.
    """

    read: Touched = ()
    written: Touched = ()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage:  # noqa: ARG002
        """Datasets of a task that succeeded."""
        from airflow.providers.openlineage.extractors import OperatorLineage

        return OperatorLineage(inputs=[], outputs=[])


def parent_run(task_instance: Any) -> ParentRun:
    """The OpenLineage run that Airflow's provider emits for this task."""
    from airflow.providers.openlineage.plugins.macros import (
        lineage_job_name,
        lineage_job_namespace,
        lineage_run_id,
    )

    from cityledger.runner import ParentRun

    return ParentRun(
        run_id=lineage_run_id(task_instance),
        job_name=lineage_job_name(task_instance),
        job_namespace=lineage_job_namespace(),
    )
