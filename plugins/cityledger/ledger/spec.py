"""OpenLineage 2-0-2 and its published facets as pydantic models: what a valid event looks like.

Source: the specification's JSON schemas (object model 2-0-2, facets as of their versions named in
``_schemaURL``). JSON Schema's ``format`` is an annotation, so it is enforced only where the graph
rests on it: run ids are UUIDs, times carry an offset. ``null`` is taken for absent, because
published clients send it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self, cast
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    model_validator,
)


def _moment(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time needs an offset, e.g. Z or +08:00")
    return text


def _uuid(text: str) -> str:
    if str(UUID(text)) != text.lower():  # Python also reads braces, URNs and bare digits
        raise ValueError("a run id is a UUID of the form 8-4-4-4-12")
    return text


def _whole(value: object) -> object:
    # JSON has one kind of number, and JSON Schema calls 3.0 an integer.
    return int(value) if isinstance(value, float) and value.is_integer() else value


Moment = Annotated[str, AfterValidator(_moment)]
RunId = Annotated[str, AfterValidator(_uuid)]
Integer = Annotated[int, BeforeValidator(_whole)]


class Open(BaseModel):
    """An object that may have more properties than the ones named."""

    model_config = ConfigDict(extra="allow", strict=True, protected_namespaces=())


class Facet(Open):
    """What every facet has; a facet with ``_deleted`` has nothing else."""

    producer_: str = Field(alias="_producer")
    schema_url_: str = Field(alias="_schemaURL")
    deleted_: bool = Field(default=False, alias="_deleted")

    @model_validator(mode="wrap")
    @classmethod
    def _deleted_is_bare(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if cls is not Facet and isinstance(value, dict) and value.get("_deleted") is True:
            Facet.model_validate(value)
            empty: Any = cls.model_construct
            return cast("Self", empty())
        return handler(value)


class Facets(Open):
    """Facets by name; those that the specification does not name are at least facets."""

    __pydantic_extra__: dict[str, Facet]


class _Name(Open):
    namespace: str
    name: str


class _Identifier(_Name):
    type: str


class _RunRef(Open):
    run_id: RunId = Field(alias="runId")


class _Root(Open):
    run: _RunRef
    job: _Name


class Parent(Facet):
    """The run that started this one."""

    run: _RunRef
    job: _Name
    root: _Root | None = None


class NominalTime(Facet):
    """The period that a run is about."""

    start: Moment = Field(alias="nominalStartTime")
    end: Moment | None = Field(default=None, alias="nominalEndTime")


class ErrorMessage(Facet):
    """Why a run failed."""

    message: str
    language: str = Field(alias="programmingLanguage")
    stack_trace: str | None = Field(default=None, alias="stackTrace")


class ProcessingEngine(Facet):
    """What executed a run."""

    version: str
    name: str | None = None
    adapter: str | None = Field(default=None, alias="openlineageAdapterVersion")


class ExternalQuery(Facet):
    """The run's id in a system beyond."""

    query: str = Field(alias="externalQueryId")
    source: str


class _ExtractionFault(Open):
    message: str = Field(alias="errorMessage")
    stack_trace: str | None = Field(default=None, alias="stackTrace")
    task: str | None = None
    number: Integer | None = Field(default=None, alias="taskNumber")


class ExtractionError(Facet):
    """What a producer could not extract."""

    total: Integer = Field(alias="totalTasks")
    failed: Integer = Field(alias="failedTasks")
    errors: list[_ExtractionFault]


class _Variable(Open):
    name: str
    value: str


class EnvironmentVariables(Facet):
    """Variables that a run saw."""

    variables: list[_Variable] = Field(alias="environmentVariables")


