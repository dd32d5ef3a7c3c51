"""Column lineage as OpenLineage's facet ``columnLineage`` (1-2-0).

Values that go into a column stand at the column; what decides which rows there are stands once,
for the whole dataset. The validated objects of a dataset are named together by their folder
(``s3://validated``, ``department/dataset``): the columns of each delivery are the same.
"""

from __future__ import annotations

from collections.abc import Callable

from openlineage.client.facet_v2 import column_lineage_dataset as spec

from cityledger.ledger.columns.model import Origin, Source, SourceKind, TableLineage
from cityledger.ledger.facets import PRODUCER

#: Namespace and name of a source in OpenLineage's terms.
Namer = Callable[[Source], tuple[str, str]]


def namer(*, tables: str, validated: str, inputs: str) -> Namer:
    """Names sources: tables in one namespace, validated folders and input files in others."""
    namespaces = {
        SourceKind.TABLE: tables,
        SourceKind.VALIDATED: validated,
        SourceKind.INPUT: inputs,
    }

    def name(source: Source) -> tuple[str, str]:
        text = source.name
        if source.kind is SourceKind.VALIDATED:
            text = text.replace(".", "/", 1)
        elif source.kind is SourceKind.INPUT:
            text = f"standardise.input.{text}"
        return namespaces[source.kind], text

    return name


def column_lineage_facet(
    lineage: TableLineage, name: Namer
) -> spec.ColumnLineageDatasetFacet | None:
    """The facet of one table; None when its columns could not be traced."""
    if lineage.problem is not None:
        return None
    return spec.ColumnLineageDatasetFacet(
        fields={
            column.column: spec.Fields(
                inputFields=[_field(origin, name) for origin in column.origins],
                transformationDescription=column.reason,
            )
            for column in lineage.columns
        },
        dataset=[_field(origin, name) for origin in lineage.rows],
        producer=PRODUCER,
    )


def _field(origin: Origin, name: Namer) -> spec.InputField:
    namespace, dataset = name(Source(origin.kind, origin.source))
    return spec.InputField(
        namespace=namespace,
        name=dataset,
        field=origin.column,
        transformations=[
            spec.Transformation(type=how.type, subtype=how.subtype, masking=how.masking)
            for how in origin.how
        ],
    )
