"""Marquez's routes that create things without an event, kept for its clients.

What they say about jobs, runs and datasets becomes an OpenLineage event like any other, so the
graph can still be made anew from the journal. Owners of namespaces, sources and meanings of tags
have no place in an event; they are kept as declarations.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from pydantic_core import to_json

from cityledger import __version__
from cityledger.collector import shapes
from cityledger.collector.http import Check, DeclarationRoute, NameRoute
from cityledger.collector.present import Presenter
from cityledger.collector.read import must_find, must_find_run, show_namespace, show_run
from cityledger.collector.service import Collector
from cityledger.ledger.catalog import Declaration
from cityledger.ledger.facts import NodeKind
from cityledger.ledger.graph import Node

_PRODUCER = f"urn:cityledger:collector:{__version__}"
_SCHEMAS = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
_DECLARED = "urn:cityledger:facet:declared-dataset:1"
_FACETS = "https://openlineage.io/spec/facets/"


class _Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class NewNamespace(_Body):
    """A namespace and who answers for it."""

    owner_name: str
    description: str | None = None


class NewSource(_Body):
    """A system that holds datasets."""

    type: str
    connection_url: str
    description: str | None = None


class NewTag(_Body):
    """What a tag means."""

    description: str | None = None


class NewDataset(_Body):
    """A dataset."""

    type: str
    physical_name: str
    source_name: str
    fields: list[shapes.Field] = []
    tags: list[str] = []
    description: str | None = None
    run_id: UUID | None = None
    schema_location: str | None = None


class NewJob(_Body):
    """A job."""

    type: str
    inputs: list[shapes.Id] = []
    outputs: list[shapes.Id] = []
    location: str | None = None
    description: str | None = None
    context: dict[str, Any] = {}
    run_id: UUID | None = None


class NewRun(_Body):
    """A run."""

    id: UUID | None = None
    nominal_start_time: datetime | None = None
    nominal_end_time: datetime | None = None
    args: dict[str, Any] = {}


def declare_routes(collector: Collector, may_write: Check) -> APIRouter:
    """The routes that declare things."""
    router = APIRouter(route_class=DeclarationRoute, dependencies=[Depends(may_write)])
    for add in (_names, _sources, _tags, _datasets, _jobs, _runs):
        add(router, collector)
    return router


def source_routes(collector: Collector, may_read: Check) -> APIRouter:
    """The routes that read what was declared."""
    router = APIRouter(route_class=NameRoute, dependencies=[Depends(may_read)])

    @router.get("/sources", tags=["Sources"])
    def list_sources(limit: int = 100, offset: int = 0) -> shapes.SourceList:
        """List the declared sources."""
        found = collector.catalog.declared("source")[offset : offset + limit]
        return shapes.SourceList(sources=[_source(one) for one in found])

    @router.get("/sources/{source}", tags=["Sources"])
    def get_source(source: str) -> shapes.Source:
        """Retrieve a declared source."""
        found = collector.catalog.declared("source", source)
        if not found:
            raise HTTPException(404, f"Source '{source}' not found.")
        return _source(found[0])

    @router.get("/tags", tags=["Tags"])
    def list_tags(limit: int = 100, offset: int = 0) -> shapes.TagList:
        """List the declared tags."""
        found = collector.catalog.declared("tag")[offset : offset + limit]
        return shapes.TagList(tags=[_tag(one) for one in found])

    return router


def _names(router: APIRouter, collector: Collector) -> None:
    @router.put("/namespaces/{namespace}", tags=["Namespaces"])
    def put_namespace(namespace: str, body: NewNamespace) -> shapes.Namespace:
        """Say who answers for a namespace."""
        record = body.model_dump(mode="json", by_alias=True)
        collector.catalog.declare("namespace", _stored(namespace), record)
        return show_namespace(collector, namespace)


def _sources(router: APIRouter, collector: Collector) -> None:
    @router.put("/sources/{source}", tags=["Sources"], deprecated=True)
    def put_source(source: str, body: NewSource) -> shapes.Source:
        """Declare a source."""
        record = body.model_dump(mode="json", by_alias=True)
        return _source(collector.catalog.declare("source", _stored(source), record))


def _tags(router: APIRouter, collector: Collector) -> None:
    presenter = Presenter(collector.catalog)

    @router.put("/tags/{tag}", tags=["Tags"])
    def put_tag(tag: str, body: NewTag) -> shapes.Tag:
        """Say what a tag means."""
        record = body.model_dump(mode="json", by_alias=True)
        return _tag(collector.catalog.declare("tag", _stored(tag), record))

    @router.post("/namespaces/{namespace}/datasets/{dataset}/tags/{tag}", tags=["Datasets"])
    def tag_dataset(namespace: str, dataset: str, tag: str) -> shapes.Dataset:
        """Tag a dataset."""
        return tagged(must_find(collector, NodeKind.DATASET, namespace, dataset), tag, None)

    @router.post(
        "/namespaces/{namespace}/datasets/{dataset}/fields/{field}/tags/{tag}", tags=["Datasets"]
    )
    def tag_field(namespace: str, dataset: str, field: str, tag: str) -> shapes.Dataset:
        """Tag a column of a dataset."""
        node = must_find(collector, NodeKind.DATASET, namespace, dataset)
        if field not in {one.name for one in presenter.dataset(node).fields}:
            raise HTTPException(404, f"Field '{field}' not found.")
        return tagged(node, tag, field)

    def tagged(node: Node, tag: str, field: str | None) -> shapes.Dataset:
        told = collector.catalog.facets([node])[node.id].get("tags", {}).get("tags") or []
        entry = {"key": tag, "value": "true", "source": "USER"}
        if field is not None:
            entry["field"] = field
        kept = [one for one in told if (one["key"], one.get("field")) != (tag, field)]
        facet = _facet("1-0-0/TagsDatasetFacet.json", tags=[*kept, entry])
        _tell(collector, "DatasetEvent", {"dataset": _named(node.namespace, node.name, tags=facet)})
        return presenter.dataset(node)


def _datasets(router: APIRouter, collector: Collector) -> None:
    presenter = Presenter(collector.catalog)

    @router.put("/namespaces/{namespace}/datasets/{dataset}", tags=["Datasets"], deprecated=True)
    def put_dataset(namespace: str, dataset: str, body: NewDataset) -> shapes.Dataset:
        """Declare a dataset; with `runId`, as that run's output."""
        told = _named(namespace, dataset, **_dataset_facets(collector, body))
        if body.run_id is None:
            _tell(collector, "DatasetEvent", {"dataset": told})
        else:
            _tell_of_run(collector, str(body.run_id), "OTHER", {"outputs": [told]})
        return presenter.dataset(must_find(collector, NodeKind.DATASET, namespace, dataset))

    @router.delete("/namespaces/{namespace}/datasets/{dataset}", tags=["Datasets"])
    def delete_dataset(namespace: str, dataset: str) -> shapes.Dataset:
        """Mark a dataset as dropped. It stays in the ledger."""
        node = must_find(collector, NodeKind.DATASET, namespace, dataset)
        facet = _facet("1-0-1/LifecycleStateChangeDatasetFacet.json", lifecycleStateChange="DROP")
        told = _named(namespace, dataset, lifecycleStateChange=facet)
        _tell(collector, "DatasetEvent", {"dataset": told})
        return presenter.dataset(must_find(collector, NodeKind.DATASET, namespace, node.name))


