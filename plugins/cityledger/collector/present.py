"""Turns what the catalogue knows into the shapes of the API, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from cityledger.collector import shapes
from cityledger.ledger.catalog import Catalog, MadeVersion, RunDataset
from cityledger.ledger.facts import Direction, NodeKind
from cityledger.ledger.graph import GappedRun, Node, Run, Version, Wholeness

# Whoever asks for one thing gets all of it, whatever the size of the events it is in.
_WHOLE_BYTES = 1024 * 1024 * 1024


class Presenter:
    """Makes answers, with as few questions to the database as the page is long in kinds."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def datasets(self, nodes: Sequence[Node]) -> list[shapes.Dataset]:
        """A page of datasets."""
        facets = self._catalog.facets(nodes)
        return self._datasets(nodes, facets)

    def dataset(self, node: Node) -> shapes.Dataset:
        """One dataset with all its facets."""
        return self._datasets([node], self._catalog.facets([node], most=_WHOLE_BYTES))[0]

    def jobs(self, nodes: Sequence[Node]) -> list[shapes.Job]:
        """A page of jobs."""
        return self._jobs(nodes, self._catalog.facets(nodes))

    def job(self, node: Node) -> shapes.Job:
        """One job with all its facets."""
        return self._jobs([node], self._catalog.facets([node], most=_WHOLE_BYTES))[0]

    def runs(self, runs: Sequence[Run], jobs: Mapping[int, Node]) -> list[shapes.Run]:
        """Runs with their facets and what they read and wrote."""
        facets = self._catalog.run_facets(runs)
        touched = self._catalog.touched(runs)
        return [
            _run(run, jobs[run.job], facets.get(run.run_id, {}), touched.get(run.id, ()))
            for run in runs
        ]

    def versions(self, node: Node, made: Sequence[MadeVersion]) -> list[shapes.DatasetVersion]:
        """Versions of a dataset."""
        runs = [one.run for one in made if one.run]
        jobs = self._catalog.graph.nodes_by_id({run.job for run in runs})
        shown = {run.id: one for run, one in zip(runs, self.runs(runs, jobs), strict=True)}
        return [_version(node, one, shown) for one in made]

    def _datasets(
        self, nodes: Sequence[Node], facets: Mapping[int, dict[str, Any]]
    ) -> list[shapes.Dataset]:
        current = self._catalog.current_versions(nodes)
        return [
            shapes.Dataset(
                **dataset_basics(node, facets.get(node.id, {})),
                last_modified_at=node.last_at,
                current_version=current.get(node.id),
            )
            for node in nodes
        ]

    def _jobs(
        self, nodes: Sequence[Node], facets: Mapping[int, dict[str, Any]]
    ) -> list[shapes.Job]:
        latest = self._catalog.latest_runs(nodes)
        ends = self._catalog.ends(nodes)
        every = [run for runs in latest.values() for run in runs]
        jobs = {node.id: node for node in nodes}
        shown = {one.id: one for one in self.runs(every, jobs)}
        made = []
        for node in nodes:
            runs = [shown[run.run_id] for run in latest.get(node.id, ())]
            made.append(
                shapes.Job(
                    **job_basics(node, facets.get(node.id, {}), ends[node.id]),
                    parent_job_name=_parent_name(runs),
                    latest_run=runs[0] if runs else None,
                    latest_runs=runs,
                    current_version=None,
                    tags=_tags(facets.get(node.id, {}), None),
                )
            )
        return made


def dataset_basics(node: Node, facets: dict[str, Any]) -> dict[str, Any]:
    """What every shape of a dataset shows."""
    return {
        "id": identify(node),
        "type": _dataset_type(facets),
        "name": node.name,
        "physical_name": str(facets.get("cityledger_declared", {}).get("physicalName", node.name)),
        "created_at": node.first_at,
        "updated_at": node.last_at,
        "namespace": node.namespace,
        "source_name": _source_name(node, facets),
        "fields": fields(facets),
        "tags": _tags(facets, None),
        "last_lifecycle_state": node.lifecycle,
        "description": _description(facets),
        "facets": facets,
        "deleted": node.lifecycle == "DROP",
    }


def job_basics(
    node: Node, facets: dict[str, Any], ends: tuple[Sequence[Node], ...]
) -> dict[str, Any]:
    """What every shape of a job shows."""
    return {
        "id": identify(node),
        "type": facets.get("jobType", {}).get("processingType", "BATCH"),
        "name": node.name,
        "simple_name": node.name.rpartition(".")[2] or node.name,
        "created_at": node.first_at,
        "updated_at": node.last_at,
        "namespace": node.namespace,
        "inputs": [identify(one) for one in ends[0]],
        "outputs": [identify(one) for one in ends[1]],
        "location": facets.get("sourceCodeLocation", {}).get("url"),
        "description": _description(facets),
        "facets": facets,
    }


