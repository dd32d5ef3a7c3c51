"""What an event says about the graph: nodes, edges, versions, columns, declarations.

Pure functions over a judged event's body, whose shape is therefore known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from cityledger.ledger.events import EventKind, Judged

#: The run facet in which a run says beforehand what it will touch.
DECLARES = "cityledger_declares"

# A producer's clock may be ahead of ours; beyond this, an event from the future would hide from
# "as of now" and win every "newest", so it counts as of its reception.
_AHEAD = timedelta(minutes=5)

# A facet's name is part of a key, and an index entry is bounded.
_FACET_NAME = 200


class NodeKind(IntEnum):
    """What a node of the graph is."""

    JOB = 0
    DATASET = 1


class Direction(IntEnum):
    """What a run does with a dataset (and, declared, with a child job)."""

    READ = 0
    WRITTEN = 1
    CHILD = 2


class Name(NamedTuple):
    """What OpenLineage calls a job or a dataset; hostile names are only data."""

    kind: NodeKind
    namespace: str
    name: str

    @property
    def digest(self) -> bytes:
        """SHA-256 that stands for the name in keys, whatever its length and characters."""
        return digest(int(self.kind), self.namespace, self.name)


class ColumnName(NamedTuple):
    """A column of a dataset; ``whole`` stands for all columns at once."""

    dataset: Name
    name: str
    whole: bool = False

    @property
    def digest(self) -> bytes:
        """SHA-256 that stands for the column in keys."""
        return digest(self.dataset.namespace, self.dataset.name, self.name, self.whole)


@lru_cache(maxsize=50_000, typed=True)  # the same names come with every run
def digest(*parts: str | int) -> bytes:
    """A key for a tuple of texts and numbers, unambiguous and of fixed length."""
    return hashlib.sha256(json.dumps(parts).encode()).digest()


def version_uuid(dataset: Name, version: str) -> UUID:
    """The UUID that Marquez's API shows for a version of a dataset."""
    return UUID(bytes=digest("version", dataset.namespace, dataset.name, version)[:16], version=5)


