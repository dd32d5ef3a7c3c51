"""The console that runs alone: accounts, login, sessions, forms."""

from __future__ import annotations

import json
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cityledger.airflow.console import person_of
from cityledger.cli.main import app as cli
from cityledger.console.accounts import Accounts
from cityledger.console.secret import load_key
from cityledger.console.standalone import create_standalone
from cityledger.errors import BadInputError
from cityledger.people import Role
from cityledger.settings import Settings
from starlette.testclient import TestClient
from typer.testing import CliRunner

PASSWORD = "correct horse battery"
LOGIN = "/cityledger/login"
TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def accounts(home: Path) -> Accounts:
    accounts = Accounts(home)
    accounts.add("li", [Role.STEWARD], [], PASSWORD)
    return accounts


@pytest.fixture
def client(home: Path, accounts: Accounts) -> TestClient:
    app = create_standalone(Settings(home=home, database_url=None))
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False)


def token(client: TestClient, path: str = LOGIN) -> str:
    found = TOKEN.search(client.get(path).text)
    assert found
    return found[1]


def log_in(client: TestClient, password: str = PASSWORD, **fields: str) -> Any:
    form = {"name": "li", "password": password, "form_token": token(client)} | fields
    return client.post(LOGIN, data=form)


def test_login_leads_to_the_page_that_was_wanted(client: TestClient) -> None:
    """After the login people want the page whose link they had clicked."""
    answer = client.get("/cityledger/datasets?q=metro")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{LOGIN}?next=%2Fdatasets%3Fq%3Dmetro"
    answer = log_in(client, next="/datasets?q=metro")
    assert answer.headers["location"] == "/cityledger/datasets?q=metro"
    assert client.get("/cityledger/datasets").status_code == 200
    assert client.get("/").headers["location"] == "/cityledger/"


def test_the_session_cookie_is_out_of_reach(client: TestClient) -> None:
    """A cookie that scripts or other sites can use is a session for whoever finds a hole."""
    cookie = log_in(client).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/cityledger" in cookie


