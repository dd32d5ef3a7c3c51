"""The JSON shapes of Marquez's API, which clients read, and the few answers that are ours.

Beside Marquez's fields stand ours (``partial``, ``gaps``, ``datasetVersion``…): clients skip what
they do not know.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

Facets = dict[str, Any]


class Shape(BaseModel):
    """An answer; its fields are camel case on the wire."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True
    )


class Id(Shape):
    """What a job or a dataset is called."""

    namespace: str
    name: str


class VersionId(Id):
    """What a version of a dataset or a job is called."""

    version: str


class Namespace(Shape):
    """A namespace."""

    name: str
    created_at: datetime
    updated_at: datetime
    owner_name: str = ""
    description: str | None = None
    is_hidden: bool = False


class NamespaceList(Shape):
    """Namespaces by name."""

    namespaces: list[Namespace]


class Source(Shape):
    """A system that holds datasets."""

    type: str
    name: str
    created_at: datetime
    updated_at: datetime
    connection_url: str
    description: str | None = None


class SourceList(Shape):
    """Sources by name."""

    sources: list[Source]


class Tag(Shape):
    """A tag."""

    name: str
    description: str | None = None


class TagList(Shape):
    """Tags by name."""

    tags: list[Tag]


class Field(Shape):
    """A column of a dataset."""

    name: str
    type: str | None = None
    tags: list[str] = []
    description: str | None = None


class Dataset(Shape):
    """A dataset as it is now; ``deleted`` ones are still answered."""

    id: Id
    type: str
    name: str
    physical_name: str
    created_at: datetime
    updated_at: datetime
    namespace: str
    source_name: str
    fields: list[Field]
    tags: list[str]
    last_modified_at: datetime | None
    last_lifecycle_state: str | None
    description: str | None
    current_version: str | None
    facets: Facets
    deleted: bool


class DatasetList(Shape):
    """Datasets by name."""

    datasets: list[Dataset]
    total_count: int


class Gap(Shape):
    """What a run's lineage lacks."""

    code: str
    namespace: str | None = None
    name: str | None = None


class DatasetVersionFacets(Shape):
    """A dataset as a run read or wrote it."""

    dataset_version_id: VersionId
    facets: Facets


class Run(Shape):
    """A run; ``gaps`` says what its lineage lacks."""

    id: str
    created_at: datetime
    updated_at: datetime
    nominal_start_time: datetime | None
    nominal_end_time: datetime | None
    state: str
    started_at: datetime | None
    ended_at: datetime | None
    duration_ms: int | None
    args: Facets = {}
    job_version: VersionId
    input_dataset_versions: list[DatasetVersionFacets] = []
    output_dataset_versions: list[DatasetVersionFacets] = []
    context: Facets = {}
    facets: Facets = {}
    parent_run_id: str | None = None
    gaps: list[Gap] = []


class RunList(Shape):
    """A job's runs, the newest first."""

    runs: list[Run]
    total_count: int


class DatasetVersion(Shape):
    """A version of a dataset.

    ``version`` is a UUID, as Marquez's clients expect; ``datasetVersion`` is what the producer
    called it (an S3 version id, a DuckLake snapshot).
    """

    id: VersionId
    type: str
    name: str
    physical_name: str
    created_at: datetime
    version: str
    dataset_version: str
    namespace: str
    source_name: str
    fields: list[Field]
    tags: list[str]
    description: str | None
    created_by_run: Run | None
    facets: Facets


class DatasetVersionList(Shape):
    """A dataset's versions, the newest first."""

    versions: list[DatasetVersion]
    total_count: int


class Job(Shape):
    """A job."""

    id: Id
    type: str
    name: str
    simple_name: str
    parent_job_name: str | None
    created_at: datetime
    updated_at: datetime
    namespace: str
    inputs: list[Id]
    outputs: list[Id]
    location: str | None
    context: Facets = {}
    description: str | None
    latest_run: Run | None
    latest_runs: list[Run]
    facets: Facets
    current_version: str | None
    labels: list[str] = []
    tags: list[str] = []


class JobList(Shape):
    """Jobs by name."""

    jobs: list[Job]
    total_count: int


class GraphEdge(Shape):
    """Data flows from ``origin`` to ``destination``."""

    origin: str
    destination: str


