"""Routes that answer what the ledger knows, with the paths and shapes of Marquez."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Response

from cityledger.collector import shapes
from cityledger.collector.draw import draw_columns, draw_lineage, draw_runs
from cityledger.collector.http import Check, NameRoute
from cityledger.collector.present import Presenter, gapped_run, node_type
from cityledger.collector.service import Collector
from cityledger.ledger.catalog import Page
from cityledger.ledger.events import Verdict
from cityledger.ledger.facts import NodeKind
from cityledger.ledger.graph import GappedRun, Node, Run, Towards

Limit = Annotated[int, Query(ge=0, le=1000, description="How many at most.")]
Offset = Annotated[int, Query(ge=0, le=2**31, description="How many to pass over.")]
Depth = Annotated[int, Query(ge=0, le=100, description="Steps from node to node.")]
Budget = Annotated[int, Query(ge=1, le=20000, description="Nodes of a graph at most.")]
AsOf = Annotated[
    datetime | None,
    Query(alias="asOf", description="Only what had happened until then (with an offset)."),
]
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)


def read_routes(collector: Collector, may_read: Check) -> APIRouter:
    """All routes that read."""
    router = APIRouter(route_class=NameRoute, dependencies=[Depends(may_read)])
    for add in (_names, _datasets, _jobs, _runs, _graphs, _search, _events, _faults):
        add(router, collector)
    return router


def _names(router: APIRouter, collector: Collector) -> None:
    catalog = collector.catalog

    @router.get("/namespaces", tags=["Namespaces"])
    def list_namespaces(limit: Limit = 100, offset: Offset = 0) -> shapes.NamespaceList:
        """List all namespaces."""
        collector.graph.behind()
        owners = {one.name: one for one in catalog.declared("namespace")}
        seen = {one.name: one for one in catalog.namespaces(limit + offset, 0)}
        names = sorted(seen.keys() | owners.keys())[offset : offset + limit]
        return shapes.NamespaceList(namespaces=[show_namespace(collector, one) for one in names])

    @router.get("/namespaces/{namespace}", tags=["Namespaces"])
    def get_namespace(namespace: str) -> shapes.Namespace:
        """Retrieve a namespace."""
        collector.graph.behind()
        return show_namespace(collector, namespace)


def show_namespace(collector: Collector, name: str) -> shapes.Namespace:
    """A namespace that events named or somebody declared.

    Raises:
        HTTPException: 404, nobody did.
    """
    seen = collector.catalog.namespace(name)
    declared = next(iter(collector.catalog.declared("namespace", name)), None)
    times = [one.first_at for one in (seen, declared) if one]
    newest = [one.last_at for one in (seen,) if one] + [one.saved_at for one in (declared,) if one]
    if not times:
        raise HTTPException(404, f"Namespace '{name}' not found.")
    record = declared.record if declared else {}
    return shapes.Namespace(
        name=name,
        created_at=min(times),
        updated_at=max(newest),
        owner_name=record.get("ownerName", ""),
        description=record.get("description"),
    )


def must_find(collector: Collector, kind: NodeKind, namespace: str, name: str) -> Node:
    """A job or dataset.

    Raises:
        HTTPException: 404, there is none of that name.
    """
    node = collector.graph.find(kind, namespace, name)
    if node is None:
        raise HTTPException(404, f"{kind.name.capitalize()} '{name}' not found.")
    return node


def must_find_run(collector: Collector, run_id: str) -> Run:
    """A run.

    Raises:
        HTTPException: 404, there is none of that id.
    """
    run = collector.graph.run(run_id)
    if run is None:
        raise HTTPException(404, f"Run '{run_id}' not found.")
    return run


def show_run(collector: Collector, run: Run) -> shapes.Run:
    """A run as the API shows it."""
    return Presenter(collector.catalog).runs([run], collector.graph.nodes_by_id([run.job]))[0]


def _datasets(router: APIRouter, collector: Collector) -> None:
    catalog, presenter = collector.catalog, Presenter(collector.catalog)

    @router.get("/namespaces/{namespace}/datasets", tags=["Datasets"])
    def list_datasets(namespace: str, limit: Limit = 100, offset: Offset = 0) -> shapes.DatasetList:
        """List a namespace's datasets; those that were dropped are among them, marked."""
        collector.graph.behind()
        page = catalog.nodes(NodeKind.DATASET, namespace, limit, offset)
        return shapes.DatasetList(datasets=presenter.datasets(page.items), total_count=page.total)

    @router.get("/namespaces/{namespace}/datasets/{dataset}", tags=["Datasets"])
    def get_dataset(namespace: str, dataset: str) -> shapes.Dataset:
        """Retrieve a dataset."""
        return presenter.dataset(must_find(collector, NodeKind.DATASET, namespace, dataset))

    @router.get("/namespaces/{namespace}/datasets/{dataset}/versions", tags=["Datasets"])
    def list_versions(
        namespace: str, dataset: str, limit: Limit = 100, offset: Offset = 0
    ) -> shapes.DatasetVersionList:
        """List a dataset's versions, the newest first."""
        node = must_find(collector, NodeKind.DATASET, namespace, dataset)
        page = catalog.versions(node, limit, offset)
        shown = presenter.versions(node, page.items)
        return shapes.DatasetVersionList(versions=shown, total_count=page.total)

    @router.get("/namespaces/{namespace}/datasets/{dataset}/versions/{version}", tags=["Datasets"])
    def get_version(namespace: str, dataset: str, version: str) -> shapes.DatasetVersion:
        """Retrieve a version, by its UUID or by the producer's own name for it."""
        node = must_find(collector, NodeKind.DATASET, namespace, dataset)
        made = catalog.version(node, version)
        if made is None:
            raise HTTPException(404, f"Dataset version '{version}' not found.")
        return presenter.versions(node, [made])[0]


