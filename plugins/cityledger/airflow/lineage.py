"""What our tasks tell Airflow's OpenLineage provider: datasets, and who their parent run is.

The provider asks an operator after its task has ended and gives up after ten seconds, so nothing
is looked up then: operators keep what they read and wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from cityledger.ledger.identity import Data
    from cityledger.ledger.lineage import Parent
    from cityledger.records import LandedObject, ObjectRef
    from cityledger.settings import Settings


class LineageMixin:
    """Reports what an operator left in :attr:`read` and :attr:`written` to OpenLineage."""

    read: Sequence[Data] = ()
    written: Sequence[Data] = ()

    def get_openlineage_facets_on_complete(
        self,
        task_instance: Any,  # noqa: ARG002  the provider's signature
    ) -> OperatorLineage[Any, Any]:
        """The datasets of a task that succeeded."""
        from airflow.providers.openlineage.extractors import OperatorLineage

        from cityledger.ledger.facets import input_dataset, output_dataset

        return OperatorLineage(
            inputs=[input_dataset(data) for data in self.read],
            outputs=[output_dataset(data) for data in self.written],
        )

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """The datasets that a failed task had got to."""
        return self.get_openlineage_facets_on_complete(task_instance)


def parent_of_stages(task_instance: Any) -> Parent:
    """The OpenLineage runs that Airflow's provider emits for this task and its DAG run."""
    from airflow.providers.openlineage.plugins import macros as untyped_macros

    from cityledger.ledger.lineage import Origin, Parent

    macros: Any = untyped_macros

    return Parent(
        job=Origin(
            namespace=macros.lineage_job_namespace(),
            name=macros.lineage_job_name(task_instance),
            run_id=macros.lineage_run_id(task_instance),
        ),
        root=Origin(
            namespace=macros.lineage_root_job_namespace(task_instance),
            name=macros.lineage_root_job_name(task_instance),
            run_id=macros.lineage_root_run_id(task_instance),
        ),
    )


def delivered_files(objects: Iterable[LandedObject]) -> list[Data]:
    """The department's files that were landed as these objects."""
    from cityledger.ledger.identity import file_data
    from cityledger.records import SpooledFile

    return [
        file_data(
            SpooledFile(
                path=Path(landed.name),
                name=landed.name,
                sha256=landed.sha256,
                size=landed.size,
                source_uri=landed.source_uri,
            )
        )
        for landed in objects
    ]


def stored_objects(refs: Iterable[ObjectRef | None]) -> list[Data]:
    """Objects of the store, those that exist."""
    from cityledger.ledger.identity import object_data

    return [object_data(ref) for ref in refs if ref is not None]


def lake_tables(settings: Settings, tables: Iterable[str], snapshot_id: int) -> list[Data]:
    """Tables of the lake (``schema.table``) as of a snapshot."""
    from cityledger.ledger.identity import table_data
    from cityledger.storage.address import DatabaseAddress

    catalogue = DatabaseAddress.from_settings(settings)
    return [table_data(catalogue, table, snapshot_id) for table in sorted(tables)]