@dataclass(frozen=True, slots=True)
class ColumnEdge:
    """A column that another one was made from."""

    source: ColumnName
    target: ColumnName
    transformations: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What an event says about one dataset.

    Attributes:
        facets: Names of its facets; True for one that is deleted.
    """

    name: Name
    version: str | None = None
    facets: Mapping[str, bool] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    column_edges: tuple[ColumnEdge, ...] = ()
    lifecycle: str | None = None
    sources: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What an event says about its run."""

    run_id: str
    nominal_start: datetime | None = None
    nominal_end: datetime | None = None
    parent_run: str | None = None
    parent_job: Name | None = None
    declared: tuple[tuple[Direction, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class EventFacts:
    """What one event says.

    Attributes:
        id: Its place in the journal.
        at: Its time, or that of its reception if its clock was ahead.
        job: None for a dataset event.
    """

    id: int
    at: datetime
    job: Name | None = None
    job_facets: Mapping[str, bool] = field(default_factory=dict)
    run: RunFacts | None = None
    read: tuple[DatasetFacts, ...] = ()
    written: tuple[DatasetFacts, ...] = ()
    static: tuple[DatasetFacts, ...] = ()
    edges: tuple[tuple[Name, Name], ...] = ()


def effective(event_time: datetime, received_at: datetime) -> datetime:
    """When an event counts as having happened."""
    try:
        moment = event_time.astimezone(UTC)
    except OverflowError:  # in UTC, the first and last hours of the calendar do not exist
        return received_at
    return received_at if moment > received_at + _AHEAD else moment


def read_facts(number: int, judged: Judged, received_at: datetime) -> EventFacts:
    """What a judged event (valid or flawed) says about the graph."""
    body = judged.body
    at = effective(datetime.fromisoformat(body["eventTime"]), received_at)
    if judged.kind is EventKind.DATASET:
        return EventFacts(number, at, static=(_dataset(body["dataset"]),))
    job = _name(NodeKind.JOB, body["job"])
    facets = body["job"].get("facets") or {}
    return EventFacts(
        number,
        at,
        job=job,
        job_facets=_facet_names(facets),
        run=_run(body["run"]) if judged.kind is EventKind.RUN else None,
        read=tuple(_dataset(one) for one in body.get("inputs") or ()),
        written=tuple(_dataset(one) for one in body.get("outputs") or ()),
        static=tuple(_lineage_datasets(facets)),
        edges=tuple(_lineage_jobs(facets, job)),
    )


def _name(kind: NodeKind, value: Mapping[str, Any]) -> Name:
    return Name(kind, value["namespace"], value["name"])


def _facet_names(facets: Mapping[str, Any]) -> dict[str, bool]:
    return {
        name[:_FACET_NAME]: facet.get("_deleted") is True
        for name, facet in facets.items()
        if facet is not None
    }


def _run(run: Mapping[str, Any]) -> RunFacts:
    facets = run.get("facets") or {}
    period, parent = facets.get("nominalTime") or {}, facets.get("parent") or {}
    return RunFacts(
        run["runId"].lower(),
        nominal_start=_moment(period.get("nominalStartTime")),
        nominal_end=_moment(period.get("nominalEndTime")),
        parent_run=parent["run"]["runId"].lower() if parent else None,
        parent_job=_name(NodeKind.JOB, parent["job"]) if parent else None,
        declared=tuple(_declared(facets.get(DECLARES) or {})),
    )


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except OverflowError:
        return None


def _declared(facet: Mapping[str, Any]) -> Iterator[tuple[Direction, str, str]]:
    lists = {
        Direction.READ: facet.get("inputs"),
        Direction.WRITTEN: facet.get("outputs"),
        Direction.CHILD: facet.get("children"),
    }
    for direction, entries in lists.items():
        for entry in entries if isinstance(entries, list) else ():
            named = entry if isinstance(entry, dict) else {}
            namespace, name = named.get("namespace"), named.get("name")
            if isinstance(namespace, str) and isinstance(name, str):
                yield direction, namespace, name


def _dataset(value: Mapping[str, Any]) -> DatasetFacts:
    name = _name(NodeKind.DATASET, value)
    facets = {key: one for key, one in (value.get("facets") or {}).items() if one is not None}
    live = {key: one for key, one in facets.items() if one.get("_deleted") is not True}
    lifecycle = live.get("lifecycleStateChange", {})
    edges = (*_column_lineage(name, live.get("columnLineage", {})), *_stated(name, live))
    return DatasetFacts(
        name,
        version=live.get("version", {}).get("datasetVersion"),
        facets=_facet_names(facets),
        columns=tuple(one["name"] for one in live.get("schema", {}).get("fields") or ()),
        column_edges=edges,
        lifecycle=lifecycle.get("lifecycleStateChange"),
        sources=tuple(_former(name, lifecycle)) + tuple(_stated_sources(name, live)),
    )


def _former(name: Name, lifecycle: Mapping[str, Any]) -> Iterator[Name]:
    """A renamed dataset comes from the one that had the former name."""
    previous = lifecycle.get("previousIdentifier")
    if lifecycle.get("lifecycleStateChange") == "RENAME" and previous:
        former = _name(NodeKind.DATASET, previous)
        if former != name:
            yield former


def _column_lineage(target: Name, facet: Mapping[str, Any]) -> Iterator[ColumnEdge]:
    for column, made in facet.get("fields", {}).items():
        for source in made["inputFields"]:
            yield ColumnEdge(
                _column(source), ColumnName(target, column), _transformations(source, made)
            )
    for source in facet.get("dataset") or ():
        yield ColumnEdge(
            _column(source), ColumnName(target, "", whole=True), _transformations(source, {})
        )


def _column(source: Mapping[str, Any]) -> ColumnName:
    return ColumnName(_name(NodeKind.DATASET, source), source["field"])


def _transformations(
    source: Mapping[str, Any], made: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    if found := source.get("transformations"):
        return list(found)
    if kind := made.get("transformationType"):  # how it was said before facet version 1-1-0
        return [{"type": kind, "description": made.get("transformationDescription") or ""}]
    return []


def _stated(target: Name, facets: Mapping[str, Any]) -> Iterator[ColumnEdge]:
    yield from _stated_columns(target, facets.get("lineage", {}))


def _stated_columns(target: Name, entry: Mapping[str, Any]) -> Iterator[ColumnEdge]:
    for column, made in (entry.get("fields") or {}).items():
        yield from _inputs_to(ColumnName(target, column), made["inputs"])
    yield from _inputs_to(ColumnName(target, "", whole=True), entry.get("inputs") or ())


def _inputs_to(target: ColumnName, inputs: Sequence[Mapping[str, Any]]) -> Iterator[ColumnEdge]:
    for source in inputs:
        if source["type"] == "DATASET" and source.get("field"):
            yield ColumnEdge(_column(source), target, list(source.get("transformations") or ()))


def _stated_sources(target: Name, facets: Mapping[str, Any]) -> Iterator[Name]:
    for source in facets.get("lineage", {}).get("inputs") or ():
        if source.get("name") is not None:
            named = _name(NodeKind[source["type"]], source)
            if named != target:
                yield named


def _lineage_datasets(facets: Mapping[str, Any]) -> Iterator[DatasetFacts]:
    """Datasets that a job's lineage facet speaks of."""
    for entry in (facets.get("lineage") or {}).get("entries") or ():
        if entry["type"] == "DATASET":
            name = _name(NodeKind.DATASET, entry)
            stated = {"lineage": entry}
            yield DatasetFacts(
                name,
                column_edges=tuple(_stated_columns(name, entry)),
                sources=tuple(_stated_sources(name, stated)),
            )


def _lineage_jobs(facets: Mapping[str, Any], job: Name) -> Iterator[tuple[Name, Name]]:
    """Edges into jobs that a job's lineage facet states."""
    for entry in (facets.get("lineage") or {}).get("entries") or ():
        if entry["type"] != "JOB":
            continue
        target = _name(NodeKind.JOB, entry) if entry.get("name") is not None else job
        for source in _stated_sources(target, {"lineage": entry}):
            yield source, target