def identify(node: Node) -> shapes.Id:
    """What a node is called."""
    return shapes.Id(namespace=node.namespace, name=node.name)


def fields(facets: Mapping[str, Any]) -> list[shapes.Field]:
    """A dataset's columns, as its schema facet has them."""
    return [
        shapes.Field(
            name=one["name"],
            type=one.get("type"),
            description=one.get("description"),
            tags=_tags(facets, one["name"]),
        )
        for one in facets.get("schema", {}).get("fields") or ()
    ]


def incomplete(wholeness: Wholeness) -> list[shapes.GappedRun]:
    """The runs because of which an answer is partial."""
    return [gapped_run(run) for run in wholeness.runs]


def gapped_run(run: GappedRun) -> shapes.GappedRun:
    """A run and what its lineage lacks."""
    return shapes.GappedRun(
        id=run.run_id,
        job=shapes.Id(namespace=run.namespace, name=run.job),
        state=run.state,
        gaps=[shapes.Gap(**gap) for gap in run.gaps],
    )


def dataset_version_id(node: Node, version: Version | None) -> shapes.VersionId:
    """What a version is called; without one, the empty text."""
    return shapes.VersionId(
        namespace=node.namespace, name=node.name, version=version.uuid if version else ""
    )


def _run(run: Run, job: Node, facets: dict[str, Any], touched: Iterable[RunDataset]) -> shapes.Run:
    sides: dict[Direction, list[shapes.DatasetVersionFacets]] = {
        Direction.READ: [],
        Direction.WRITTEN: [],
    }
    for one in touched:
        named = dataset_version_id(one.node, one.version)
        sides[one.direction].append(
            shapes.DatasetVersionFacets(dataset_version_id=named, facets=one.facets)
        )
    return shapes.Run(
        id=run.run_id,
        created_at=run.first_at,
        updated_at=run.ended_at or run.started_at or run.first_at,
        nominal_start_time=run.nominal_start,
        nominal_end_time=run.nominal_end,
        state=run.state,
        started_at=run.started_at,
        ended_at=run.ended_at,
        duration_ms=_milliseconds(run.started_at, run.ended_at),
        job_version=shapes.VersionId(namespace=job.namespace, name=job.name, version=""),
        input_dataset_versions=sides[Direction.READ],
        output_dataset_versions=sides[Direction.WRITTEN],
        facets=facets,
        parent_run_id=run.parent_run,
        gaps=[shapes.Gap(**gap) for gap in run.gaps],
    )


def _milliseconds(start: datetime | None, end: datetime | None) -> int | None:
    if start is None or end is None:
        return None
    # Two machines' clocks: an end before its start is no duration.
    return max(0, round((end - start).total_seconds() * 1000))


def _version(
    node: Node, made: MadeVersion, runs: Mapping[int, shapes.Run]
) -> shapes.DatasetVersion:
    basics = dataset_basics(node, made.facets)
    left_out = ("id", "created_at", "updated_at", "last_lifecycle_state", "deleted")
    kept = {name: value for name, value in basics.items() if name not in left_out}
    return shapes.DatasetVersion(
        **kept,
        id=dataset_version_id(node, made.version),
        created_at=made.version.first_at,
        version=made.version.uuid,
        dataset_version=made.version.version,
        created_by_run=runs.get(made.run.id) if made.run else None,
    )


def _parent_name(runs: Sequence[shapes.Run]) -> str | None:
    for run in runs:
        if name := run.facets.get("parent", {}).get("job", {}).get("name"):
            return str(name)
    return None


def _dataset_type(facets: Mapping[str, Any]) -> str:
    kind = str(facets.get("datasetType", {}).get("datasetType", ""))
    return "STREAM" if kind.upper() in {"TOPIC", "STREAM"} else "DB_TABLE"


def _source_name(node: Node, facets: Mapping[str, Any]) -> str:
    return str(facets.get("dataSource", {}).get("name") or node.namespace)


def _description(facets: Mapping[str, Any]) -> str | None:
    found = facets.get("documentation", {}).get("description")
    return str(found) if found is not None else None


def _tags(facets: Mapping[str, Any], field: str | None) -> list[str]:
    entries = facets.get("tags", {}).get("tags") or ()
    return sorted({one["key"] for one in entries if (one.get("field") or None) == field})


def node_type(node: Node) -> str:
    """How the API calls the kind of a node."""
    return "JOB" if node.kind is NodeKind.JOB else "DATASET"
