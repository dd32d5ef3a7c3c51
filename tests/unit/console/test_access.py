"""Who gets in: every route asks who it is, and a department finds nothing of another one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cityledger.console.app import create_app
from cityledger.console.forms import check
from cityledger.console.identity import current_person
from cityledger.people import Person, Role
from cityledger.settings import Settings
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

OPEN = {"/static/charts.js", "/static/noto-sans-sc.ttf", "/static/{name}", "/healthz"}


def dependencies(dependant: Dependant) -> Iterator[Any]:
    for one in dependant.dependencies:
        yield one.call
        yield from dependencies(one)


def routes(app: FastAPI) -> list[APIRoute]:
    return [one for one in app.routes if isinstance(one, APIRoute)]


def address(route: APIRoute) -> str:
    """A path of the route with something in its places."""
    return route.path_format.format(**dict.fromkeys(route.param_convertors, "1"))


def test_the_app_has_no_route_but_its_own(app: FastAPI) -> None:
    """FastAPI's own documentation pages answer without asking who it is, and load from a CDN."""
    own = {id(one) for one in routes(app)}
    others = [getattr(one, "path", one) for one in app.routes if id(one) not in own]
    assert others == ["/metrics"]  # asks for a token or the address: tests/observability


def test_every_route_asks_who_it_is(app: FastAPI) -> None:
    """Airflow does not protect the routes of a plug-in: one that forgets to ask is public."""
    asked = {one.path for one in routes(app) if current_person in dependencies(one.dependant)}
    assert {one.path for one in routes(app)} - asked == OPEN


def test_every_route_checks_the_origin_of_forms(app: FastAPI) -> None:
    """A form without the check lets any web site act in the name of a steward who visits it."""
    for route in routes(app):
        assert check in dependencies(route.dependant), route.path


def test_nobody_gets_401_on_every_route(settings: Settings) -> None:
    """The walk over dependencies could be fooled; asking every route cannot."""
    app = create_app(settings, identify=lambda _: None)
    client = TestClient(app, raise_server_exceptions=False)
    for route in routes(app):
        if route.path not in OPEN and "GET" in route.methods:
            assert client.get(address(route)).status_code == 401, route.path


def test_nobody_is_sent_to_the_login_and_back(settings: Settings) -> None:
    """A dead end after the session has expired makes people open the page by hand again."""
    app = create_app(settings, identify=lambda _: None, login_address=lambda _: "/login")
    client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
    answer = client.get("/indicators")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert client.get("/api/indicators").status_code == 401


def test_the_public_sees_published_indicators_only(browser: Any, people: Any, story: Any) -> None:
    """Scores and deliveries of departments are not published."""
    client = browser(people.public)
    for path in ("/indicators", "/indicators/SVC-02", "/api/indicators"):
        assert client.get(path).status_code == 200, path
    for path in (
        "/departments",
        "/departments/health",
        "/datasets",
        "/datasets/health.outpatient_visits",
        f"/runs/{story.health}",
        f"/runs/{story.health}/examples",
        "/api/city",
        "/api/departments/health",
        f"/api/runs/{story.health}",
    ):
        assert client.get(path).status_code == 403, path
    assert client.get("/", follow_redirects=False).headers["location"] == "/indicators"
    assert 'href="/datasets' not in client.get("/indicators/SVC-02").text


def test_a_department_sees_itself(browser: Any, people: Any, story: Any) -> None:
    """A department that is locked out of its own page can't correct its data."""
    client = browser(people.health)
    assert client.get("/").url.path == "/departments/health"
    for path in (
        "/departments/health",
        "/datasets/health.outpatient_visits",
        f"/runs/{story.health}",
        "/api/datasets/health.outpatient_visits",
    ):
        assert client.get(path).status_code == 200, path


def test_another_department_looks_like_nothing(browser: Any, people: Any, story: Any) -> None:
    """A 403 would tell that the thing exists; the pages of what does not exist must be the same."""
    client = browser(people.transport)
    for path, nothing in (
        ("/departments/health", "/departments/treasure"),
        ("/datasets/health.outpatient_visits", "/datasets/health.treasures"),
        (
            "/datasets/health.outpatient_visits/rules/health.outpatient_visits.sex.type",
            "/datasets/health.treasures/rules/health.treasures.sex.type",
        ),
        (f"/runs/{story.health}", "/runs/999999"),
        (f"/runs/{story.health}/examples", "/runs/999999/examples"),
        ("/api/departments/health", "/api/departments/treasure"),
        ("/api/datasets/health.outpatient_visits", "/api/datasets/health.treasures"),
        (f"/api/runs/{story.health}", "/api/runs/999999"),
    ):
        hidden, absent = client.get(path), client.get(nothing)
        assert (hidden.status_code, absent.status_code) == (404, 404), path
        assert "门诊" not in hidden.text, path
        assert "Health Commission" not in hidden.text, path
    listed = client.get("/datasets").text
    assert "metro_trips" in listed
    assert "outpatient" not in listed
    assert client.get("/api/city").status_code == 403


def test_a_department_user_without_a_department_sees_nothing(
    settings: Settings, browser: Any, story: Any
) -> None:
    """An account that somebody forgot to finish must not see everything instead."""
    client = browser(Person("new", frozenset({Role.DEPARTMENT})))
    assert client.get("/datasets/health.outpatient_visits").status_code == 404
    page = client.get("/departments")
    assert page.status_code == 200
    assert "No department to show." in page.text


@pytest.mark.parametrize("path", ["/healthz", "/static/console.css", "/static/console.js"])
def test_what_needs_no_identity_answers(browser: Any, database: Any, path: str) -> None:
    """The login page needs its stylesheet before anybody is logged in."""
    assert browser(None).get(path).status_code == 200


def test_static_serves_its_own_files_only(browser: Any) -> None:
    """A path out of the folder would hand out settings and keys."""
    for name in ("..%2Fapp.py", "....//app.py", "console.css%00", "base.html", "../secret.py"):
        assert browser(None).get(f"/static/{name}").status_code in (401, 404), name
