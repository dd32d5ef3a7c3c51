"""The outbox and what leaves it: nothing lost, nothing twice, whoever is away."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cityledger.collector.app import create_app
from cityledger.collector.tokens import Scope, TokenFile
from cityledger.errors import BadInputError, CityLedgerError
from cityledger.ledger.event_store import EventStore
from cityledger.ledger.forward import Forwarder
from cityledger.ledger.intake import Intake
from cityledger.ledger.outbox import Outbox
from cityledger.settings import LineageTarget, Settings
from cityledger.storage.database import Database
from cityledger_stack.ports import pick
from pydantic import SecretStr

from tests.unit.ledger.lineage_events import run_event

Count = Callable[[str], int]
EVENTS = [run_event("land", run=number, at=number) for number in range(1, 9)]


@contextmanager
def _collector(settings: Settings, port: int) -> Iterator[None]:
    """A real collector on a port, which goes away when the block ends."""
    config = uvicorn.Config(create_app(settings), port=port, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def _producer(settings: Settings, port: int, secret: str) -> Settings:
    url = SecretStr(f"http://{secret}@127.0.0.1:{port}")
    return settings.model_copy(update={"collector_url": url, "database_url": None})


def test_a_collector_that_goes_away_and_returns(
    settings: Settings, database: Database, count: Count
) -> None:
    """Prevents lineage from being lost, or counted twice, when the collector is restarted."""
    secret, port = TokenFile(settings.collector_tokens).create("task", [Scope.WRITE]), pick()
    intake = Intake(_producer(settings, port, secret), rest=0.0)
    assert [intake.accept(raw) for raw in EVENTS[:2]] == [False, False]
    with _collector(settings, port):
        assert intake.accept(EVENTS[2])
        assert count("lineage_event") == 3
    assert not intake.accept(EVENTS[3])
    assert not intake.accept(b"not even JSON")
    assert not intake.accept(EVENTS[0])  # once more, after it was delivered
    with _collector(settings, port):
        assert intake.flush_outbox() == 3
        assert intake.accept(EVENTS[4])
    assert count("lineage_event") == 6
    assert intake.waiting() == []


def test_events_together(settings: Settings, database: Database, count: Count) -> None:
    """Prevents events that are sent in one go from being lost together, or from ending early."""
    small = settings.model_copy(update={"collector_body_mb": 1})
    secret, port = TokenFile(settings.collector_tokens).create("task", [Scope.WRITE]), pick()
    intake = Intake(_producer(settings, port, secret), rest=0.0)
    assert not intake.accept_all(EVENTS[:2])
    assert len(intake.waiting()) == 2
    with _collector(small, port):
        assert intake.accept_all(EVENTS[2:4])
        huge = run_event("n" * 1_200_000, run=1)
        assert not intake.accept_all([huge, EVENTS[4], EVENTS[5]])
        assert count("lineage_event") == 6
    assert intake.waiting() == []
    (aside,) = (intake.outbox / "refused").iterdir()
    assert aside.read_bytes() == huge


def test_wrong_token_keeps_everything(settings: Settings, database: Database, count: Count) -> None:
    """Prevents a rotated token from costing the lineage of the days until somebody notices."""
    port = pick()
    intake = Intake(_producer(settings, port, "cl_old"), rest=0.0)
    with _collector(settings, port):
        assert not intake.accept(EVENTS[0])
        with pytest.raises(CityLedgerError, match="refuses our token"):
            intake.flush_outbox()
        secret = TokenFile(settings.collector_tokens).create("new", [Scope.WRITE])
        assert Intake(_producer(settings, port, secret)).flush_outbox() == 1
    assert count("lineage_event") == 1


def test_event_that_is_too_large_is_put_aside(
    settings: Settings, database: Database, count: Count
) -> None:
    """Prevents one huge event from holding up all that come after it."""
    small = settings.model_copy(update={"collector_body_mb": 1})
    secret, port = TokenFile(settings.collector_tokens).create("task", [Scope.WRITE]), pick()
    intake = Intake(_producer(settings, port, secret), rest=0.0)
    huge = run_event("n" * 1_200_000, run=1)
    for raw in (EVENTS[0], huge, EVENTS[1]):
        assert not intake.accept(raw)
    with _collector(small, port):
        assert intake.flush_outbox() == 2
    assert count("lineage_event") == 2
    (aside,) = (intake.outbox / "refused").iterdir()
    assert aside.read_bytes() == huge


def test_producer_does_not_wait_for_what_is_away(settings: Settings) -> None:
    """Prevents each of a thousand events from waiting for a connection that never comes."""
    intake = Intake(_producer(settings, 1, "x"), rest=60.0)
    attempts = []
    real = intake._sender.send
    intake._sender.send = lambda raws: attempts.append(len(raws)) or real(raws)  # type: ignore
    for raw in EVENTS:
        assert not intake.accept(raw)
    assert attempts == [1]
    assert [path.read_bytes() for path in intake.waiting()] == EVENTS


def test_url_without_a_host_is_told(settings: Settings) -> None:
    """Prevents a mistyped address from being taken for a collector that is down."""
    broken = settings.model_copy(update={"collector_url": SecretStr("collector:5000")})
    intake = Intake(broken)
    assert not intake.accept(EVENTS[0])
    with pytest.raises(CityLedgerError, match="cannot be read"):
        intake.flush_outbox()


def _put_and_die(folder: Path, raw: bytes) -> None:
    box = Outbox(folder)
    box.put(raw)
    os.kill(os.getpid(), 9)


def test_killed_producer_leaves_whole_events_only(tmp_path: Path) -> None:
    """Prevents half an event, or a lost one, after a `kill -9` in the middle of a task."""
    process = multiprocessing.get_context("fork").Process(
        target=_put_and_die, args=(tmp_path, EVENTS[0])
    )
    process.start()
    process.join()
    box = Outbox(tmp_path)
    half = tmp_path / "00000000000000000001-x.7.part"
    half.write_bytes(b'{"hal')
    assert [path.read_bytes() for path in box.waiting()] == [EVENTS[0]]
    box.tidy()
    assert half.exists()  # somebody may be writing it just now
    os.utime(half, (0, 0))
    box.tidy()
    assert not half.exists()


class _Catalogue(ThreadingHTTPServer):
    """Another catalogue: remembers what it got, and answers as a test wants."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[bytes] = []
        self.tokens: set[str | None] = set()
        self.answers: Callable[[bytes], int] = lambda _: 201
        self.hangs_up_above = 1 << 40