def _jobs(router: APIRouter, collector: Collector) -> None:
    presenter = Presenter(collector.catalog)

    @router.get("/jobs", tags=["Jobs"])
    def list_all_jobs(limit: Limit = 100, offset: Offset = 0) -> shapes.JobList:
        """List the jobs of all namespaces."""
        collector.graph.behind()
        return shown(collector.catalog.nodes(NodeKind.JOB, None, limit, offset))

    @router.get("/namespaces/{namespace}/jobs", tags=["Jobs"])
    def list_jobs(namespace: str, limit: Limit = 100, offset: Offset = 0) -> shapes.JobList:
        """List a namespace's jobs."""
        collector.graph.behind()
        return shown(collector.catalog.nodes(NodeKind.JOB, namespace, limit, offset))

    @router.get("/namespaces/{namespace}/jobs/{job}", tags=["Jobs"])
    def get_job(namespace: str, job: str) -> shapes.Job:
        """Retrieve a job."""
        return presenter.job(must_find(collector, NodeKind.JOB, namespace, job))

    @router.get("/namespaces/{namespace}/jobs/{job}/runs", tags=["Jobs"])
    def list_runs(
        namespace: str, job: str, limit: Limit = 100, offset: Offset = 0
    ) -> shapes.RunList:
        """List a job's runs, the newest first; failed ones are among them."""
        node = must_find(collector, NodeKind.JOB, namespace, job)
        page = collector.catalog.runs(node, limit, offset)
        runs = presenter.runs(page.items, {node.id: node})
        return shapes.RunList(runs=runs, total_count=page.total)

    def shown(page: Page[Node]) -> shapes.JobList:
        return shapes.JobList(jobs=presenter.jobs(page.items), total_count=page.total)


