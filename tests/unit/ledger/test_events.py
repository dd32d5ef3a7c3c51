"""What is a valid event: by the specification, and so are all that we and Airflow emit."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from unittest.mock import MagicMock

import pytest
from cityledger.errors import BadInputError
from cityledger.ledger.events import EventKind, Verdict, judge
from cityledger.ledger.expectations import Declares
from cityledger.ledger.facts import Direction, read_facts
from cityledger.ledger.identity import object_data
from cityledger.ledger.lineage import Emitter, Origin, Parent, StageRun, new_run_id
from cityledger.records import Stage
from hypothesis import given
from hypothesis import strategies as st
from openlineage.client.serde import Serde

from tests.unit.ledger.lineage_events import dataset, facet, run_event, run_id

TRANSFORMATION = {"type": "DIRECT", "subtype": "TRANSFORMATION", "masking": False}
SOURCE = {"namespace": "s3://lake", "name": "raw", "field": "a"}

# One of each published facet, as the specification's schemas require them, in our own words.
RUN_FACETS = {
    "parent": facet(
        run={"runId": run_id(9)},
        job={"namespace": "airflow", "name": "dag.task"},
        root={"run": {"runId": run_id(8)}, "job": {"namespace": "airflow", "name": "dag"}},
    ),
    "nominalTime": facet(
        nominalStartTime="2026-04-01T00:00:00+08:00", nominalEndTime="2026-04-02T00:00:00+08:00"
    ),
    "errorMessage": facet(message="no", programmingLanguage="PYTHON", stackTrace="…"),
    "processing_engine": facet(version="1.5.5", name="DuckDB", openlineageAdapterVersion="1.0"),
    "externalQuery": facet(externalQueryId="q1", source="warehouse"),
    "extractionError": facet(
        totalTasks=2, failedTasks=1.0, errors=[{"errorMessage": "no parser", "taskNumber": 1}]
    ),
    "environmentVariables": facet(environmentVariables=[{"name": "TZ", "value": "UTC"}]),
    "executionParameters": facet(parameters=[{"key": "day", "value": "1"}]),
    "tags": facet(tags=[{"key": "k", "value": "v", "source": "USER"}]),
    "jobDependencies": facet(upstream=[{"job": {"namespace": "a", "name": "b"}}]),
    "test": facet(tests=[{"name": "unique", "status": "pass", "params": {"column": "id"}}]),
}
JOB_FACETS = {
    "jobType": facet(
        processingType="STREAMING",
        integration="FLINK",
        emissionPattern={"eventTrigger": "TIMER", "eventContentMode": "FULL", "windowDuration": 5},
    ),
    "sql": facet(query="select 1", dialect="duckdb"),
    "sourceCode": facet(language="python", sourceCode="pass"),
    "sourceCodeLocation": facet(type="git", url="https://code.example/x", path="a.py"),
    "documentation": facet(description="text", contentType="text/markdown"),
    "ownership": facet(owners=[{"name": "department:health", "type": "OWNER"}]),
    "tags": facet(tags=[{"key": "k", "value": "v"}]),
    "lineage": facet(
        entries=[
            {"type": "JOB", "inputs": [{"type": "DATASET", "namespace": "n", "name": "d"}]},
            {
                "type": "DATASET",
                "namespace": "s3://lake",
                "name": "core",
                "inputs": [SOURCE | {"type": "DATASET"}],
                "fields": {"total": {"inputs": [SOURCE | {"type": "DATASET"}]}},
            },
        ]
    ),
}
DATASET_FACETS = {
    "schema": facet(
        fields=[{"name": "a", "type": "STRUCT", "ordinal_position": 1, "fields": [{"name": "b"}]}]
    ),
    "columnLineage": facet(
        fields={"a": {"inputFields": [SOURCE | {"transformations": [TRANSFORMATION]}]}},
        dataset=[SOURCE],
    ),
    "catalog": facet(framework="ducklake", type="postgres", name="lake"),
    "datasetType": facet(datasetType="TABLE", subType="EXTERNAL"),
    "version": facet(datasetVersion="42"),
    "dataSource": facet(name="lake", uri="s3://lake"),
    "documentation": facet(description="text"),
    "hierarchy": facet(hierarchy=[{"type": "DATABASE", "name": "city"}]),
    "lifecycleStateChange": facet(
        lifecycleStateChange="RENAME", previousIdentifier={"namespace": "s3://lake", "name": "old"}
    ),
    "ownership": facet(owners=[{"name": "x"}]),
    "storage": facet(storageLayer="s3", fileFormat="parquet"),
    "symlinks": facet(identifiers=[{"namespace": "hive", "name": "t", "type": "TABLE"}]),
    "tags": facet(tags=[{"key": "k", "value": "v", "field": "a"}]),
    "dataQualityMetrics": facet(
        rowCount=3, columnMetrics={"a": {"nullCount": 1, "min": 1, "quantiles": {"0.5": 2.5}}}
    ),
    "gone": facet(_deleted=True),
    "ours": facet(anything={"goes": [1, None]}),
}
INPUT_FACETS = {
    "inputStatistics": facet(rowCount=3, size=9, fileCount=1),
    "dataQualityMetrics": facet(columnMetrics={}),
    "dataQualityAssertions": facet(
        assertions=[{"assertion": "not_null", "success": True, "column": "a", "severity": "error"}]
    ),
    "subset": facet(inputCondition={"type": "partition", "partitions": [{"dimensions": {"d": 1}}]}),
}
OUTPUT_FACETS = {
    "outputStatistics": facet(rowCount=3),
    "subset": facet(outputCondition={"type": "location", "locations": ["s3://lake/x"]}),
}


def _full() -> dict[str, Any]:
    read = dataset("raw") | {"facets": DATASET_FACETS, "inputFacets": INPUT_FACETS}
    written = dataset("core") | {"facets": DATASET_FACETS, "outputFacets": OUTPUT_FACETS}
    sent = run_event(
        "model", read=[read], written=[written], run_facets=RUN_FACETS, job_facets=JOB_FACETS
    )
    return dict(json.loads(sent))


def _judge(event: dict[str, Any]) -> Any:
    return judge(json.dumps(event).encode())


def test_every_published_facet_is_accepted() -> None:
    """Prevents a rejection that is our bug: a valid facet that our models do not know."""
    judged = _judge(_full())
    assert (judged.verdict, judged.reasons) == (Verdict.VALID, ())
    facts = read_facts(1, judged, datetime.now(UTC))
    assert facts.run is not None
    assert facts.run.parent_run == run_id(9)
    (core,) = facts.written
    assert (core.version, core.lifecycle, core.columns) == ("42", "RENAME", ("a",))
    assert [source.name for source in core.sources] == ["old"]
    assert core.facets["gone"] is True
    assert {(edge.source.name, edge.target.name) for edge in core.column_edges} == {
        ("a", "a"),
        ("a", ""),
    }
    (stated,) = facts.static
    assert [(edge.source.name, edge.target.name) for edge in stated.column_edges] == [
        ("a", "total"),
        ("a", ""),
    ]
    assert [(one.name, two.name) for one, two in facts.edges] == [("d", "model")]


GROUPS = {
    ("run", "facets"): RUN_FACETS,
    ("job", "facets"): JOB_FACETS,
    ("outputs", 0, "facets"): DATASET_FACETS,
    ("inputs", 0, "inputFacets"): INPUT_FACETS,
    ("outputs", 0, "outputFacets"): OUTPUT_FACETS,
}


def test_every_facet_is_checked() -> None:
    """Prevents a facet that is taken whatever it holds, and so cannot be relied on."""
    for place, facets in GROUPS.items():
        for name in facets:
            event = _full()
            holder: Any = event
            for part in place:
                holder = holder[part]
            del holder[name]["_producer"]
            judged = _judge(event)
            assert judged.verdict is Verdict.FLAWED, name
            assert [".".join(map(str, (*place, name, "_producer")))] == [
                reason.partition(":")[0] for reason in judged.reasons
            ]
            assert _judge(json.loads(json.dumps(judged.body))).verdict is Verdict.VALID


def test_the_three_kinds() -> None:
    """Prevents static lineage (jobs and datasets without runs) from being refused."""
    frame = {key: _full()[key] for key in ("eventTime", "producer", "schemaURL")}
    kinds = {
        EventKind.JOB: frame | {"job": {"namespace": "n", "name": "j"}, "inputs": None},
        EventKind.DATASET: frame | {"dataset": {"namespace": "n", "name": "d"}},
        EventKind.RUN: _full(),
    }
    for kind, event in kinds.items():
        judged = _judge(event)
        assert (judged.verdict, judged.kind) == (Verdict.VALID, kind)
    both = kinds[EventKind.JOB] | kinds[EventKind.DATASET]
    assert _judge(both).verdict is Verdict.INVALID
    assert _judge(frame).verdict is Verdict.INVALID


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["run", "job", "dataset", "facets", "inputs", "runId", "name"]),
                inner,
            )
        ),
        max_leaves=20,
    )
)
def test_anything_gets_a_verdict(value: Any) -> None:
    """Prevents an event that crashes the collector or the indexer instead of being reported."""
    judged = judge(json.dumps(value).encode())
    assert judged.verdict is Verdict.INVALID
    assert judged.reasons


@given(st.sampled_from(sorted(GROUPS)), st.data())
def test_broken_facets_never_break_the_reading(place: tuple[Any, ...], data: st.DataObject) -> None:
    """Prevents a facet of the wrong shape from stopping the index at its event for ever."""
    event = _full()
    holder: Any = event
    for part in place:
        holder = holder[part]
    name = data.draw(st.sampled_from(sorted(holder)))
    junk = st.none() | st.booleans() | st.integers() | st.text() | st.just([]) | st.just({})
    key = data.draw(st.sampled_from(sorted(holder[name])))
    holder[name][key] = data.draw(junk)
    judged = _judge(event)
    assert judged.verdict is not Verdict.INVALID
    read_facts(1, judged, datetime.now(UTC))


def test_reasons_hold_no_values() -> None:
    """Prevents personal data in a faulty event from spreading into reports about it."""
    event = _full()
    event["eventTime"] = "13900000000"
    event["run"]["runId"] = "110101199001011234"
    event["eventType"] = "张三"
    words = " ".join(_judge(event).reasons)
    assert not any(one in words for one in ("13900000000", "110101199001011234", "张三"))


@pytest.mark.parametrize("state", ["start", "complete", "fail"])
def test_our_own_events_are_valid(records: Any, state: str) -> None:
    """Prevents a ledger whose own producer breaks the specification."""
    sent: list[bytes] = []
    transport = MagicMock()
    transport.emit = lambda event: sent.append(Serde.to_json(event).encode())
    parent = Parent(Origin("airflow", "d.t", new_run_id()), Origin("airflow", "d", new_run_id()))
    run = StageRun(
        Stage.VALIDATE,
        "hotline.tickets",
        "2026-03-31",
        parent=parent,
        declares=Declares(inputs=(("*", "*"),), children=(("city", "child"),)),
    )
    landed = object_data(records.ref(), rows=11, results=[records.result()])
    emitter = Emitter(transport)
    more = {"inputs": [landed], "outputs": [landed]}
    if state == "fail":
        emitter.fail(run, BadInputError("no header", code="no_header"), **more)
    else:
        getattr(emitter, state)(run, **more)
    judged = judge(sent[0])
    assert (judged.verdict, judged.reasons) == (Verdict.VALID, ())
    facts = read_facts(1, judged, datetime.now(UTC))
    assert facts.run is not None
    assert facts.run.declared == (
        (Direction.READ, "*", "*"),
        (Direction.CHILD, "city", "child"),
    )


def test_airflows_events_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents the provider's task runs, the parents of our own, from being refused."""
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.providers.openlineage.plugins.adapter import OpenLineageAdapter

    sent: list[bytes] = []
    client = MagicMock()
    client.emit = lambda event: sent.append(Serde.to_json(event).encode())
    adapter = OpenLineageAdapter(client=client)
    now = datetime.now(UTC).isoformat()
    common: dict[str, Any] = {"run_id": run_id(1), "job_name": "dag.task", "tags": ["city"]}
    adapter.start_task(
        **common,
        event_time=now,
        job_description="text",
        job_description_type=None,
        nominal_start_time=now,
        nominal_end_time=now,
        owners=["data"],
        task=OperatorLineage(),
        run_facets={},
    )
    adapter.complete_task(
        **common,
        end_time=now,
        task=OperatorLineage(),
        job_description="text",
        job_description_type=None,
        owners=["data"],
        nominal_start_time=now,
        nominal_end_time=now,
    )
    assert len(sent) == 2
    for raw in sent:
        judged = judge(raw)
        assert (judged.verdict, judged.reasons) == (Verdict.VALID, ())
