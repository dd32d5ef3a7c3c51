"""Security headers: on pages, files, errors and programs' interfaces alike."""

from __future__ import annotations

import re
from typing import Any

import pytest
from cityledger.collector.app import create_app as create_collector
from cityledger.console.headers import POLICY
from cityledger.console.rendering import HERE
from cityledger.console.standalone import PREFIX, create_standalone
from cityledger.settings import Settings
from cityledger.web_headers import BARE_POLICY
from pydantic import SecretStr
from starlette.testclient import TestClient

WANTED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
NOWHERE = SecretStr("postgresql://u:p@127.0.0.1:9/none")


@pytest.fixture
def console(tmp_path: Any) -> TestClient:
    app = create_standalone(Settings(home=tmp_path, database_url=None))
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{PREFIX}/login", 200),
        ("GET", f"{PREFIX}/datasets", 303),
        ("GET", f"{PREFIX}/api/city", 401),
        ("POST", f"{PREFIX}/login", 403),
        ("GET", f"{PREFIX}/static/console.css", 200),
        ("GET", f"{PREFIX}/static/console.js", 200),
        ("GET", f"{PREFIX}/static/noto-sans-sc.ttf", 200),
        ("GET", f"{PREFIX}/static/nothing", 404),
        ("GET", f"{PREFIX}/nothing", 404),
        ("DELETE", f"{PREFIX}/datasets", 405),
        ("GET", f"{PREFIX}/healthz", 503),
        ("GET", "/", 307),
        ("GET", "/nothing", 404),
        ("GET", f"{PREFIX}/datasets/%00", 303),
    ],
)
def test_every_answer_of_the_console_has_them(
    console: TestClient, method: str, path: str, status: int
) -> None:
    """One answer without them, an error for instance, is where the attack is put."""
    answer = console.request(method, path)
    assert answer.status_code == status
    assert WANTED.items() <= dict(answer.headers).items()
    policy = POLICY if path.startswith(PREFIX) else BARE_POLICY
    assert answer.headers["content-security-policy"] == policy
    assert answer.headers["cache-control"]
    assert "strict-transport-security" not in answer.headers  # nothing may say it in the clear


def test_under_tls_browsers_are_told_to_stay(console: TestClient) -> None:
    """The first request in the clear of the next visit is the one that is intercepted."""
    secure = TestClient(console.app, base_url="https://console.example")
    assert "max-age=" in secure.get(f"{PREFIX}/login").headers["strict-transport-security"]
    cookies = secure.get(f"{PREFIX}/login?lang=en").headers.get_list("set-cookie")
    assert cookies
    assert all("Secure" in one for one in cookies)


def test_unexpected_errors_have_them_too(
    console: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page of a failure quotes what was sent in many frameworks; it must not run."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret value")

    monkeypatch.setattr("cityledger.console.login._form", broken)
    answer = console.get(f"{PREFIX}/login")
    assert answer.status_code == 500
    assert answer.headers["content-security-policy"] == POLICY
    assert "a secret value" not in answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [("/openapi.json", 200), ("/api/v1/namespaces", 401), ("/nothing", 404)],
)
def test_every_answer_of_the_collector_has_them(settings: Settings, path: str, status: int) -> None:
    """A browser that is led to an event must not run what a producer wrote into it."""
    client = TestClient(create_collector(settings), raise_server_exceptions=False)
    answer = client.get(path)
    assert answer.status_code == status
    assert WANTED.items() <= dict(answer.headers).items()
    assert answer.headers["content-security-policy"] == BARE_POLICY


def test_unexpected_errors_of_the_collector_tell_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error's text holds the event that broke it, and a log is read by many."""

    def broken(_: object) -> frozenset[Any]:
        raise RuntimeError(" ".join(("a", "secret", "value")))  # the line itself is logged

    client = TestClient(create_collector(settings, allow=broken), raise_server_exceptions=False)
    answer = client.get("/api/v1/namespaces")
    assert (answer.status_code, answer.json()["code"]) == (500, 500)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "a secret value" not in answer.text + caplog.text
    assert "unexpected RuntimeError at /api/v1/namespaces" in caplog.text


def test_the_policy_allows_no_script_of_a_page() -> None:
    """A policy that somebody loosened to get a chart to work lets injected scripts run as well."""
    directives = dict(part.split(" ", 1) for part in POLICY.split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == "'self'"
    assert directives["script-src-attr"] == "'none'"
    assert directives["style-src"] == "'self'"
    assert directives["connect-src"] == "'self'"
    assert directives["base-uri"] == "'none'"
    assert "unsafe-eval" not in POLICY
    assert not any("http" in value or "*" in value for value in directives.values())


def test_templates_hold_no_inline_script_or_style() -> None:
    """What the policy forbids is dead on the page, and nobody notices until somebody needs it."""
    inline = re.compile(
        r"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/json\")|\son[a-z]+\s*=\s*[\"']|"
        r"javascript:|<style",
        re.IGNORECASE,
    )
    found = {
        path.name: inline.findall(path.read_text("utf-8"))
        for path in (HERE / "templates").glob("*.html")
    }
    assert len(found) > 30
    assert {name: hits for name, hits in found.items() if hits} == {}
