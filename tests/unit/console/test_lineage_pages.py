"""The ledger's pages: who sees them, what a partial answer says, what a comparison finds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cityledger.console.comparison import Comparer
from cityledger.console.places import key_of
from cityledger.ledger.builds import Build, BuiltModel, Code
from cityledger.ledger.decisions import Access, DecisionStore
from cityledger.ledger.event_store import EventStore
from cityledger.ledger.facts import DECLARES, NodeKind
from cityledger.ledger.graph import LineageGraph
from cityledger.people import Person, Role
from cityledger.records import (
    IndicatorStatus,
    IndicatorValue,
    ObjectRef,
    Publication,
    Release,
)
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.objects import EVIDENCE, ObjectStore

from tests.unit.ledger.lineage_events import (
    column_lineage,
    dataset,
    facet,
    minute,
    run_event,
    run_id,
    schema,
)

_HOSTILE = "<script>alert('name')</script>" + "very long " * 60
AUDITOR = Person("zhou", frozenset({Role.AUDITOR}))
STEWARD = Person("li", frozenset({Role.STEWARD}))
ENGINEER = Person("qian", frozenset({Role.ENGINEER}))
DEPARTMENT = Person("wei", frozenset({Role.DEPARTMENT}), frozenset({"health"}))
PUBLIC = Person("anybody", frozenset({Role.PUBLIC}))


@dataclass(frozen=True)
class Told:
    """What the events told.

    Attributes:
        table, job: Keys of their pages.
        first: Number of the first event.
    """

    table: str
    job: str
    version: str
    first: int


@pytest.fixture
def told(database: Database) -> Told:
    """A run with columns and a hostile name, one that failed, one that lacks what it declared."""
    made = dataset(
        "core.table", "7", schema=schema("a"), columnLineage=column_lineage(a=[(_HOSTILE, "b")])
    )
    read = dataset(_HOSTILE, "v1", schema=schema("b"))
    stored = EventStore(database).append(
        [
            run_event("good", "START", run=1, at=0),
            run_event("good", run=1, at=1, read=[read], written=[made]),
            run_event("failing", "FAIL", run=2, at=2, read=[made]),
            run_event("gapped", "START", run=3, at=3, run_facets=_declares("core.absent")),
            run_event("gapped", run=3, at=4, written=[dataset("core.third", "8")]),
            b"no event at all",
        ]
    )
    graph = LineageGraph(database)
    table = graph.find(NodeKind.DATASET, "s3://lake", "core.table")
    job = graph.find(NodeKind.JOB, "city", "good")
    assert table is not None
    assert job is not None
    return Told(key_of(table), key_of(job), "7", stored[0].id)


def _declares(name: str) -> dict[str, Any]:
    return {DECLARES: facet(outputs=[{"namespace": "s3://lake", "name": name}])}


def pages(told: Told) -> Iterator[str]:
    yield from ("/ledger", "/ledger?q=core", "/ledger/graph", "/ledger/events", "/evidence")
    yield from ("/compare", "/evidence/SVC-01", "/compare?code=SVC-01")
    yield f"/ledger/graph?of={told.table}"
    yield f"/ledger/graph?of={told.table}&table=true"
    yield f"/ledger/columns?of={told.table}"
    yield f"/ledger/data/{told.table}"
    yield f"/ledger/data/{told.table}/versions/{told.version}"
    yield f"/ledger/jobs/{told.job}"
    yield f"/ledger/runs/{run_id(1)}"
    yield f"/ledger/events/{told.first}"
    yield f"/ledger/events/{told.first}/raw"


def test_who_sees_the_ledger(browser: Any, told: Told) -> None:
    """Lineage names other departments' files and people: it is for those who serve the city."""
    for person, expected in (
        (AUDITOR, 200),
        (STEWARD, 200),
        (ENGINEER, 200),
        (DEPARTMENT, 403),
        (PUBLIC, 403),
        (None, 401),
    ):
        client = browser(person)
        for path in pages(told):
            assert client.get(path).status_code == expected, (person, path)
    for person, expected in ((AUDITOR, 200), (STEWARD, 200), (ENGINEER, 403), (DEPARTMENT, 403)):
        assert browser(person).get("/audit").status_code == expected, person
    packed = browser(DEPARTMENT).post("/evidence/SVC-01/pack", data={})
    assert packed.status_code == 403


@pytest.mark.parametrize("language", ["en", "zh"])
def test_names_out_of_events_are_never_markup(browser: Any, told: Told, language: str) -> None:
    """Whoever may send events must not run scripts in the auditor's browser."""
    client = browser(AUDITOR, language)
    for path in pages(told):
        page = client.get(path)
        if not path.endswith("/raw"):
            assert "<script>alert" not in page.text, path
    assert "&lt;script&gt;alert" in client.get(f"/ledger/graph?of={told.table}&table=true").text


