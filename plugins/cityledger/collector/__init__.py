"""The lineage collector: an OpenLineage endpoint that speaks Marquez's API."""
