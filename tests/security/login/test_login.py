"""Logging in to a real api-server: accounts of its database, and an OpenID provider's people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.security.login.conftest import PASSWORD, ApiServer
from tests.security.login.provider import Provider

pytestmark = [pytest.mark.login, pytest.mark.timeout(1500)]

#: group of a person → what pages of the console answer. 404: another's, 403: not for the role.
CONSOLE = {
    "cityledger-engineer": {"/departments/health": 200, "/audit": 403, "/datasets": 200},
    "cityledger-steward": {"/departments/health": 200, "/audit": 200, "/datasets": 200},
    "cityledger-auditor": {"/departments/health": 200, "/audit": 200, "/datasets": 200},
    "cityledger-department-health": {
        "/departments/health": 200,
        "/departments/transport": 404,
        "/audit": 403,
        "/datasets": 200,
    },
    "cityledger-public": {"/departments/health": 403, "/datasets": 403, "/indicators": 200},
}
#: … → what Airflow's own API answers: who may see DAGs, and who may change connections.
AIRFLOW = {
    "cityledger-engineer": {"/dags": 200, "/connections": 200},
    "cityledger-steward": {"/dags": 200, "/connections": 403},
    "cityledger-auditor": {"/dags": 200, "/connections": 403},
    "cityledger-department-health": {"/dags": 403, "/connections": 403},
    "cityledger-public": {"/dags": 403, "/connections": 403},
}


def claims(name: str, *groups: str) -> dict[str, Any]:
    return {
        "sub": f"id-of-{name}",
        "preferred_username": name,
        "given_name": name,
        "family_name": "Generated",
        "email": f"{name}@yunxi.example",
        "groups": list(groups),
    }


def log_in(server: ApiServer, wanted: str = "/cityledger/indicators") -> httpx.Client:
    """A browser that went to a page of the console, was sent to log in and came back."""
    browser = server.browser()
    page = browser.get(wanted)
    assert page.url.path == "/auth/login/", page.url
    browser.get(f"/auth/login/city?{page.url.query.decode()}")
    return browser


@pytest.mark.parametrize("group", CONSOLE)
def test_a_group_is_a_role(oidc_server: ApiServer, provider: Provider, group: str) -> None:
    """A department's clerk who becomes a steward by logging in sees every department's errors."""
    provider.claims = claims(f"one-of-{group}", group)
    browser = log_in(oidc_server)
    for path, status in CONSOLE[group].items():
        assert browser.get(f"/cityledger{path}").status_code == status, (group, path)
    for path, status in AIRFLOW[group].items():
        assert browser.get(f"/api/v2{path}").status_code == status, (group, path)


def test_the_way_leads_back_to_the_page(oidc_server: ApiServer, provider: Provider) -> None:
    """Whoever follows a link in a mail wants that page, not Airflow's front page."""
    provider.claims = claims("back", "cityledger-steward")
    browser = oidc_server.browser()
    page = browser.get("/cityledger/datasets?q=metro")
    page = browser.get(f"/auth/login/city?{page.url.query.decode()}")
    assert (page.status_code, page.url.path) == (200, "/cityledger/datasets")


def test_the_citys_own_groups_count(oidc_server: ApiServer, provider: Provider) -> None:
    """A directory with groups of other names would have to be rebuilt for us."""
    provider.claims = claims("own", "数据局", "something else")
    assert log_in(oidc_server).get("/cityledger/audit").status_code == 200


def test_without_a_group_one_is_the_public(oidc_server: ApiServer, provider: Provider) -> None:
    """Everybody of the city's administration can log in at its provider."""
    provider.claims = claims("nobody", "cityledger-department-nowhere", "admin", "Admin")
    browser = log_in(oidc_server)
    assert browser.get("/cityledger/indicators").status_code == 200
    assert browser.get("/cityledger/datasets").status_code == 403
    assert browser.get("/api/v2/dags").status_code == 403


def test_who_leaves_a_group_loses_the_role(oidc_server: ApiServer, provider: Provider) -> None:
    """Somebody who changed office would keep the old one's rights for ever."""
    provider.claims = claims("moved", "cityledger-auditor")
    assert log_in(oidc_server).get("/cityledger/audit").status_code == 200
    provider.claims = claims("moved", "cityledger-department-health")
    browser = log_in(oidc_server)
    assert browser.get("/cityledger/departments/health").status_code == 200
    assert browser.get("/cityledger/audit").status_code == 403


@pytest.fixture
def forging(provider: Provider) -> Iterator[Provider]:
    yield provider
    provider.forged, provider.audience = False, "cityledger"