def test_a_partial_answer_says_so_and_why(browser: Any, told: Told) -> None:
    """An auditor who takes a part for the whole signs something untrue."""
    page = browser(AUDITOR).get("/ledger/graph").text
    assert "Partial: something may be missing here." in page
    assert "core.absent" in page
    assert f"/ledger/runs/{run_id(3)}" in page
    run = browser(AUDITOR).get(f"/ledger/runs/{run_id(3)}").text
    assert "Its report is incomplete." in run
    assert "not reported" in run
    whole = browser(AUDITOR).get(f"/ledger/runs/{run_id(1)}").text
    assert "Its report is incomplete." not in whole


def test_a_failed_run_is_a_box_in_the_picture(browser: Any, told: Told) -> None:
    """The run that failed is what the auditor came for."""
    page = browser(AUDITOR).get("/ledger/graph?detail=objects").text
    assert 'class="box job bad' in page  # and more: no START came either
    assert "run failed" in page


def test_the_past_shows_what_was_there_then(browser: Any, told: Told) -> None:
    """As of a time before a run, its outputs do not exist yet."""
    client = browser(AUDITOR)
    moment = minute(1.5).astimezone().strftime("%Y-%m-%dT%H:%M")
    early = client.get(f"/ledger/graph?detail=objects&as_of={moment}").text
    assert "core.table" in early
    assert "core.third" not in early
    assert "core.third" in client.get("/ledger/graph?detail=objects").text
    assert client.get("/ledger/graph?as_of=yesterday").status_code == 400
    assert client.get("/ledger/graph?as_of=9999-12-31").status_code in (200, 400)


def test_columns_lead_to_their_sources(browser: Any, told: Told) -> None:
    """The answer to "where does this column come from" as a picture and in words."""
    page = browser(AUDITOR).get(f"/ledger/columns?of={told.table}").text
    assert "core.table.a" in page
    assert "DIRECT/IDENTITY" in page


def test_an_event_is_shown_as_received(browser: Any, told: Told, database: Database) -> None:
    """What the page shows, what the hash says and what is downloaded must be the same bytes."""
    client = browser(AUDITOR)
    raw = client.get(f"/ledger/events/{told.first}/raw").content
    page = client.get(f"/ledger/events/{told.first}").text
    assert hashlib.sha256(raw).hexdigest() in page
    assert "the bytes are unchanged" in page
    assert "waits for the next signature" in page
    faulty = client.get("/ledger/events?faulty=true").text
    assert "could not be read" in faulty


def test_search_finds_each_kind(browser: Any, told: Told) -> None:
    """An auditor has a name, a hash or an id, and does not know which page it belongs to."""
    client = browser(AUDITOR)
    assert "core.table" in client.get("/ledger?q=CORE.TAB").text
    raw = client.get(f"/ledger/events/{told.first}/raw").content
    for words, path in (
        (run_id(1), f"/ledger/runs/{run_id(1)}"),
        (hashlib.sha256(raw).hexdigest(), f"/ledger/events/{told.first}"),
        (str(told.first), f"/ledger/events/{told.first}"),
        ("dataset:s3://lake:core.table", f"/ledger/data/{told.table}"),
    ):
        answer = client.get("/ledger", params={"q": words}, follow_redirects=False)
        assert answer.headers["location"] == path
    for words in ("\0", "%", "_", "' OR 1=1 --", "x" * 200, "01961a00"):
        assert client.get("/ledger", params={"q": words}).status_code == 200, words


@pytest.mark.parametrize(
    "path",
    [
        f"/ledger/data/{'0' * 64}",
        f"/ledger/jobs/{'0' * 64}",
        f"/ledger/graph?of={'0' * 64}",
        f"/ledger/columns?of={'0' * 64}",
        "/ledger/runs/nothing",
        "/ledger/events/999999999",
        "/evidence/NOTHING-01",
        "/compare?code=NOTHING-01",
        "/compare?before=12345",
    ],
)
def test_what_does_not_exist_is_not_found(browser: Any, database: Any, path: str) -> None:
    """A broken link is a 404 with a way back, not a failure of the server."""
    assert browser(AUDITOR).get(path).status_code == 404


def test_the_trail_tells_who_looked_and_filters(browser: Any, database: Database) -> None:
    """Who has seen personal data must be found by person, department and day."""
    store = DecisionStore(database)
    for person, name in (("li", "health.outpatient_visits"), ("wei", "transport.metro_trips")):
        store.record_access(
            Access(
                dataset=name,
                partition="2026-03",
                delivery="d1",
                person=person,
                action="download",
                reason="<b>because</b>",
                rows=12,
                detail={},
            )
        )
    client = browser(AUDITOR)
    page = client.get("/audit").text
    assert page.count("downloaded rows as handed in") == 2
    assert "<b>because" not in page
    for query, seen, unseen in (
        ("person=li", "health.outpatient_visits", "transport.metro_trips"),
        ("department=transport", "transport.metro_trips", "health.outpatient_visits"),
        ("dataset=health.outpatient_visits", "health.outpatient_visits", "transport.metro_trips"),
    ):
        listed = client.get(f"/audit?{query}").text.partition("<tbody>")[2]
        assert f"/datasets/{seen}" in listed, query
        assert f"/datasets/{unseen}" not in listed, query
    for query in ("until=2020-01-01", "kind=waiver", "offset=50", "since=9999-12-31", "person=%00"):
        assert client.get(f"/audit?{query}").status_code == 200, query
    assert "There is no such entry." in client.get("/audit?until=2020-01-01").text


