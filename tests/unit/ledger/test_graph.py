"""The lineage graph: the same whatever the order of events, whole or said to be partial."""

from __future__ import annotations

import json
import random
import threading
from typing import Any

import pytest
from cityledger.ledger import indexer as indexer_module
from cityledger.ledger.event_store import EventStore
from cityledger.ledger.events import Verdict, judge
from cityledger.ledger.facts import DECLARES, NodeKind
from cityledger.ledger.graph import LineageGraph, Node, Subgraph, Towards
from cityledger.ledger.indexer import Indexer
from cityledger.storage.database import Database
from sqlalchemy import text

from tests.unit.ledger.lineage_events import (
    column_lineage,
    dataset,
    facet,
    minute,
    run_event,
    run_id,
    schema,
    whole_run,
)


@pytest.fixture
def graph(database: Database) -> LineageGraph:
    return LineageGraph(database)


@pytest.fixture
def store(database: Database) -> EventStore:
    return EventStore(database)


def _node(graph: LineageGraph, name: str, kind: NodeKind = NodeKind.DATASET) -> Node:
    namespace = "city" if kind is NodeKind.JOB else "s3://lake"
    node = graph.find(kind, namespace, name)
    assert node is not None
    return node


def _names(answer: Subgraph) -> set[str]:
    return {node.name for node in answer.nodes}


def _flow(answer: Subgraph) -> set[tuple[str, str]]:
    names = {node.id: node.name for node in answer.nodes}
    return {(names[edge.source], names[edge.target]) for edge in answer.edges}


def _step(
    job: str, run: int, at: float, read: dict[str, Any], written: dict[str, Any]
) -> list[bytes]:
    return whole_run(job, run=run, at=at, read=[read], written=[written])


def _chain() -> list[bytes]:
    return [
        *whole_run("land", run=1, at=0, written=[dataset("raw", "v1")]),
        *whole_run(
            "judge", run=2, at=5, read=[dataset("raw", "v1")], written=[dataset("good", "a")]
        ),
        *whole_run("model", run=3, at=10, read=[dataset("good", "a")], written=[dataset("core")]),
        *whole_run("other", run=4, at=20, read=[dataset("raw", "v1")], written=[dataset("side")]),
    ]