class _Handler(BaseHTTPRequestHandler):
    server: _Catalogue

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        if length > self.server.hangs_up_above:
            self.send_response(413)
            self.send_header("Content-Length", "0")
            self.end_headers()
            self.close_connection = True
            return
        body = self.rfile.read(length)
        status = self.server.answers(body)
        if status < 300:
            self.server.got.append(body)
        self.server.tokens.add(self.headers["Authorization"])
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def catalogue() -> Iterator[_Catalogue]:
    server = _Catalogue()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _target(server: _Catalogue, name: str = "other", **more: Any) -> LineageTarget:
    url = f"http://127.0.0.1:{server.server_address[1]}"
    return LineageTarget(name=name, url=url, token=SecretStr("secret"), **more)


def test_other_catalogues_get_every_event_once(database: Database, catalogue: _Catalogue) -> None:
    """Prevents a city's own catalogue from missing what happened while it was away."""
    store, forwarder = EventStore(database), Forwarder(database, _target(catalogue))
    store.append(EVENTS[:3])
    while not forwarder.step():
        pass
    assert catalogue.got == EVENTS[:3]
    assert catalogue.tokens == {"Bearer secret"}
    catalogue.answers = lambda body: 503 if body == EVENTS[4] else 201
    store.append(EVENTS[3:6])
    assert forwarder.step()
    standing = forwarder.standing()
    assert (standing.waiting, standing.error) == (2, "HTTP 503")
    assert forwarder.step()  # it is given a rest
    catalogue.answers = lambda _: 201
    again = Forwarder(database, _target(catalogue))  # another process, or this one restarted
    while not again.step():
        pass
    assert catalogue.got == EVENTS[:6]
    assert again.standing().error is None


def test_what_a_catalogue_refuses_does_not_stop_it(
    database: Database, catalogue: _Catalogue
) -> None:
    """Prevents one event that another catalogue cannot read from ending its feed."""
    catalogue.answers = lambda body: 422 if body == b"{}" else 201
    EventStore(database).append([EVENTS[0], b"{}", EVENTS[1]])
    forwarder = Forwarder(database, _target(catalogue))
    forwarder.step()
    assert catalogue.got == EVENTS[:2]
    assert (forwarder.standing().waiting, forwarder.standing().refused) == (0, 1)


def test_a_refusal_is_heard_while_the_body_is_still_sent(
    database: Database, catalogue: _Catalogue
) -> None:
    """Prevents a huge event, refused by its length, from being sent for ever as if nobody heard."""
    catalogue.hangs_up_above = 1_000_000
    huge = run_event("n" * 12_000_000, run=1)  # more than the sockets' buffers take
    EventStore(database).append([EVENTS[0], huge, EVENTS[1]])
    forwarder = Forwarder(database, _target(catalogue))
    forwarder.step()
    assert catalogue.got == EVENTS[:2]
    assert (forwarder.standing().waiting, forwarder.standing().refused) == (0, 1)


def test_slow_catalogue_blocks_nobody(database: Database, catalogue: _Catalogue) -> None:
    """Prevents a catalogue that hangs from stopping the ledger, or the other catalogues."""
    go_on = threading.Event()
    catalogue.answers = lambda _: 201 if go_on.wait(30) else 500
    store = EventStore(database)
    store.append(EVENTS[:1])
    slow = Forwarder(database, _target(catalogue, "slow"))
    worker = threading.Thread(target=slow.step)
    worker.start()
    begun = time.monotonic()
    store.append(EVENTS[1:4])
    quick_server = _Catalogue()
    threading.Thread(target=quick_server.serve_forever, daemon=True).start()
    Forwarder(database, _target(quick_server, "quick")).step()
    assert quick_server.got == EVENTS[:4]
    assert time.monotonic() - begun < 20
    assert catalogue.got == []
    go_on.set()
    worker.join()
    quick_server.shutdown()
    quick_server.server_close()
    assert catalogue.got == EVENTS[: len(catalogue.got)] != []


def test_target_that_is_no_http_url_is_told(database: Database) -> None:
    """Prevents a token from being written to a file that somebody named as a target."""
    with pytest.raises(BadInputError, match="no http URL"):
        Forwarder(database, LineageTarget(name="x", url="file:///etc/passwd"))


def test_targets_come_from_one_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a documented setting that is not read."""
    given = [{"name": "datahub", "url": "https://d", "path": "/x", "token": "t"}]
    monkeypatch.setenv("CITYLEDGER_LINEAGE_TARGETS", json.dumps(given))
    (target,) = Settings().lineage_targets
    assert (target.name, target.path, str(target.token)) == ("datahub", "/x", "**********")