def _dataset_facets(collector: Collector, body: NewDataset) -> dict[str, Any]:
    source = next(iter(collector.catalog.declared("source", body.source_name)), None)
    uri = source.record.get("connectionUrl") if source else None
    origin = {"name": body.source_name} | ({"uri": uri} if uri else {})
    facets = {
        "dataSource": _facet("1-0-1/DatasourceDatasetFacet.json", **origin),
        "datasetType": _facet(
            "1-0-1/DatasetTypeDatasetFacet.json",
            datasetType="TOPIC" if body.type == "STREAM" else "TABLE",
        ),
        "cityledger_declared": _facet(
            _DECLARED,
            physicalName=body.physical_name,
            **({"schemaLocation": body.schema_location} if body.schema_location else {}),
        ),
    }
    if body.fields:
        columns = [
            one.model_dump(exclude_none=True, include={"name", "type", "description"})
            for one in body.fields
        ]
        facets["schema"] = _facet("1-2-0/SchemaDatasetFacet.json", fields=columns)
    if tags := _tag_entries(body):
        facets["tags"] = _facet("1-0-0/TagsDatasetFacet.json", tags=tags)
    if body.description:
        facets["documentation"] = _facet(
            "1-1-0/DocumentationDatasetFacet.json", description=body.description
        )
    return facets


def _tag_entries(body: NewDataset) -> list[dict[str, str]]:
    entry = {"value": "true", "source": "USER"}
    own = [{"key": tag} | entry for tag in body.tags]
    return own + [
        {"key": tag, "field": field.name} | entry for field in body.fields for tag in field.tags
    ]


def _jobs(router: APIRouter, collector: Collector) -> None:
    presenter = Presenter(collector.catalog)

    @router.put("/namespaces/{namespace}/jobs/{job}", tags=["Jobs"], deprecated=True)
    def put_job(namespace: str, job: str, body: NewJob) -> shapes.Job:
        """Declare a job with what it reads and writes."""
        ends = {
            "inputs": [_named(one.namespace, one.name) for one in body.inputs],
            "outputs": [_named(one.namespace, one.name) for one in body.outputs],
        }
        _tell(collector, "JobEvent", {"job": _named(namespace, job, **_job_facets(body))} | ends)
        if body.run_id is not None:
            _tell_of_run(collector, str(body.run_id), "OTHER", ends)
        return presenter.job(must_find(collector, NodeKind.JOB, namespace, job))