def _state(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """What the graph says, by names instead of ids."""
    node = (
        "SELECT node.id, node.kind, space.name || '|' || node.name AS name FROM"
        " cityledger.graph_node node JOIN cityledger.graph_namespace space"
        " ON space.id = node.namespace"
    )
    questions = {
        "nodes": f"SELECT n.kind, n.name, g.first_at, g.last_at, g.lifecycle FROM ({node}) n"
        " JOIN cityledger.graph_node g USING (id)",
        "edges": "SELECT s.name, t.name, e.first_at, e.last_at FROM cityledger.graph_edge e"
        f" JOIN ({node}) s ON s.id = e.source JOIN ({node}) t ON t.id = e.target",
        "runs": "SELECT r.run_id, n.name, r.state, r.state_at, r.started_at, r.ended_at, r.gaps,"
        " r.parent_run, r.nominal_start FROM cityledger.graph_run r"
        f" JOIN ({node}) n ON n.id = r.job",
        "touched": "SELECT r.run_id, n.name, t.direction, v.version, t.first_at, t.last_at"
        " FROM cityledger.graph_run_dataset t JOIN cityledger.graph_run r ON r.id = t.run"
        f" JOIN ({node}) n ON n.id = t.node"
        " LEFT JOIN cityledger.graph_version v ON v.id = t.version",
        "columns": "SELECT n.name, c.name, c.whole, c.first_at FROM cityledger.graph_column c"
        f" JOIN ({node}) n ON n.id = c.node",
        "column edges": "SELECT s.name, t.name, e.first_at, e.last_at, e.transformations::text"
        " FROM cityledger.graph_column_edge e JOIN cityledger.graph_column s ON s.id = e.source"
        " JOIN cityledger.graph_column t ON t.id = e.target",
        "facets": "SELECT n.name, f.name, f.at, f.deleted FROM cityledger.graph_facet f"
        f" JOIN ({node}) n ON n.id = f.node",
        "remarks": "SELECT e.sha256, r.severity, r.reasons::text FROM cityledger.graph_remark r"
        " JOIN cityledger.lineage_event e ON e.id = r.event",
    }
    with database.begin() as connection:
        return {
            name: sorted((tuple(row) for row in connection.execute(text(question))), key=repr)
            for name, question in questions.items()
        }


def _everything() -> list[bytes]:
    """Events with all that the graph knows of, faulty ones among them."""
    renamed = dataset(
        "core_new",
        lifecycleStateChange=facet(
            lifecycleStateChange="RENAME",
            previousIdentifier={"namespace": "s3://lake", "name": "core"},
        ),
    )
    lined = dataset(
        "core", schema=schema("a", "b"), columnLineage=column_lineage(a=[("good", "x")])
    )
    return [
        *_chain(),
        *whole_run("model", run=5, at=30, read=[dataset("good", "a")], written=[lined]),
        *whole_run("rename", run=6, at=40, written=[renamed]),
        run_event("model", "COMPLETE", run=7, at=50),
        run_event("model", "FAIL", run=8, at=61),
        run_event(
            "model",
            "START",
            run=8,
            at=60,
            run_facets={
                "parent": facet(
                    run={"runId": run_id(7)}, job={"namespace": "city", "name": "model"}
                )
            },
        ),
        run_event("model", "OTHER", run=8, at=62, job_facets={"sql": {"query": "no producer"}}),
        b"no event at all",
        run_event(
            "dropped",
            "COMPLETE",
            run=9,
            at=70,
            written=[dataset("side", lifecycleStateChange=facet(lifecycleStateChange="DROP"))],
        ),
    ]


def test_upstream_downstream_and_both(store: EventStore, graph: LineageGraph) -> None:
    """Prevents lineage that shows siblings as sources, or loses a step."""
    store.append(_chain())
    good = _node(graph, "good")
    up = graph.around(good, towards=Towards.SOURCES)
    assert _flow(up) == {("land", "raw"), ("raw", "judge"), ("judge", "good")}
    down = graph.around(good, towards=Towards.USES)
    assert _flow(down) == {("good", "model"), ("model", "core")}
    both = graph.around(good)
    assert _names(both) == {"land", "raw", "judge", "good", "model", "core"}
    assert both.root == both.nodes[0] == good
    assert not both.truncated
    assert not both.wholeness.partial
    assert _names(graph.around(good, depth=1)) == {"judge", "good", "model"}


def test_as_of_a_time(store: EventStore, graph: LineageGraph) -> None:
    """Prevents an audit of last month's number that shows this month's jobs."""
    store.append(_chain())
    raw = _node(graph, "raw")
    assert "other" in _names(graph.around(raw))
    past = graph.around(raw, as_of=minute(12))
    assert _names(past) == {"land", "raw", "judge", "good", "model", "core"}
    assert _names(graph.around(raw, as_of=minute(-1))) == {"raw"}


@pytest.mark.parametrize("seed", range(4))
def test_order_repetition_and_batches_make_no_difference(
    store: EventStore, database: Database, seed: int
) -> None:
    """Prevents a graph that depends on which event won the race to the collector."""
    events = _everything()
    store.append(events)
    Indexer(database).catch_up()
    straight = _state(database)
    assert all(straight.values())

    Indexer(database).reindex()
    mixed = [*events, *events]
    random.Random(seed).shuffle(mixed)  # noqa: S311  an order, not a secret
    with database.begin() as connection:  # the same journal in another order
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("TRUNCATE cityledger.lineage_event"))
    for one in mixed:
        store.append([one])
    Indexer(database, batch=1 + seed).catch_up()
    assert _state(database) == straight


def test_reindex_gives_the_same_graph(store: EventStore, database: Database) -> None:
    """Prevents an index that holds what the events do not say."""
    store.append(_everything())
    Indexer(database, batch=3).catch_up()
    before = _state(database)
    Indexer(database).reindex()
    assert not any(_state(database).values())
    assert Indexer(database).catch_up().current
    assert _state(database) == before