class DatasetNode(Shape):
    """What a graph shows of a dataset."""

    id: Id
    type: str
    name: str
    physical_name: str
    namespace: str
    source_name: str
    created_at: datetime
    updated_at: datetime
    fields: list[Field] = []
    tags: list[str] = []
    description: str | None = None
    last_lifecycle_state: str | None = None
    deleted: bool = False
    facets: Facets = {}


class JobNode(Shape):
    """What a graph shows of a job."""

    id: Id
    type: str
    name: str
    simple_name: str
    namespace: str
    created_at: datetime
    updated_at: datetime
    inputs: list[Id]
    outputs: list[Id]
    description: str | None = None
    location: str | None = None
    latest_run: Run | None = None
    facets: Facets = {}


class ColumnRef(Shape):
    """A column that another one was made from."""

    namespace: str
    dataset: str
    field: str
    transformations: list[Facets] = []


class ColumnNode(Shape):
    """What a graph shows of a column."""

    namespace: str
    dataset: str
    field: str
    field_type: str | None = None
    transformation_description: str | None = None
    transformation_type: str | None = None
    input_fields: list[ColumnRef] = []


class GraphNode(Shape):
    """A node of a lineage graph."""

    id: str
    type: Literal["JOB", "DATASET", "DATASET_FIELD"]
    data: JobNode | DatasetNode | ColumnNode
    in_edges: list[GraphEdge]
    out_edges: list[GraphEdge]


class GappedRun(Shape):
    """A run whose lineage is not all there."""

    id: str
    job: Id
    state: str
    gaps: list[Gap]


class LineageGraph(Shape):
    """A lineage graph.

    ``partial`` says that something may be missing: runs lack what they declared
    (``incompleteRuns``), or ``eventsBehind`` events have not been indexed yet. ``truncated`` says
    that the graph goes on beyond what is shown.
    """

    graph: list[GraphNode]
    partial: bool
    incomplete_runs: list[GappedRun]
    events_behind: int
    truncated: bool


class RunSummary(Shape):
    """A run in a lineage by run."""

    id: str
    start: datetime | None
    end: datetime | None
    status: str


class RunInput(VersionId):
    """A version that a run read, and the run that wrote it."""

    produced_by_run_id: str | None


class UpstreamRun(Shape):
    """A run, what it read, and of which job it is."""

    job: VersionId
    run: RunSummary
    inputs: list[RunInput]


class UpstreamRuns(Shape):
    """The runs that a run's data comes from, itself first."""

    runs: list[UpstreamRun]
    partial: bool
    incomplete_runs: list[GappedRun]
    truncated: bool


class SearchResult(Shape):
    """A job or dataset that was found."""

    type: Literal["DATASET", "JOB"]
    name: str
    updated_at: datetime
    namespace: str
    node_id: str


class SearchResults(Shape):
    """What was found."""

    total_count: int
    results: list[SearchResult]


class RunFacets(Shape):
    """The facets of a run, or of its job."""

    run_id: str
    facets: Facets


class Accepted(Shape):
    """An event was kept. ``reasons`` lists what is wrong with it."""

    id: int
    sha256: str
    duplicate: bool
    verdict: Literal["valid", "flawed", "invalid"]
    reasons: list[str] = []


class BatchSummary(Shape):
    """How a batch fared."""

    received: int
    successful: int
    failed: int
    retriable: int
    non_retriable: int

    model_config = ConfigDict(alias_generator=None)


class BatchFailure(Shape):
    """An event of a batch that could not be read; it was kept, so nobody need send it again."""

    index: int
    reason: str
    retriable: bool


class BatchAnswer(Shape):
    """What became of each event of a batch, in the words of the OpenLineage API."""

    status: Literal["success", "partial_success"]
    summary: BatchSummary
    failed_events: list[BatchFailure]
    events: list[Accepted]

    model_config = ConfigDict(alias_generator=None)


class FaultyEvent(Shape):
    """An event with faults."""

    id: int
    sha256: str
    received_at: datetime
    producer: str | None
    run_id: str | None
    verdict: Literal["valid", "flawed", "invalid"]
    reasons: list[str]
    bytes: int


class FaultyEvents(Shape):
    """Events with faults, the newest first."""

    events: list[FaultyEvent]
    total_count: int


class IncompleteRuns(Shape):
    """Runs whose lineage is not all there, the newest first."""

    runs: list[GappedRun]
    total_count: int


class Health(Shape):
    """How the collector stands."""

    events_behind: int
    newest_event: int