class _Builds:
    """Publishes builds that differ where a test wants them to."""

    def __init__(self, settings: Settings, database: Database) -> None:
        from cityledger.ledger.journal import Journal

        self._journal, self.store = Journal(database), ObjectStore.from_settings(settings)
        self.store.ensure_buckets()

    def publish(self, snapshot: int, value: str, **changes: Any) -> None:
        build = Build(
            snapshot_id=snapshot,
            run_id=run_id(snapshot),
            code=Code(
                version="1",
                commit=changes.get("commit", "c1"),
                modified=False,
                lock_sha256="l",
                engines={"duckdb": "1"},
            ),
            models=tuple(_models(changes.get("definition", "1"))),
            releases=(
                _release("health.visits", changes.get("delivery", "d1")),
                _release("transport.trips", changes.get("other", "t1")),
            ),
            digests={"core.fct": changes.get("delivery", "d1"), "indicators.ind": value},
            files={"dbt_project/models/fct.sql": changes.get("sql", "f1")},
            archive="0" * 64,
        )
        key = f"builds/{snapshot:020d}.json"
        self.store.put_bytes(EVIDENCE, key, build.model_dump_json().encode())
        shown = IndicatorValue(
            code="HLT-01",
            name="n",
            name_en="n",
            area="990100",
            period="2026-03",
            value=value,
            unit="u",
            target=None,
            status=IndicatorStatus.NOT_APPLICABLE,
        )
        self._journal.save_publication(
            Publication(
                snapshot_id=snapshot, objects=(), rows=1, content_sha256="a", values=(shown,)
            )
        )


def _models(version: str) -> Iterable[BuiltModel]:
    def model(name: str, table: str, parents: tuple[str, ...], meta: dict[str, Any]) -> BuiltModel:
        return BuiltModel(name=name, table=table, sql="", parents=parents, key=(), meta=meta)

    yield model("stg", "staging.stg", (), {"dataset": "health.visits"})
    yield model("other", "staging.other", (), {"dataset": "transport.trips"})
    yield model("fct", "core.fct", ("staging.stg",), {})
    card = {"indicator": {"code": "HLT-01", "version": version}}
    yield model("ind", "indicators.ind", ("core.fct",), card)


def _release(name: str, delivery: str) -> Release:
    sha256 = hashlib.sha256(delivery.encode()).hexdigest()
    good = ObjectRef(bucket="validated", key=delivery, version_id=None, sha256=sha256, size=1)
    return Release(
        dataset=name,
        partition="2026-03",
        delivery=delivery,
        contract_sha256="c",
        validated=good,
        rows=10,
        released=True,
    )


@pytest.mark.parametrize(
    ("changes", "group"),
    [
        ({"delivery": "d2"}, "data"),
        ({"commit": "c2"}, "code"),
        ({"sql": "f2"}, "models"),
        ({"definition": "2"}, "definition"),
        ({}, None),
        ({"other": "t2"}, None),
    ],
)
def test_the_comparison_finds_what_was_planted_and_nothing_else(
    settings: Settings, database: Database, changes: dict[str, str], group: str | None
) -> None:
    """A cause that is not one sends the auditor after the wrong department."""
    builds = _Builds(settings, database)
    builds.publish(1, "5")
    builds.publish(2, "6", **changes)
    found = Comparer(database, builds.store).compare("HLT-01", 1, 2)
    groups = ("data", "decisions", "rules", "contracts", "definition", "models", "code")
    assert [name for name in groups if getattr(found, name)] == ([group] if group else [])
    assert [(one.before[:1], one.after[:1]) for one in found.values] == [("5", "6")]
    assert found.elsewhere == (1 if "other" in changes else 0)
    assert found.causes is (group is not None)
    if "delivery" in changes:
        assert found.first_tables == ("core.fct",)


def test_the_comparison_admits_what_it_cannot_know(
    settings: Settings, database: Database, browser: Any
) -> None:
    """A build that was not kept must not look like one without differences."""
    builds = _Builds(settings, database)
    builds.publish(2, "6")
    found = Comparer(database, builds.store).compare("HLT-01", 1, 2)
    assert found.missing == (1,)
    builds.publish(1, "6")
    same = browser(AUDITOR).get("/compare?code=HLT-01&before=1&after=2").text
    assert "Nothing differs" in same
    assert json.loads(builds.store.get_bytes(EVIDENCE, f"builds/{1:020d}.json"))["snapshot_id"] == 1