def test_cycle_ends(store: EventStore, graph: LineageGraph) -> None:
    """Prevents an endless walk over an incremental model that reads what it writes."""
    store.append(
        [
            *whole_run("loop", run=1, read=[dataset("a", "2")], written=[dataset("a", "3")]),
            *whole_run("back", run=2, at=5, read=[dataset("a", "3")], written=[dataset("b")]),
            *whole_run("forth", run=3, at=9, read=[dataset("b")], written=[dataset("a", "2")]),
        ]
    )
    answer = graph.around(_node(graph, "a"))
    assert _names(answer) == {"a", "b", "loop", "back", "forth"}
    run = graph.run(run_id(1))
    assert run is not None
    assert len(graph.of_run(run, towards=Towards.BOTH).runs) == 3


def test_renamed_dataset_keeps_its_past(store: EventStore, graph: LineageGraph) -> None:
    """Prevents lineage that ends where somebody renamed a table."""
    store.append(_everything())
    up = graph.around(_node(graph, "core_new"), towards=Towards.SOURCES)
    assert {"core", "model", "good", "judge", "raw", "land"} <= _names(up)


def test_dropped_dataset_and_failed_run_stay_visible(
    store: EventStore, graph: LineageGraph
) -> None:
    """Prevents a past that disappears with the table, or with the run that failed."""
    store.append(_everything())
    side = _node(graph, "side")
    assert side.lifecycle == "DROP"
    assert "other" in _names(graph.around(side, towards=Towards.SOURCES))
    failed = graph.run(run_id(8))
    assert failed is not None
    assert (failed.state, failed.started_at, failed.ended_at) == ("FAILED", minute(60), minute(61))


def test_by_run_it_is_exact(store: EventStore, graph: LineageGraph) -> None:
    """Prevents yesterday's number from being explained by today's data."""
    store.append(
        [
            *whole_run("land", run=1, at=0, written=[dataset("raw", "v1")]),
            *whole_run("land", run=2, at=5, written=[dataset("raw", "v2")]),
            *whole_run(
                "model", run=3, at=10, read=[dataset("raw", "v1")], written=[dataset("t", "1")]
            ),
            *whole_run(
                "model", run=4, at=20, read=[dataset("raw", "v2")], written=[dataset("t", "2")]
            ),
            *whole_run("loose", run=5, at=15, read=[dataset("t")]),
        ]
    )
    first, loose, landed = (graph.run(run_id(number)) for number in (3, 5, 1))
    assert first
    assert loose
    assert landed
    assert [run.run_id for run in graph.of_run(first).runs] == [run_id(3), run_id(1)]
    # It named no version, so it read what was newest then: run 3's, not run 4's.
    assert [run.run_id for run in graph.of_run(loose).runs] == [run_id(5), run_id(3), run_id(1)]
    down = graph.of_run(landed, towards=Towards.USES)
    assert [run.run_id for run in down.runs] == [run_id(1), run_id(3)]
    versions = {touch.version.version for touch in down.touches if touch.version}
    assert versions == {"v1", "1"}


