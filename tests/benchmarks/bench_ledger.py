"""How fast the ledger takes lineage events and answers questions about them.

Events go to a real collector over HTTP, whose database commits to disk (``synchronous_commit`` and
``fsync`` on). The graph is one of a million edges, in layers as pipelines are, with hubs.

CPU seconds, ours and the database's, tell more than times on a machine that others use, too.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import psutil
import uvicorn
from cityledger.console.app import create_app
from cityledger.console.readiness import get_ready
from cityledger.ledger.graph import LineageGraph, Node, Towards
from cityledger.ledger.indexer import Indexer
from cityledger.people import Person, Role
from cityledger.settings import get_settings
from cityledger.storage.address import DatabaseAddress
from cityledger.storage.database import Database
from cityledger_stack.account import server_account
from cityledger_stack.ports import pick
from cityledger_stack.postgres import Postgres
from cityledger_stack.servers import running
from playwright.sync_api import sync_playwright
from pydantic import SecretStr
from sqlalchemy import text

from tests.benchmarks.results import circumstances, keep

EVENTS = 20_000
SINGLE = 1_500
BATCH = 500
LAYERS, NODES, EDGES = 40, 300_000, 1_000_000
QUESTIONS = 200
DEPTH = 10
RATE_BATCH, RATE_SINGLE, RATE_INDEX = 1_000, 300, 1_000
QUESTION_MS = 100.0
PAGE_NODES, PAGE_EDGES, PAGE_MS, PAGE_TURNS = 2_000, 4_000, 1_000.0, 7


class Measure(NamedTuple):
    """One figure, and the limit that it keeps or breaks."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = True

    @property
    def verdict(self) -> str:
        """In words; empty without a limit."""
        if self.limit is None:
            return ""
        kept = self.value >= self.limit if self.at_least else self.value <= self.limit
        return f"{'≥' if self.at_least else '≤'} {self.limit:,.0f} {'kept' if kept else 'MISSED'}"


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, print a table and write ``ledger.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=EVENTS, help="in batches")
    parser.add_argument("--single", type=int, default=SINGLE, help="one by one")
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--edges", type=int, default=EDGES)
    parser.add_argument("--questions", type=int, default=QUESTIONS)
    sizes = parser.parse_args(arguments)
    with _durable() as url:
        database = Database(DatabaseAddress.parse(url))
        database.migrate()
        measures = [*_taking(url, database, sizes.events, sizes.single)]
        measures += _indexing(database)
        measures += _asking(database, sizes.nodes // LAYERS, sizes.edges, sizes.questions)
        measures += _page(url, database)
        database.close()
    result = {
        **circumstances(),
        "sizes": vars(sizes),
        "measures": [one._asdict() | {"verdict": one.verdict} for one in measures],
    }
    keep("ledger", result)
    print(f"load {result['load']} on {result['cpus']} processors")
    for one in measures:
        print(f"{one.name:<50}{one.value:>12,.1f} {one.unit:<10}{one.verdict}")
    return result


@contextlib.contextmanager
def _durable() -> Iterator[str]:
    """A database that survives a power cut, unlike the one that tests share."""
    with tempfile.TemporaryDirectory(prefix="cityledger-bench-") as folder:
        Path(folder).chmod(0o711)
        server = Postgres(
            data_dir=Path(folder) / "pg", port=pick(), password="bench", account=server_account()
        )
        with running(server, logs=Path(folder)):
            yield f"postgresql://postgres:bench@127.0.0.1:{server.port}/postgres"


@contextlib.contextmanager
def _collector(url: str) -> Iterator[tuple[int, psutil.Process]]:
    """A collector in a process of its own, as in production."""
    number = pick()
    environment = os.environ | {"CITYLEDGER_DATABASE_URL": url}
    code = "from cityledger.cli.main import main; main()"
    command = [sys.executable, "-c", code, "ledger", "serve", "--no-auth", "--port", str(number)]
    process = subprocess.Popen(command, env=environment)
    try:
        _wait_for(number)
        yield number, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", "/api/v1/health")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.2)
    raise TimeoutError("the collector does not come up")


def _event(number: int) -> bytes:
    """An event of ordinary size (1.5 kB): one input, one output, a schema of eight columns."""
    facet = {"_producer": "urn:bench", "_schemaURL": "urn:bench:facet"}
    columns = [{"name": f"column_{one}", "type": "VARCHAR"} for one in range(8)]
    output = {
        "namespace": "s3://lake",
        "name": f"table_{number % 997}",
        "facets": {
            "version": facet | {"datasetVersion": str(number)},
            "schema": facet | {"fields": columns},
        },
    }
    run = str(UUID(int=number // 2 + (7 << 76) + (2 << 62)))
    return json.dumps(
        {
            "eventType": "START" if number % 2 == 0 else "COMPLETE",
            "eventTime": f"2026-04-01T00:00:00.{number:06d}Z",
            "producer": "urn:bench",
            "schemaURL": "urn:bench:event",
            "run": {"runId": run, "facets": {"note": facet | {"text": "x" * 400}}},
            "job": {"namespace": "bench", "name": f"job_{number // 2 % 499}"},
            "inputs": [{"namespace": "s3://lake", "name": f"table_{number * 7 % 997}"}],
            "outputs": [output],
        }
    ).encode()


def _post(connection: http.client.HTTPConnection, path: str, body: bytes) -> None:
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status in {200, 201}, answer.status


def _post(port: int, path: str, bodies: Sequence[bytes]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for body in bodies:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status not in {200, 201}:
            raise RuntimeError(f"the collector answers {answer.status}")


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _taking(url: str, database: Database, events: int, single: int) -> Iterator[Measure]:
    """Events over HTTP: in batches, one by one from one client, and from eight at once."""
    with database.begin() as connection:
        for name in ("synchronous_commit", "fsync"):
            if connection.scalar(text(f"SHOW {name}")) != "on":
                raise RuntimeError(f"the database runs without {name}: its rates mean nothing")
    made = [_event(number) for number in range(events + 3 * single)]
    batches = [
        b"[" + b",".join(made[start : min(start + BATCH, events)]) + b"]"
        for start in range(0, events, BATCH)
    ]
    alone, shared = made[events : events + single], made[events + single :]
    yield Measure("size of an event", len(made[0]), "bytes")
    with _collector(url) as (port, process):
        took = _seconds(lambda: _post(port, "/api/v1/lineage/batch", batches))
        yield Measure(f"durable, batches of {BATCH}", events / took, "events/s", RATE_BATCH)
        Indexer(database).catch_up()  # so that the next figure is not that of two things at once
        before = sum(process.cpu_times()[:2])
        took = _seconds(lambda: _post(port, "/api/v1/lineage", alone))
        used = sum(process.cpu_times()[:2]) - before
        yield Measure("durable, one by one, one client", single / took, "events/s", RATE_SINGLE)
        yield Measure("of it CPU of the collector", used / single * 1000, "ms/event")
        took = _seconds(lambda: _eight(port, shared))
        rate = len(shared) / took
        yield Measure("durable, one by one, eight clients", rate, "events/s", RATE_SINGLE)


def _eight(port: int, bodies: Sequence[bytes]) -> None:
    parts = [bodies[one::8] for one in range(8)]
    path = "/api/v1/lineage"
    threads = [threading.Thread(target=_post, args=(port, path, part)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _indexing(database: Database) -> Iterator[Measure]:
    """The graph made anew from all events."""
    indexer = Indexer(database)
    indexer.reindex()
    with database.begin() as connection:
        count = int(connection.scalar(text("SELECT count(*) FROM cityledger.lineage_event")) or 0)
    ours, theirs = time.process_time(), _server_cpu(database)
    took = _seconds(indexer.catch_up)
    ours, theirs = time.process_time() - ours, _server_cpu(database) - theirs
    yield Measure("indexing", count / took, "events/s")
    yield Measure("indexing, CPU time", count / (ours + theirs), "events/s", RATE_INDEX)
    yield Measure("of it Python", ours / count * 1e6, "µs/event")


def _server_cpu(database: Database) -> float:
    """CPU seconds of the database's processes for our connections, which stay open in the pool."""
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'cityledger'"
    with database.begin() as connection:
        pids = list(connection.scalars(text(query)))
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def _asking(database: Database, width: int, edges: int, questions: int) -> Iterator[Measure]:
    """Questions of depth 10 to a big graph, from nodes drawn at random."""
    _fill(database, width, edges)
    get_ready()  # as the console that asks such questions has done
    graph = LineageGraph(database)
    draw = random.Random(7)  # noqa: S311  a sample, not a secret
    with database.begin() as connection:
        first = int(connection.scalar(text("SELECT min(id) FROM cityledger.graph_node")) or 0)
        held = int(connection.scalar(text("SELECT count(*) FROM cityledger.graph_edge")) or 0)
    yield Measure("edges of the graph", held, "")
    ids = [first + draw.randrange(LAYERS * width) for _ in range(questions)]
    roots = graph.nodes_by_id(ids)
    for towards in (Towards.SOURCES, Towards.BOTH):
        for budget in (200, 2_000):
            yield from _questions(database, graph, [roots[one] for one in ids], towards, budget)


def _questions(
    database: Database, graph: LineageGraph, roots: Sequence[Node], towards: Towards, budget: int
) -> Iterator[Measure]:
    times, sizes = [], []
    ours, theirs = time.process_time(), _server_cpu(database)
    for root in roots:
        begun = time.perf_counter()
        answer = graph.around(root, depth=DEPTH, towards=towards, budget=budget)
        times.append((time.perf_counter() - begun) * 1000)
        sizes.append(len(answer.nodes))
    ours, theirs = time.process_time() - ours, _server_cpu(database) - theirs
    times.sort()
    name = f"{towards.value}, depth {DEPTH}, at most {budget:,} nodes"
    p99 = times[int(len(times) * 0.99)]
    yield Measure(f"{name}: nodes", statistics.mean(sizes), "")
    yield Measure(f"{name}: p50", statistics.median(times), "ms")
    yield Measure(f"{name}: p99", p99, "ms", QUESTION_MS, at_least=False)
    yield Measure(f"{name}: CPU", (ours + theirs) / len(roots) * 1000, "ms")


def _page(url: str, database: Database) -> Iterator[Measure]:
    """A graph of 2,000 nodes as a page: until it is sent, and until a browser has laid it out."""
    _fill(database, PAGE_NODES // LAYERS, PAGE_EDGES)
    with tempfile.TemporaryDirectory(prefix="cityledger-bench-") as home, _console(url, home) as at:
        address = f"{at}/ledger/graph?detail=objects&jobs=true&depth=50"
        answered = []
        for _ in range(PAGE_TURNS):
            begun = time.perf_counter()
            answer = httpx.get(address)
            answered.append((time.perf_counter() - begun) * 1000)
        answer.raise_for_status()
        yield Measure("page of the whole graph: boxes", answer.text.count('<g class="box'), "")
        yield Measure("page of the whole graph: size", len(answer.content) / 1000, "kB")
        yield Measure("page of the whole graph: answered", statistics.median(answered), "ms")
        loaded = _loaded(address)
        if loaded:
            usable = statistics.median(loaded)
            yield Measure("page of the whole graph: usable", usable, "ms", PAGE_MS, at_least=False)


@contextlib.contextmanager
def _console(url: str, home: str) -> Iterator[str]:
    """A served console for an auditor without login; its address."""
    settings = get_settings().model_copy(
        update={"home": Path(home), "database_url": SecretStr(url)},
    )
    auditor = Person(name="auditor", roles=frozenset({Role.AUDITOR}))
    port = pick()
    app = create_app(settings, identify=lambda _: auditor)
    get_ready()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def _loaded(address: str) -> list[float]:
    """Milliseconds from asking until a page is laid out; empty on a machine without a browser."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        return []
    times = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        for _ in range(PAGE_TURNS):
            begun = time.perf_counter()
            page.goto(address, wait_until="load")
            page.locator("svg.lineage").bounding_box()  # asks for the layout, so it is finished
            times.append((time.perf_counter() - begun) * 1000)
        browser.close()
    return times


def _fill(database: Database, width: int, edges: int) -> None:
    """Layers of jobs and datasets in turn; every hundredth node of a layer is a hub."""
    with database.begin() as connection:
        for name in ("namespace", "node", "edge", "run", "run_dataset"):
            connection.execute(text(f"TRUNCATE cityledger.graph_{name} RESTART IDENTITY"))
        connection.execute(
            text(
                "INSERT INTO cityledger.graph_namespace (digest, name, first_at, last_at)"
                " VALUES ('x', 'bench', now(), now())"
            )
        )
        connection.execute(
            text(
                """
                INSERT INTO cityledger.graph_node
                    (digest, kind, namespace, name, first_at, last_at)
                SELECT sha256(n::text::bytea), n / :width % 2, 1, 'node ' || n, now(), now()
                FROM generate_series(0, :nodes - 1) AS n ORDER BY n
                """
            ),
            {"width": width, "nodes": LAYERS * width},
        )
        connection.execute(
            text(
                """
                INSERT INTO cityledger.graph_edge (source, target, first_at, last_at)
                SELECT 1 + layer * :width + CASE WHEN e % 10 = 0 THEN a / 100 * 100 ELSE a END,
                       1 + (layer + 1) * :width + b, now(), now()
                FROM (
                    SELECT e, e % (:layers - 1) AS layer,
                           (random() * (:width - 1))::int AS a, (random() * (:width - 1))::int AS b
                    FROM generate_series(1, :edges) AS e
                ) drawn ON CONFLICT DO NOTHING
                """
            ),
            {"width": width, "layers": LAYERS, "edges": int(edges * 1.02)},
        )
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE cityledger.graph_edge, cityledger.graph_node"))


if __name__ == "__main__":
    main()
