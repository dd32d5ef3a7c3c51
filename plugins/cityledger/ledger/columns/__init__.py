"""Column lineage: which source columns each column of the lake comes from, and how."""

from __future__ import annotations

from cityledger.ledger.columns.facet import Namer, column_lineage_facet, namer
from cityledger.ledger.columns.model import (
    ColumnLineage,
    How,
    Origin,
    Source,
    SourceKind,
    TableLineage,
)
from cityledger.ledger.columns.project import column_lineage, origins

__all__ = [
    "ColumnLineage",
    "How",
    "Namer",
    "Origin",
    "Source",
    "SourceKind",
    "TableLineage",
    "column_lineage",
    "column_lineage_facet",
    "namer",
    "origins",
]