def test_columns_and_the_impact_of_a_change(store: EventStore, graph: LineageGraph) -> None:
    """Prevents a contract change whose reach nobody saw."""
    filtered = column_lineage(total=[("good", "amount")])
    filtered["dataset"] = [{"namespace": "s3://lake", "name": "good", "field": "state"}]
    store.append(
        [
            *whole_run(
                "judge",
                run=1,
                read=[dataset("raw")],
                written=[
                    dataset(
                        "good",
                        columnLineage=column_lineage(
                            amount=[("raw", "金额")], state=[("raw", "状态")]
                        ),
                    )
                ],
            ),
            *whole_run(
                "model",
                run=2,
                at=5,
                read=[dataset("good")],
                written=[dataset("core", schema=schema("total"), columnLineage=filtered)],
            ),
            *whole_run("opaque", run=3, at=9, read=[dataset("good")], written=[dataset("copy")]),
        ]
    )
    found = graph.resolve_column("s3://lake:raw:状态")
    assert found is not None
    _, state = found
    reach = graph.columns([state], towards=Towards.USES)
    named = {(reach.nodes[one.node].name, one.name) for one in reach.columns if not one.whole}
    assert named == {("raw", "状态"), ("good", "state"), ("core", "total")}
    assert [job.name for job in reach.silent_jobs] == ["opaque"]

    total = graph.resolve_column("s3://lake:core:total")
    assert total is not None
    source = graph.columns([total[1]])
    assert {(source.nodes[one.node].name, one.name) for one in source.columns if not one.whole} == {
        ("core", "total"),
        ("good", "amount"),
        ("good", "state"),
        ("raw", "金额"),
        ("raw", "状态"),
    }
    (edge,) = [one for one in source.edges if one.target == total[1]]
    assert edge.transformations[0]["subtype"] == "IDENTITY"


def test_hub_is_cut_and_said_to_be(store: EventStore, graph: LineageGraph) -> None:
    """Prevents one popular dataset from making a page without end, or a silent cut."""
    store.append([run_event(f"job {n}", run=n, at=n, read=[dataset("hub")]) for n in range(1, 40)])
    hub = _node(graph, "hub")
    cut = graph.around(hub, budget=10)
    assert cut.truncated
    assert len(cut.nodes) == 10
    assert not graph.around(hub, budget=40).truncated


def _declaring(**lists: list[str]) -> dict[str, Any]:
    entries = {
        key: [
            {"namespace": "city" if key == "children" else "s3://lake", "name": one}
            for one in names
        ]
        for key, names in lists.items()
    }
    return {DECLARES: facet(**entries)}


def test_run_that_lacks_what_it_declared_makes_answers_partial(
    store: EventStore, graph: LineageGraph
) -> None:
    """Prevents an answer that looks whole because the missing event is missing."""
    facets = _declaring(inputs=["raw/*"], outputs=["good/1", "quarantine/*"], children=["child"])
    store.append(
        [
            run_event("judge", "START", run=1, run_facets=facets),
            run_event("judge", run=1, at=2, read=[dataset("raw/x")], written=[dataset("good/1")]),
        ]
    )
    answer = graph.around(_node(graph, "good/1"))
    assert answer.wholeness.partial
    (gapped,) = answer.wholeness.runs
    assert (gapped.run_id, gapped.job) == (run_id(1), "judge")
    assert [(gap["code"], gap["name"]) for gap in gapped.gaps] == [
        ("output_missing", "quarantine/*"),
        ("child_missing", "child"),
    ]
    # The event that was late closes the gap, and so does the child that reports at last.
    parent = {"parent": facet(run={"runId": run_id(1)}, job={"namespace": "city", "name": "judge"})}
    store.append(
        [
            run_event("judge", "OTHER", run=1, at=1, written=[dataset("quarantine/z")]),
            *whole_run("child", run=2, at=1, run_facets=parent),
        ]
    )
    assert not graph.around(_node(graph, "good/1")).wholeness.partial


def test_gap_is_closed_by_a_later_whole_run(store: EventStore, graph: LineageGraph) -> None:
    """Prevents a mended day from being shown as partial for ever."""
    store.append([run_event("judge", run=1, at=2, written=[dataset("good")])])
    answer = graph.around(_node(graph, "good"))
    assert [gap["code"] for run in answer.wholeness.runs for gap in run.gaps] == ["no_start"]
    store.append(whole_run("judge", run=2, at=10, written=[dataset("good")]))
    assert not graph.around(_node(graph, "good")).wholeness.partial
    assert graph.around(_node(graph, "good"), as_of=minute(5)).wholeness.partial


def test_unreadable_event_of_a_run_is_a_gap(store: EventStore, graph: LineageGraph) -> None:
    """Prevents a run from counting as whole although one of its events could not be read."""
    broken = json.loads(run_event("judge", "RUNNING", run=1, at=1))
    del broken["job"]["name"]
    store.append(
        [*whole_run("judge", run=1, written=[dataset("good")]), json.dumps(broken).encode()]
    )
    (run,) = graph.around(_node(graph, "good")).wholeness.runs
    assert run.gaps == ({"code": "invalid_event"},)