class _Parameter(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    key: str
    name: str | None = None
    value: str | None = None


class ExecutionParameters(Facet):
    """Parameters of a run."""

    parameters: list[_Parameter] | None = None


class _Tag(Open):
    key: str
    value: str
    source: str | None = None
    field: str | None = None


class Tags(Facet):
    """Tags of a run, a job, or of a dataset and its columns."""

    tags: list[_Tag] | None = None


class _Dependency(Open):
    job: _Name
    run: _RunRef | None = None
    kind: str | None = Field(default=None, alias="dependency_type")


class JobDependencies(Facet):
    """Jobs before and after a run."""

    upstream: list[_Dependency] | None = None
    downstream: list[_Dependency] | None = None
    trigger_rule: str | None = None


class _Check(Open):
    name: str
    status: str
    severity: str | None = None
    params: dict[str, Any] | None = None


class Checks(Facet):
    """Tests that a run executed."""

    tests: list[_Check]


class RunFacets(Facets):
    """Facets of a run."""

    parent: Parent | None = None
    nominal_time: NominalTime | None = Field(default=None, alias="nominalTime")
    error_message: ErrorMessage | None = Field(default=None, alias="errorMessage")
    processing_engine: ProcessingEngine | None = None
    external_query: ExternalQuery | None = Field(default=None, alias="externalQuery")
    extraction_error: ExtractionError | None = Field(default=None, alias="extractionError")
    variables: EnvironmentVariables | None = Field(default=None, alias="environmentVariables")
    parameters: ExecutionParameters | None = Field(default=None, alias="executionParameters")
    tags: Tags | None = None
    dependencies: JobDependencies | None = Field(default=None, alias="jobDependencies")
    test: Checks | None = None


class _EmissionPattern(Open):
    trigger: str = Field(alias="eventTrigger")
    content: str = Field(alias="eventContentMode")
    window: Annotated[Integer, Field(ge=1)] | None = Field(default=None, alias="windowDuration")


class JobType(Facet):
    """What kind of job it is."""

    processing: str = Field(alias="processingType")
    integration: str
    kind: str | None = Field(default=None, alias="jobType")
    emission: _EmissionPattern | None = Field(default=None, alias="emissionPattern")


class Sql(Facet):
    """A query that a job runs."""

    query: str
    dialect: str | None = None


class SourceCode(Facet):
    """A job's source."""

    language: str
    source: str = Field(alias="sourceCode")


class SourceCodeLocation(Facet):
    """Where a job's source lies."""

    type: str
    url: str


class Documentation(Facet):
    """Words about a job or a dataset."""

    description: str
    content_type: str | None = Field(default=None, alias="contentType")


class _Owner(Open):
    name: str
    type: str | None = None


class Ownership(Facet):
    """Who answers for a job or a dataset."""

    owners: list[_Owner] | None = None


class _Transformation(Open):
    type: str
    subtype: str | None = None
    masking: bool | None = None


class _LineageInput(Open):
    type: Literal["DATASET", "JOB"]
    namespace: str | None = None
    name: str | None = None
    field: str | None = None
    run_id: RunId | None = Field(default=None, alias="runId")
    transformations: list[_Transformation] | None = None

    @model_validator(mode="after")
    def _names_are_whole(self) -> Self:
        if (self.namespace is None) != (self.name is None):
            raise ValueError("namespace and name come together")
        if self.type == "DATASET" and self.name is None:
            raise ValueError("a dataset needs namespace and name")
        return self


class _LineageField(Open):
    inputs: list[_LineageInput]


class _LineageEntry(_LineageInput):
    inputs: list[_LineageInput] | None = None
    fields_: dict[str, _LineageField] | None = Field(default=None, alias="fields")


class JobLineage(Facet):
    """Lineage that a job states for any number of datasets and jobs."""

    entries: list[_LineageEntry]


class DatasetLineage(Facet):
    """What a dataset and its columns were made from."""

    inputs: list[_LineageInput] | None = None
    fields_: dict[str, _LineageField] | None = Field(default=None, alias="fields")


class JobFacets(Facets):
    """Facets of a job."""

    job_type: JobType | None = Field(default=None, alias="jobType")
    sql: Sql | None = None
    source_code: SourceCode | None = Field(default=None, alias="sourceCode")
    location: SourceCodeLocation | None = Field(default=None, alias="sourceCodeLocation")
    documentation: Documentation | None = None
    ownership: Ownership | None = None
    tags: Tags | None = None
    lineage: JobLineage | None = None


class _SchemaField(Open):
    name: str
    type: str | None = None
    description: str | None = None
    position: Integer | None = Field(default=None, alias="ordinal_position")
    fields_: list[_SchemaField] | None = Field(default=None, alias="fields")


class Schema(Facet):
    """A dataset's columns."""

    fields_: list[_SchemaField] | None = Field(default=None, alias="fields")


class _InputField(_Name):
    field: str
    transformations: list[_Transformation] | None = None


class _OutputField(Open):
    inputs: list[_InputField] = Field(alias="inputFields")
    description: str | None = Field(default=None, alias="transformationDescription")
    type: str | None = Field(default=None, alias="transformationType")


class ColumnLineage(Facet):
    """Which columns a dataset's columns come from."""

    fields_: dict[str, _OutputField] = Field(alias="fields")
    dataset: list[_InputField] | None = None


class Catalog(Facet):
    """The catalogue that knows a dataset."""

    framework: str
    type: str
    name: str
    metadata_uri: str | None = Field(default=None, alias="metadataUri")
    warehouse_uri: str | None = Field(default=None, alias="warehouseUri")
    source: str | None = None
    properties: dict[str, str] | None = Field(default=None, alias="catalogProperties")


class DatasetType(Facet):
    """Whether it is a table, a view, a topic, a model."""

    kind: str = Field(alias="datasetType")
    subtype: str | None = Field(default=None, alias="subType")


class DatasetVersion(Facet):
    """Which version of a dataset was read or written."""

    version: str = Field(alias="datasetVersion")


class DataSource(Facet):
    """The system that holds a dataset."""

    name: str | None = None
    uri: str | None = None


class _Level(Open):
    type: str
    name: str


class Hierarchy(Facet):
    """Where a dataset stands in its system, from the top."""

    hierarchy: list[_Level]


class LifecycleStateChange(Facet):
    """A dataset was made, changed, renamed or dropped."""

    change: Literal["ALTER", "CREATE", "DROP", "OVERWRITE", "RENAME", "TRUNCATE"] = Field(
        alias="lifecycleStateChange"
    )
    previous: _Name | None = Field(default=None, alias="previousIdentifier")


class Storage(Facet):
    """How a dataset is stored."""

    layer: str = Field(alias="storageLayer")
    format: str | None = Field(default=None, alias="fileFormat")


class Symlinks(Facet):
    """Other names of a dataset."""

    identifiers: list[_Identifier] | None = None


class _ColumnMetrics(Open):
    nulls: Integer | None = Field(default=None, alias="nullCount")
    distinct: Integer | None = Field(default=None, alias="distinctCount")
    sum: float | None = None
    count: float | None = None
    min: float | None = None
    max: float | None = None
    quantiles: dict[str, float] | None = None


class DataQualityMetrics(Facet):
    """Counts about a dataset and its columns."""

    rows: Integer | None = Field(default=None, alias="rowCount")
    bytes: Integer | None = None
    files: Integer | None = Field(default=None, alias="fileCount")
    updated: Moment | None = Field(default=None, alias="lastUpdated")
    columns: dict[str, _ColumnMetrics] = Field(alias="columnMetrics")


class _Assertion(Open):
    assertion: str
    success: bool
    column: str | None = None
    severity: str | None = None
    name: str | None = None
    expected: str | None = None
    actual: str | None = None
    content: str | None = None
    content_type: str | None = Field(default=None, alias="contentType")
    params: dict[str, Any] | None = None


class Assertions(Facet):
    """Verdicts of checks on a dataset."""

    assertions: list[_Assertion]


class DatasetFacets(Facets):
    """Facets of a dataset."""

    schema_: Schema | None = Field(default=None, alias="schema")
    column_lineage: ColumnLineage | None = Field(default=None, alias="columnLineage")
    lineage: DatasetLineage | None = None
    catalog: Catalog | None = None
    dataset_type: DatasetType | None = Field(default=None, alias="datasetType")
    version: DatasetVersion | None = None
    source: DataSource | None = Field(default=None, alias="dataSource")
    documentation: Documentation | None = None
    hierarchy: Hierarchy | None = None
    lifecycle: LifecycleStateChange | None = Field(default=None, alias="lifecycleStateChange")
    ownership: Ownership | None = None
    storage: Storage | None = None
    symlinks: Symlinks | None = None
    tags: Tags | None = None
    metrics: DataQualityMetrics | None = Field(default=None, alias="dataQualityMetrics")


class Statistics(Facet):
    """How much was read or written."""

    rows: Integer | None = Field(default=None, alias="rowCount")
    size: Integer | None = None
    files: Integer | None = Field(default=None, alias="fileCount")


class _Condition(Open):
    """A part of a dataset, as a tree of conditions."""

    type: Literal["location", "partition", "binary", "compare"]


class InputSubset(Facet):
    """Which part of a dataset was read."""

    condition: _Condition = Field(alias="inputCondition")


class OutputSubset(Facet):
    """Which part of a dataset was written."""

    condition: _Condition = Field(alias="outputCondition")


class InputFacets(Facets):
    """Facets of a dataset as a run's input."""

    statistics: Statistics | None = Field(default=None, alias="inputStatistics")
    metrics: DataQualityMetrics | None = Field(default=None, alias="dataQualityMetrics")
    assertions: Assertions | None = Field(default=None, alias="dataQualityAssertions")
    subset: InputSubset | None = None


class OutputFacets(Facets):
    """Facets of a dataset as a run's output."""

    statistics: Statistics | None = Field(default=None, alias="outputStatistics")
    subset: OutputSubset | None = None


class Dataset(_Name):
    """A dataset as an event names it."""

    facets: DatasetFacets | None = None


class InputDataset(Dataset):
    """A dataset that was read."""

    input_facets: InputFacets | None = Field(default=None, alias="inputFacets")


class OutputDataset(Dataset):
    """A dataset that was written."""

    output_facets: OutputFacets | None = Field(default=None, alias="outputFacets")


class Job(_Name):
    """A job as an event names it."""

    facets: JobFacets | None = None


class Run(_RunRef):
    """A run of a job."""

    facets: RunFacets | None = None


class _Event(Open):
    event_time: Moment = Field(alias="eventTime")
    producer: str
    schema_url: str = Field(alias="schemaURL")


class RunEvent(_Event):
    """A run changed its state."""

    event_type: Literal["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"] | None = Field(
        default=None, alias="eventType"
    )
    run: Run
    job: Job
    inputs: list[InputDataset] | None = None
    outputs: list[OutputDataset] | None = None


class JobEvent(_Event):
    """What a job is, beside any run."""

    job: Job
    inputs: list[InputDataset] | None = None
    outputs: list[OutputDataset] | None = None


class DatasetEvent(_Event):
    """What a dataset is, beside any run."""

    dataset: Dataset