@pytest.mark.parametrize("place", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_login_does_not_lead_elsewhere(client: TestClient, place: str) -> None:
    """An open redirect turns our login page into somebody's phishing link."""
    assert log_in(client, next=place).headers["location"] == "/cityledger/"


def test_wrong_name_and_wrong_password_look_the_same(client: TestClient) -> None:
    """A difference would tell which names exist."""
    mark = TOKEN
    wrong = log_in(client, password="not the password")
    unknown = log_in(client, name="nobody")
    assert wrong.status_code == unknown.status_code == 401
    assert mark.sub("", wrong.text) == mark.sub("", unknown.text)


def test_guessing_is_slowed_down(client: TestClient) -> None:
    """Without a limit a list of common passwords is tried in minutes."""
    answers = [log_in(client, password=f"guess number {n}").status_code for n in range(9)]
    assert answers == [401] * 8 + [429]
    assert log_in(client).status_code == 429


def test_a_form_of_another_site_is_refused(client: TestClient) -> None:
    """The browser sends our cookies along with forms of other sites as well."""
    form = {"name": "li", "password": PASSWORD}
    token(client)
    assert client.post(LOGIN, data=form).status_code == 403
    assert client.post(LOGIN, data=form | {"form_token": "0" * 64}).status_code == 403
    log_in(client)
    assert client.post("/cityledger/logout").status_code == 403
    own = token(client, "/cityledger/datasets")
    assert client.post("/cityledger/logout", data={"form_token": own}).status_code == 303
    assert client.get("/cityledger/datasets").status_code == 303


def test_a_forged_or_foreign_session_is_none(client: TestClient, tmp_path: Path) -> None:
    """A session signed by another installation's key must not open this one."""
    log_in(client)
    good = client.cookies["cityledger_session"]
    for forged in ("", "x", good[:-2] + "AA", "WyJsaSIsIiJd.Z.Z"):
        client.cookies.set("cityledger_session", forged, path="/cityledger")
        client.cookies.delete("cityledger_session") if not forged else None
        assert (
            client.get(
                "/cityledger/datasets", headers={"cookie": f"cityledger_session={forged}"}
            ).status_code
            == 303
        )
    assert load_key(tmp_path / "another") != load_key(tmp_path / "third")


def test_a_changed_or_removed_account_ends_its_sessions(
    client: TestClient, accounts: Accounts
) -> None:
    """Somebody who left the office keeps reading otherwise, for half a day."""
    log_in(client)
    assert client.get("/cityledger/datasets").status_code == 200
    accounts.add("li", [Role.AUDITOR], [], PASSWORD)
    assert client.get("/cityledger/datasets").status_code == 303
    log_in(client)
    accounts.remove("li")
    assert client.get("/cityledger/datasets").status_code == 303


def test_the_first_start_says_how_to_add_somebody(tmp_path: Path) -> None:
    """A login page that nobody can pass, without a word, is a support call."""
    app = create_standalone(Settings(home=tmp_path, database_url=None))
    client = TestClient(app, raise_server_exceptions=False)
    assert "cityledger console user add" in client.get(LOGIN).text


def test_the_files_are_private(home: Path, accounts: Accounts) -> None:
    """Hashes and the signing key are for this account of the machine only."""
    load_key(home)
    for name in ("console-users.json", "console.key"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600, name
    text = (home / "console-users.json").read_text()
    assert PASSWORD not in text
    assert load_key(home) == load_key(home)


@pytest.mark.parametrize(
    ("name", "roles", "departments", "password"),
    [
        ("li", [], [], PASSWORD),
        ("li", [Role.DEPARTMENT], [], PASSWORD),
        ("li", [Role.STEWARD], ["health"], PASSWORD),
        ("li", [Role.STEWARD], [], "short"),
        ("", [Role.STEWARD], [], PASSWORD),
        ("li\n", [Role.STEWARD], [], PASSWORD),
        ("x" * 65, [Role.STEWARD], [], PASSWORD),
    ],
)
def test_accounts_that_make_no_sense_are_refused(
    tmp_path: Path, name: str, roles: list[Role], departments: list[str], password: str
) -> None:
    """A half-made account either sees nothing, or more than anybody meant."""
    with pytest.raises(BadInputError) as caught:
        Accounts(tmp_path).add(name, roles, departments, password)
    assert caught.value.fix
    assert not (tmp_path / "console-users.json").exists()


def test_a_damaged_file_lets_nobody_in(home: Path, client: TestClient) -> None:
    """A file that cannot be read must not count as a city without accounts."""
    log_in(client)
    (home / "console-users.json").write_text("{")
    assert client.get("/cityledger/datasets").status_code == 400
    with pytest.raises(BadInputError, match="damaged"):
        Accounts(home).all()


def test_accounts_on_the_command_line(settings: Settings) -> None:
    """The verbs that docs/console.md names, as an administrator types them."""
    run = CliRunner().invoke
    added = run(
        cli,
        [
            "console",
            "user",
            "add",
            "wei",
            "--role",
            "department",
            "--department",
            "health",
            "--password-stdin",
        ],
        input=PASSWORD + "\n",
    )
    assert added.exit_code == 0, added.output
    assert (
        run(cli, ["console", "user", "add", "op", "--role", "steward", "--airflow"]).exit_code == 0
    )
    listed = run(cli, ["console", "user", "list"]).output
    assert "wei" in listed
    assert "through Airflow" in listed
    assert not Accounts(settings.home).all()["op"].accepts("")
    wrong = run(
        cli,
        [
            "console",
            "user",
            "add",
            "x",
            "--role",
            "department",
            "--department",
            "helth",
            "--airflow",
        ],
    )
    assert isinstance(wrong.exception, BadInputError)
    assert wrong.exception.code == "unknown_department"
    assert run(cli, ["console", "user", "remove", "wei"]).exit_code == 0
    again = run(cli, ["console", "user", "remove", "wei"])
    assert isinstance(again.exception, BadInputError)
    saved = json.loads((settings.home / "console-users.json").read_text())
    assert list(saved) == ["op"]


def test_passwords_do_not_cross_the_network_in_the_clear() -> None:
    """Serving to the network without TLS hands every password to whoever listens."""
    result = CliRunner().invoke(cli, ["console", "serve", "--host", "192.0.2.1"])
    assert isinstance(result.exception, BadInputError)
    assert result.exception.code == "unencrypted_login"


class AirflowUser:
    """A user as Airflow's auth managers have them: one role by name, or several with names."""

    def __init__(self, username: str, role: str | None = None, roles: tuple[str, ...] = ()) -> None:
        self.username, self.role = username, role
        self.roles = [type("Role", (), {"name": name}) for name in roles]

    def get_name(self) -> str:
        return self.username


@pytest.mark.parametrize(
    ("user", "roles"),
    [
        (AirflowUser("root", role="ADMIN"), {Role.ENGINEER, Role.STEWARD, Role.AUDITOR}),
        (AirflowUser("root", role="admin"), {Role.ENGINEER, Role.STEWARD, Role.AUDITOR}),
        (AirflowUser("o", roles=("Op", "Viewer")), {Role.ENGINEER}),
        (AirflowUser("v", role="viewer"), {Role.PUBLIC}),
        (AirflowUser("u", roles=("User",)), {Role.PUBLIC}),
        (AirflowUser("n"), {Role.PUBLIC}),
        (AirflowUser("li", role="viewer"), {Role.STEWARD}),
    ],
)
def test_airflows_roles_become_ours(
    accounts: Accounts, user: AirflowUser, roles: set[Role]
) -> None:
    """A viewer of DAGs who suddenly sees every department would be a leak."""
    person = person_of(user, accounts)  # type: ignore[arg-type]
    assert person.roles == roles
    assert not person.departments


def test_attempts_at_once_are_limited_too(client: TestClient) -> None:
    """Guesses sent side by side all passed the limit before the first one was counted."""
    form = {"name": "li", "password": "not the password", "form_token": token(client)}
    with ThreadPoolExecutor(24) as pool:
        sent = [pool.submit(client.post, LOGIN, data=form) for _ in range(24)]
    answers = [one.result().status_code for one in sent]
    assert (answers.count(401), answers.count(429)) == (8, 16)


def test_right_passwords_use_nothing_up(client: TestClient) -> None:
    """An office behind one address would lock itself out every morning."""
    assert {log_in(client).status_code for _ in range(10)} == {303}