def test_clock_ahead_counts_as_received(store: EventStore, graph: LineageGraph) -> None:
    """Prevents an event from the future from hiding today's, or from being invisible until then."""
    far = run_event("model", "COMPLETE", run=1, at=60 * 24 * 365 * 40, written=[dataset("t")])
    store.append([run_event("model", "START", run=1), far])
    node = _node(graph, "t")
    assert node.last_at < minute(60 * 24 * 365 * 20)
    run = graph.run(run_id(1))
    assert run is not None
    assert run.state == "COMPLETED"
    assert run.ended_at == node.last_at


def test_writer_in_the_act_is_waited_for(store: EventStore, database: Database) -> None:
    """Prevents an event with a low id that is committed late from never being indexed."""
    inserted, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        insert = "INSERT INTO cityledger.lineage_event (sha256, raw) VALUES ('slow', :raw)"
        with database.begin() as connection:
            connection.execute(text(insert), {"raw": run_event("slow", run=1)})
            inserted.set()
            go_on.wait(30)

    writer = threading.Thread(target=slow)
    writer.start()
    assert inserted.wait(30)
    store.append([run_event("quick", run=2)])
    reader = threading.Thread(target=Indexer(database).catch_up)
    reader.start()
    reader.join(0.3)
    go_on.set()
    writer.join()
    reader.join()
    Indexer(database).catch_up()
    with database.begin() as connection:
        jobs = connection.scalars(text("SELECT name FROM cityledger.graph_node")).all()
    assert sorted(jobs) == ["quick", "slow"]


def test_indexing_stopped_midway_goes_on(
    store: EventStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents a crash of the indexer from losing or doubling what it was at."""
    store.append(_everything())
    Indexer(database).catch_up()
    whole = _state(database)
    Indexer(database).reindex()
    indexer = Indexer(database, batch=2)
    assert not indexer.catch_up(seconds=0).current

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(indexer_module, "close_runs", crash)  # after the batch has been written
        with pytest.raises(KeyboardInterrupt):
            indexer.catch_up()
    assert not any(_state(database).values())
    assert indexer.catch_up().current
    assert _state(database) == whole


HOSTILE = "</script><script>alert(1)</script>\0\ud800../../etc/passwd%00' OR 1=1 --" + "长" * 5000


def test_hostile_names_are_only_data(store: EventStore, graph: LineageGraph) -> None:
    """Prevents a name from breaking a query, an index entry or the event's own storage."""
    sent = (
        run_event("x", run=1, written=[dataset("x")]).decode().replace('"x"', json.dumps(HOSTILE))
    )
    raw = sent.replace("\\ud800", "").encode()
    assert judge(raw).verdict is Verdict.VALID
    store.append([raw, raw])
    node = graph.find(NodeKind.DATASET, "s3://lake", HOSTILE.replace("\ud800", ""))
    assert node is not None
    assert len(graph.around(node).nodes) == 2


def test_version_that_is_a_name_of_another_is_kept_apart(
    store: EventStore, graph: LineageGraph
) -> None:
    """Prevents two datasets whose ids read alike (colons everywhere) from being mixed up."""
    one = {"namespace": "ducklake://h:5432/db", "name": "a:b"}
    two = {"namespace": "ducklake://h:5432/db:a", "name": "b"}
    store.append([run_event("w", run=1, written=[one]), run_event("r", run=2, at=1, read=[two])])
    found = graph.find(NodeKind.DATASET, **one)
    other = graph.find(NodeKind.DATASET, **two)
    assert found is not None
    assert other is not None
    assert found.id != other.id
    assert graph.resolve("dataset:ducklake://h:5432/db:a:b") in {found, other}
    assert graph.resolve("job:city:w") is not None
    assert graph.resolve("dataset:nobody:knows") is None
    assert graph.resolve("nonsense") is None
