"""Weaknesses that were found once and must not come back."""

from __future__ import annotations

import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path

import pytest
from cityledger.cli.main import app as cli
from cityledger.collector.app import create_app
from cityledger.collector.http import this_machine
from cityledger.collector.tokens import Scope, TokenFile
from cityledger.console import accounts as accounts_module
from cityledger.console.accounts import Account, Accounts
from cityledger.console.sessions import LIFETIME
from cityledger.console.standalone import create_standalone
from cityledger.errors import BadInputError, UnavailableError
from cityledger.people import Role
from cityledger.settings import Settings
from starlette.testclient import TestClient
from typer.testing import CliRunner

PASSWORD = "correct horse battery"
LOGIN = "/cityledger/login"
TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')


# -- secrets on the network -------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "ledger.example"])  # noqa: S104
def test_the_collector_does_not_serve_tokens_in_the_clear(host: str) -> None:
    """Whoever listens on the network would read the bearer token of every producer."""
    result = CliRunner().invoke(cli, ["ledger", "serve", "--host", host])
    assert isinstance(result.exception, BadInputError)
    assert result.exception.code == "unencrypted_login"


def test_a_collector_without_tokens_stays_on_this_machine() -> None:
    """A ledger that anybody on the network may write to proves nothing."""
    result = CliRunner().invoke(cli, ["ledger", "serve", "--no-auth", "--host", "192.0.2.1"])
    assert result.exit_code == 2


# -- a browser on the same machine ------------------------------------------------------------


@pytest.fixture
def open_collector(settings: Settings) -> TestClient:
    """A collector with ``--no-auth``, as a program on this machine reaches it."""
    app = create_app(settings, allow=this_machine)
    return TestClient(app, base_url="http://127.0.0.1:5000")


@pytest.mark.parametrize("declared", ["text/plain", "application/x-www-form-urlencoded", None])
@pytest.mark.parametrize("path", ["/lineage", "/lineage/batch"])
def test_a_web_site_cannot_write_events(
    open_collector: TestClient, path: str, declared: str | None
) -> None:
    """A site that the engineer visits posts to 127.0.0.1 without asking, if it is no JSON."""
    headers = {"content-type": declared} if declared else {}
    answer = open_collector.post(f"/api/v1{path}", content=b"{}", headers=headers)
    assert answer.status_code == 415


def test_a_page_is_no_program(open_collector: TestClient) -> None:
    """Browsers name the page that asks; a producer of events has none."""
    headers = {"content-type": "application/json", "origin": "https://evil.example"}
    assert open_collector.post("/api/v1/lineage", json={}, headers=headers).status_code == 403
    assert open_collector.put("/api/v1/namespaces/x", json={}, headers=headers).status_code == 403


def test_a_rebound_name_reads_nothing(open_collector: TestClient) -> None:
    """A site whose name suddenly resolves to 127.0.0.1 would read the whole ledger as its own."""
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example"):
        answer = open_collector.get("/api/v1/namespaces", headers={"host": host})
        assert answer.status_code == 403, host


def test_programs_of_this_machine_still_get_in(open_collector: TestClient) -> None:
    """A check that turns the producers away as well would be switched off."""
    answer = open_collector.post("/api/v1/lineage", json={"eventType": "START"})
    assert answer.status_code == 400  # kept, though it is no event
    for host in ("localhost:5000", "[::1]:5000", "127.0.0.1"):
        answer = open_collector.get("/api/v1/namespaces", headers={"host": host})
        assert answer.status_code == 200, host


# -- tokens and accounts ----------------------------------------------------------------------


def test_tokens_made_at_once_are_all_kept(tmp_path: Path) -> None:
    """Two administrators at once: one of the tokens was shown and never valid."""
    path = tmp_path / "tokens.json"
    with ThreadPoolExecutor(8) as pool:
        made = [pool.submit(TokenFile(path).create, f"t{n}", [Scope.WRITE]) for n in range(24)]
    secrets = [one.result() for one in made]
    assert [TokenFile(path).scopes(secret) for secret in secrets] == [{Scope.WRITE}] * 24


def test_a_flood_of_logins_takes_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each guess takes 32 MiB: forty at once took the pages down."""
    running, most, started = [], [], threading.Event()
    go_on = threading.Event()

    def slow(*_: object, **__: object) -> bytes:
        running.append(1)
        most.append(len(running))
        started.set()
        go_on.wait(10)
        running.pop()
        return b"x"

    monkeypatch.setattr(accounts_module.hashlib, "scrypt", slow)
    account = Account(roles=frozenset({Role.STEWARD}), password="00")
    with ThreadPoolExecutor(40) as pool:
        guesses = [pool.submit(account.accepts, "a guess") for _ in range(40)]
        assert started.wait(5)
        refused = [one.exception() for one in islice(as_completed(guesses, timeout=10), 24)]
        go_on.set()
    assert max(most) <= 2
    assert [type(error) for error in refused] == [UnavailableError] * 24
    assert account.accepts("a guess") is False  # everything was given back


# -- sessions ---------------------------------------------------------------------------------


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    Accounts(tmp_path).add("li", [Role.STEWARD], [], PASSWORD)
    app = create_standalone(Settings(home=tmp_path, database_url=None))
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False)


def form_token(client: TestClient, path: str = LOGIN) -> str:
    found = TOKEN.search(client.get(path).text)
    assert found
    return found[1]


def log_in(client: TestClient) -> str:
    """The session's cookie."""
    form = {"name": "li", "password": PASSWORD, "form_token": form_token(client)}
    assert client.post(LOGIN, data=form).status_code == 303
    return str(client.cookies["cityledger_session"])


def opens(client: TestClient, cookie: str) -> bool:
    stranger = TestClient(client.app, follow_redirects=False)
    headers = {"cookie": f"cityledger_session={cookie}"}
    return stranger.get("/cityledger/datasets", headers=headers).status_code == 200


def test_a_copied_session_ends_with_the_logout(client: TestClient) -> None:
    """Who copied the cookie kept reading for twelve hours after the owner had logged out."""
    cookie = log_in(client)
    assert opens(client, cookie)
    token = form_token(client, "/cityledger/datasets")
    assert client.post("/cityledger/logout", data={"form_token": token}).status_code == 303
    assert not opens(client, cookie)


def test_logging_in_again_ends_the_former_session(client: TestClient) -> None:
    """A cookie planted before the login, or forgotten in a backup, must not stay good."""
    first = log_in(client)
    second = log_in(client)
    assert first != second
    assert not opens(client, first)
    assert opens(client, second)


def test_a_restart_keeps_sessions_and_a_lost_folder_ends_them(
    client: TestClient, tmp_path: Path
) -> None:
    """Open sessions survive a new process; where nothing is known of them nobody is let in."""
    cookie = log_in(client)
    again = create_standalone(Settings(home=tmp_path, database_url=None))
    assert opens(TestClient(again), cookie)
    for file in (tmp_path / "console/sessions").iterdir():
        file.unlink()
    assert not opens(TestClient(again), cookie)


def test_expired_sessions_leave_nothing_behind(client: TestClient, tmp_path: Path) -> None:
    """One file a login, for ever, fills the disk of a city in some years."""
    log_in(client)
    folder = tmp_path / "console/sessions"
    (old,) = folder.iterdir()
    long_ago = time.time() - LIFETIME - 60
    os.utime(old, (long_ago, long_ago))
    client.cookies.clear()
    log_in(client)
    assert old not in set(folder.iterdir())
    assert len(list(folder.iterdir())) == 1