def _runs(router: APIRouter, collector: Collector) -> None:
    @router.get("/jobs/runs/{run_id}", tags=["Jobs"])
    def get_run(run_id: str) -> shapes.Run:
        """Retrieve a run; `gaps` says what its lineage lacks."""
        return show_run(collector, must_find_run(collector, run_id))

    @router.get("/jobs/runs/{run_id}/facets", tags=["Jobs"])
    def get_facets(
        run_id: str, kind: Annotated[Literal["run", "job"], Query(alias="type")]
    ) -> shapes.RunFacets:
        """Retrieve the facets of a run, or of its job."""
        run = must_find_run(collector, run_id)
        if kind == "run":
            found = collector.catalog.run_facets([run]).get(run.run_id, {})
        else:
            jobs = list(collector.graph.nodes_by_id([run.job]).values())
            found = collector.catalog.facets(jobs)[run.job]
        return shapes.RunFacets(run_id=run.run_id, facets=found)

    @router.get("/runlineage/upstream", tags=["Lineage"])
    def run_lineage(
        run_id: Annotated[str, Query(alias="runId")], depth: Depth = 20, budget: Budget = 2000
    ) -> shapes.UpstreamRuns:
        """The runs that a run's data comes from, by the versions it read."""
        run = must_find_run(collector, run_id)
        return draw_runs(collector.graph.of_run(run, depth=depth, budget=budget))


def _graphs(router: APIRouter, collector: Collector) -> None:
    graph = collector.graph

    @router.get("/lineage", tags=["Lineage"])
    def get_lineage(
        node_id: Annotated[str, Query(alias="nodeId")],
        depth: Depth = 20,
        as_of: AsOf = None,
        direction: Towards = Towards.BOTH,
        budget: Budget = 2000,
    ) -> shapes.LineageGraph:
        """What a job or dataset comes from, and what depends on it."""
        node = graph.resolve(node_id.partition("#")[0])
        if node is None:
            raise HTTPException(404, f"Node '{node_id}' not found.")
        answer = graph.around(
            node, depth=depth, towards=direction, as_of=_instant(as_of), budget=budget
        )
        return draw_lineage(collector.catalog, answer)

    @router.get("/column-lineage", tags=["Column lineage"])
    def get_column_lineage(
        node_id: Annotated[str, Query(alias="nodeId")],
        depth: Depth = 20,
        with_downstream: Annotated[bool, Query(alias="withDownstream")] = False,
        as_of: AsOf = None,
        budget: Budget = 2000,
    ) -> shapes.LineageGraph:
        """What the columns of a dataset, or one of them, were made from (and go into)."""
        roots = _columns(collector, node_id.partition("#")[0])
        answer = graph.columns(
            roots,
            depth=depth,
            towards=Towards.BOTH if with_downstream else Towards.SOURCES,
            as_of=_instant(as_of),
            budget=budget,
        )
        return draw_columns(collector.catalog, answer)


def _columns(collector: Collector, node_id: str) -> list[int]:
    kind, _, rest = node_id.partition(":")
    if kind == "datasetField" and (found := collector.graph.resolve_column(rest)):
        return [found[1]]
    node = collector.graph.resolve(node_id) if kind in {"dataset", "job"} else None
    if node is None:
        raise HTTPException(404, f"Node '{node_id}' not found.")
    if node.kind is NodeKind.JOB:
        return list(collector.graph.columns_made_by(node))
    return [column.id for column in collector.graph.columns_of(node)]