@pytest.mark.parametrize("fault", ["forged", "audience", "subject", "name"])
def test_a_token_that_is_not_ours_opens_nothing(
    oidc_server: ApiServer, forging: Provider, fault: str
) -> None:
    """Signed by another key, made for another program, or saying nobody."""
    forging.claims = claims("thief", "cityledger-auditor")
    if fault == "forged":
        forging.forged = True
    elif fault == "audience":
        forging.audience = "another-program"
    else:
        del forging.claims[{"subject": "sub", "name": "preferred_username"}[fault]]
    browser = log_in(oidc_server)
    assert browser.get("/cityledger/audit").url.path == "/auth/login/"
    assert browser.get("/api/v2/dags").status_code == 401


def test_a_callback_without_its_state_is_refused(
    oidc_server: ApiServer, provider: Provider
) -> None:
    """A link of an attacker would log the victim in as the attacker (login CSRF)."""
    provider.claims = claims("victim", "cityledger-auditor")
    code = provider.authorize(
        {"code_challenge": [""], "state": ["x"], "redirect_uri": ["http://x"]}
    ).partition("code=")[2]
    browser = oidc_server.browser()
    browser.get(f"/auth/oauth-authorized/city?code={code}&state=x")
    assert browser.get("/api/v2/dags").status_code == 401


def test_a_local_accounts_name_cannot_be_taken(oidc_server: ApiServer, provider: Provider) -> None:
    """Who may choose a name at the provider would choose the administrator's."""
    oidc_server.airflow(
        "users", "create", "--username", "root", "--password", PASSWORD, "--role", "Admin",
        "--firstname", "R", "--lastname", "T", "--email", "root@yunxi.example",
    )  # fmt: skip
    provider.claims = claims("root", "cityledger-public")
    browser = log_in(oidc_server)
    assert browser.get("/api/v2/dags").status_code == 401
    token = httpx.post(
        f"{oidc_server.address}/auth/token",
        json={"username": "root", "password": PASSWORD},
        timeout=60,
    )
    assert token.status_code == 201
    headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
    assert browser.get("/api/v2/connections", headers=headers).status_code == 200


ACCOUNTS = {
    group: f"cityledger:{group.removeprefix('cityledger-').replace('department-', 'department:')}"
    for group in CONSOLE
}


@pytest.mark.parametrize("group", CONSOLE)
def test_accounts_in_airflows_database(accounts_server: ApiServer, group: str) -> None:
    """A city without an identity provider still has five roles."""
    name = f"local-{group}"
    accounts_server.airflow(
        "users", "create", "--username", name, "--password", PASSWORD, "--role", ACCOUNTS[group],
        "--firstname", "L", "--lastname", "L", "--email", f"{name}@yunxi.example",
    )  # fmt: skip
    browser = accounts_server.browser()
    page = browser.get("/cityledger/indicators")
    assert page.url.path == "/auth/login/"
    found = page.text.partition('name="csrf_token"')[2].partition('value="')[2].partition('"')[0]
    form = {"username": name, "password": "wrong", "csrf_token": found}
    browser.post(str(page.url), data=form)
    assert browser.get("/api/v2/dags").status_code == 401
    page = browser.get(str(page.url))
    found = page.text.partition('name="csrf_token"')[2].partition('value="')[2].partition('"')[0]
    back = browser.post(str(page.url), data={**form, "password": PASSWORD, "csrf_token": found})
    assert (back.status_code, back.url.path) == (200, "/cityledger/indicators")
    for path, status in CONSOLE[group].items():
        assert browser.get(f"/cityledger{path}").status_code == status, (group, path)
    for path, status in AIRFLOW[group].items():
        assert browser.get(f"/api/v2{path}").status_code == status, (group, path)


def test_nobody_is_let_in_without_a_login(accounts_server: ApiServer) -> None:
    """Airflow's pages and ours, asked by a browser that has no session."""
    browser = httpx.Client(base_url=accounts_server.address, timeout=60)
    for path in ("/api/v2/dags", "/ui/config", "/cityledger/api/city"):
        assert browser.get(path).status_code == 401, path
    assert browser.get("/cityledger/datasets").status_code == 303


def test_headers_are_on_the_mounted_console(accounts_server: ApiServer) -> None:
    """Airflow adds none of its own: what the mount forgets, nobody adds."""
    browser = httpx.Client(base_url=accounts_server.address, timeout=60)
    for path in ("/cityledger/datasets", "/cityledger/static/console.css", "/cityledger/nothing"):
        headers = browser.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff", path
    assert browser.get("/openlineage/api/v1/namespaces").headers["x-content-type-options"]