def _job_facets(body: NewJob) -> dict[str, Any]:
    facets = {
        "jobType": _facet(
            "2-0-4/JobTypeJobFacet.json", processingType=body.type, integration="MARQUEZ"
        )
    }
    if body.location:
        facets["sourceCodeLocation"] = _facet(
            "1-1-0/SourceCodeLocationJobFacet.json", type="url", url=body.location
        )
    if body.description:
        facets["documentation"] = _facet(
            "1-1-0/DocumentationJobFacet.json", description=body.description
        )
    if sql := body.context.get("sql") or body.context.get("SQL"):
        facets["sql"] = _facet("1-1-0/SQLJobFacet.json", query=str(sql))
    return facets


def _runs(router: APIRouter, collector: Collector) -> None:
    @router.post(
        "/namespaces/{namespace}/jobs/{job}/runs",
        status_code=201,
        tags=["Jobs"],
        deprecated=True,
    )
    def create_run(namespace: str, job: str, body: NewRun) -> shapes.Run:
        """Declare a run that has not started."""
        must_find(collector, NodeKind.JOB, namespace, job)
        run_id = str(body.id or uuid4())
        if collector.graph.run(run_id) is not None:
            raise HTTPException(409, f"Run '{run_id}' already exists.")
        facets: dict[str, Any] = {}
        if body.nominal_start_time is not None:
            facets["nominalTime"] = _facet(
                "1-0-1/NominalTimeRunFacet.json",
                **{
                    key: _instant(moment)
                    for key, moment in (
                        ("nominalStartTime", body.nominal_start_time),
                        ("nominalEndTime", body.nominal_end_time),
                    )
                    if moment
                },
            )
        if body.args:
            parameters = [{"key": key, "value": _text(value)} for key, value in body.args.items()]
            facets["executionParameters"] = _facet(
                "1-0-0/ExecutionParametersRunFacet.json", parameters=parameters
            )
        run = {"runId": run_id, "facets": facets}
        told = {"eventType": "OTHER", "run": run, "job": _named(namespace, job)}
        _tell(collector, "RunEvent", told)
        return show_run(collector, must_find_run(collector, run_id))

    @router.post("/jobs/runs/{run_id}/{action}", tags=["Jobs"], deprecated=True)
    def mark_run(
        run_id: str,
        action: Literal["start", "complete", "fail", "abort"],
        at: Annotated[datetime | None, Query(description="When it happened.")] = None,
    ) -> shapes.Run:
        """Say that a run started or ended."""
        _tell_of_run(collector, run_id, action.upper(), {}, at)
        return show_run(collector, must_find_run(collector, run_id))


def _tell_of_run(
    collector: Collector,
    run_id: str,
    event_type: str,
    more: dict[str, Any],
    at: datetime | None = None,
) -> None:
    run = must_find_run(collector, run_id)
    job = collector.graph.nodes_by_id([run.job])[run.job]
    told = {
        "eventType": event_type,
        "run": {"runId": run.run_id},
        "job": _named(job.namespace, job.name),
    }
    _tell(collector, "RunEvent", told | more, at)


def _tell(
    collector: Collector, kind: str, body: dict[str, Any], at: datetime | None = None
) -> None:
    """Keep an event of our own making."""
    event = {
        "eventTime": _instant(at or datetime.now(UTC)),
        "producer": _PRODUCER,
        "schemaURL": _SCHEMAS + kind,
    }
    collector.store.append([to_json(event | body)])
    collector.graph.behind()  # the answer shows what was just told


def _instant(moment: datetime) -> str:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _text(value: object) -> str:
    return value if isinstance(value, str) else to_json(value).decode()


def _facet(schema: str, **content: Any) -> dict[str, Any]:
    url = schema if schema.startswith("urn:") else _FACETS + schema
    return {"_producer": _PRODUCER, "_schemaURL": url} | content


def _named(namespace: str, name: str, **facets: Any) -> dict[str, Any]:
    named: dict[str, Any] = {"namespace": namespace, "name": name}
    return named | ({"facets": facets} if facets else {})


def _stored(name: str) -> str:
    if "\0" in name:
        raise HTTPException(422, "a name holds no NUL character")
    return name


def _source(declared: Declaration) -> shapes.Source:
    return shapes.Source(
        type=declared.record["type"],
        name=declared.name,
        created_at=declared.first_at,
        updated_at=declared.saved_at,
        connection_url=declared.record["connectionUrl"],
        description=declared.record.get("description"),
    )


def _tag(declared: Declaration) -> shapes.Tag:
    return shapes.Tag(name=declared.name, description=declared.record.get("description"))