def _instant(moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise HTTPException(422, "a time needs an offset, e.g. 2026-04-01T08:00:00+08:00")
    return moment


def _search(router: APIRouter, collector: Collector) -> None:
    @router.get("/search", tags=["Search"])
    def search(
        q: Annotated[str, Query(max_length=500)],
        filter: Annotated[Literal["dataset", "job"] | None, Query()] = None,  # noqa: A002
        sort: Annotated[Literal["name", "update_at", "updated_at"], Query()] = "name",
        limit: Limit = 10,
        namespace: str | None = None,
        before: Annotated[str | None, Query(pattern=r"^\d{4}-\d{2}-\d{2}$")] = None,
        after: Annotated[str | None, Query(pattern=r"^\d{4}-\d{2}-\d{2}$")] = None,
    ) -> shapes.SearchResults:
        """Find jobs and datasets by name; `%` and `_` are wild, case does not matter."""
        collector.graph.behind()
        page = collector.catalog.search(
            q.replace("\0", ""),
            kind=NodeKind[filter.upper()] if filter else None,
            namespace=namespace,
            by_time=sort != "name",
            after=_day(after),
            before=_day(before),
            limit=limit,
        )
        results = [
            shapes.SearchResult(
                type=node_type(node),
                name=node.name,
                updated_at=node.last_at,
                namespace=node.namespace,
                node_id=node.node_id,
            )
            for node in page.items
        ]
        return shapes.SearchResults(total_count=page.total, results=results)


def _day(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
    except ValueError:
        raise HTTPException(422, f"{text} is no day of the calendar") from None


def _events(router: APIRouter, collector: Collector) -> None:
    @router.get(
        "/events/lineage",
        tags=["Events"],
        responses={200: {"description": "The events as received, and how many match in all."}},
    )
    def list_events(
        before: datetime = _LATEST,
        after: datetime = _EARLIEST,
        sort_direction: Annotated[
            Literal["asc", "desc", "ASC", "DESC"], Query(alias="sortDirection")
        ] = "desc",
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> Response:
        """List the events that were received, the newest received first."""
        return answer(before, after, sort_direction, limit, offset, None)

    @router.get("/events", tags=["Events"], response_class=Response)
    def list_events_short(limit: Limit = 100, offset: Offset = 0) -> Response:
        """List the events that were received (the path of older clients)."""
        return answer(_LATEST, _EARLIEST, "desc", limit, offset, None)

    @router.get("/events/{namespace}", tags=["Events"], response_class=Response)
    def list_events_of(namespace: str, limit: Limit = 100, offset: Offset = 0) -> Response:
        """List the events about jobs of a namespace (the path of older clients)."""
        return answer(_LATEST, _EARLIEST, "desc", limit, offset, namespace)

    def answer(
        before: datetime,
        after: datetime,
        direction: str,
        limit: int,
        offset: int,
        namespace: str | None,
    ) -> Response:
        collector.graph.behind()
        page = collector.catalog.events(
            after=_instant(after) or _EARLIEST,
            before=_instant(before) or _LATEST,
            namespace=namespace,
            newest_first=direction.lower() == "desc",
            limit=limit,
            offset=offset,
        )
        # The bytes as they came, not a copy that was read and written again.
        body = b'{"events":[' + b",".join(page.items) + b'],"totalCount":%d}' % page.total
        return Response(body, media_type="application/json")


def _faults(router: APIRouter, collector: Collector) -> None:
    @router.get("/lineage/faulty", tags=["Completeness"])
    def list_faulty(
        verdict: Literal["invalid", "flawed"] | None = None, limit: Limit = 100, offset: Offset = 0
    ) -> shapes.FaultyEvents:
        """List events with faults and what is wrong with them; all of them are kept."""
        collector.graph.behind()
        page = collector.catalog.remarked(Verdict(verdict) if verdict else None, limit, offset)
        events = [
            shapes.FaultyEvent(
                id=one.event,
                sha256=one.sha256,
                received_at=one.received_at,
                producer=one.producer,
                run_id=one.run_id,
                verdict=one.severity.value,
                reasons=list(one.reasons),
                bytes=one.size,
            )
            for one in page.items
        ]
        return shapes.FaultyEvents(events=events, total_count=page.total)

    @router.get("/lineage/incomplete", tags=["Completeness"])
    def list_incomplete(limit: Limit = 100, offset: Offset = 0) -> shapes.IncompleteRuns:
        """List runs whose lineage is not all there, and what they lack."""
        collector.graph.behind()
        page = collector.catalog.gapped_runs(limit, offset)
        runs = [
            gapped_run(
                GappedRun(run.run_id, job.namespace, job.name, run.state, run.first_at, run.gaps)
            )
            for run, job in page.items
        ]
        return shapes.IncompleteRuns(runs=runs, total_count=page.total)

    @router.get("/health", tags=["Completeness"])
    def health() -> shapes.Health:
        """How far the graph is behind the events."""
        progress = collector.progress()
        behind = max(0, progress.newest - progress.position)
        return shapes.Health(events_behind=behind, newest_event=progress.newest)
