"""Every route × every role: a route without a line in these tables, or a line that does not hold.

The tables are written by hand from what the roles are for; the applications say which routes there
are.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from cityledger.airflow.mounted import BuiltWhenAsked
from cityledger.airflow.plugin import CityLedgerPlugin
from cityledger.collector.app import create_app as create_collector
from cityledger.collector.tokens import Scope, TokenFile
from cityledger.console import forms
from cityledger.console.app import create_app
from cityledger.console.standalone import PREFIX, create_standalone
from cityledger.contracts.registry import load_contract
from cityledger.ledger.journal import Journal
from cityledger.orders import OrderBook
from cityledger.people import Person, Role
from cityledger.quarantine.waivers import approve
from cityledger.records import IndicatorStatus, IndicatorValue, Publication
from cityledger.settings import Settings
from cityledger_stack.postgres import Postgres
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from tests.unit.console.judged import DAY, VISITS, Town, town

HEALTH, TRANSPORT = frozenset({"health"}), frozenset({"transport"})
PEOPLE: dict[str, Person | None] = {
    "engineer": Person("qian", frozenset({Role.ENGINEER})),
    "steward": Person("li", frozenset({Role.STEWARD})),
    "auditor": Person("wu", frozenset({Role.AUDITOR})),
    "own department": Person("wei", frozenset({Role.DEPARTMENT}), HEALTH),
    "other department": Person("sun", frozenset({Role.DEPARTMENT}), TRANSPORT),
    "public": Person("anybody", frozenset({Role.PUBLIC})),
    "nobody": None,
}

# -- what a route answers to each of them, in the order of PEOPLE --------------------------------
# + lets in, - forbids (403), 0 looks as if it did not exist (404), ? asks to log in (401)

OPEN = "+++++++"  # needed before anybody can log in
KNOWN = "++++++?"  # everybody who has logged in; the page itself shows each what is theirs
STAFF = "+++++-?"  # lists: each department finds its own things in them
OWN = "++++0-?"  # things of the health department
CITY = "+++---?"  # tells of all departments at once
TRAIL = "-++---?"  # what people did
STEWARD = "-+----?"  # decides; that it is hidden from the other department comes second
HANDLE = "-+-+0-?"  # takes rows away or changes them: the department itself, and who is in charge
METRICS = "-------"  # by token or address (test_metrics), never by who has logged in

PLACE = f"{{kind}}/{VISITS}/{DAY}/{{delivery}}"
TABLE: dict[str, tuple[str, str]] = {
    "GET /static/charts.js": (OPEN, "/static/charts.js"),
    "GET /static/noto-sans-sc.ttf": (OPEN, "/static/noto-sans-sc.ttf"),
    "GET /static/{name}": (OPEN, "/static/console.css"),
    "GET /healthz": (OPEN, "/healthz"),
    "GET /metrics": (METRICS, "/metrics"),
    "GET /charts/{name}.svg": (KNOWN, "/charts/{drawing}.svg"),
    "GET /": (KNOWN, "/"),
    "GET /indicators": (KNOWN, "/indicators"),
    "GET /indicators/{code}": (KNOWN, "/indicators/SVC-02"),
    "GET /api/indicators": (KNOWN, "/api/indicators"),
    "GET /departments": (STAFF, "/departments"),
    "GET /departments/{department}": (OWN, "/departments/health"),
    "GET /departments/{department}/report": (OWN, "/departments/health/report?month=2026-03"),
    "GET /api/departments/{department}": (OWN, "/api/departments/health"),
    "GET /api/city": (CITY, "/api/city"),
    "GET /datasets": (STAFF, "/datasets"),
    "GET /datasets/{dataset}": (OWN, f"/datasets/{VISITS}"),
    "GET /datasets/{dataset}/rules/{key}": (OWN, f"/datasets/{VISITS}/rules/{{rule}}"),
    "GET /api/datasets/{dataset}": (OWN, f"/api/datasets/{VISITS}"),
    "GET /api/datasets/{dataset}/rules/{key}": (OWN, f"/api/datasets/{VISITS}/rules/{{rule}}"),
    "GET /runs/{run}": (OWN, "/runs/{run}"),
    "GET /runs/{run}/examples": (OWN, "/runs/{run}/examples"),
    "GET /api/runs/{run}": (OWN, "/api/runs/{run}"),
    "GET /stock": (STAFF, "/stock"),
    "GET /stock/{dataset}": (OWN, f"/stock/{VISITS}"),
    "GET /quarantine": (STAFF, "/quarantine"),
    "GET /quarantine/{dataset}/{partition}/{delivery}": (OWN, f"/quarantine{PLACE}"),
    "GET /quarantine/{dataset}/{partition}/{delivery}/rejected": (
        OWN,
        f"/quarantine{PLACE}/rejected",
    ),
    "GET /quarantine/{dataset}/{partition}/{delivery}/replay": (
        OWN,
        f"/quarantine{PLACE}/replay?before={{run}}",
    ),
    "GET /quarantine/{dataset}/{partition}/{delivery}/download": (
        OWN,
        f"/quarantine{PLACE}/download",
    ),
    "GET /quarantine/{dataset}/{partition}/{delivery}/corrections": (
        OWN,
        f"/quarantine{PLACE}/corrections",
    ),
    "GET /quarantine/{dataset}/{partition}/{delivery}/waivers": (
        OWN,
        f"/quarantine{PLACE}/waivers",
    ),
    "POST /quarantine/{dataset}/{partition}/{delivery}/download": (
        HANDLE,
        f"/quarantine{PLACE}/download",
    ),
    "POST /quarantine/{dataset}/{partition}/{delivery}/corrections": (
        HANDLE,
        f"/quarantine{PLACE}/corrections",
    ),
    "POST /quarantine/{dataset}/{partition}/{delivery}/replay": (
        HANDLE,
        f"/quarantine{PLACE}/replay",
    ),
    "POST /quarantine/{dataset}/{partition}/{delivery}/waivers": (
        STEWARD,
        f"/quarantine{PLACE}/waivers",
    ),
    "GET /quarantine/waivers": (STAFF, "/quarantine/waivers"),
    "GET /quarantine/waivers/{number}/revoke": (STAFF, "/quarantine/waivers/{waiver}/revoke"),
    "POST /quarantine/waivers/{number}/revoke": (STEWARD, "/quarantine/waivers/{waiver}/revoke"),
    "GET /decisions": (STAFF, "/decisions"),
    "GET /decisions/{dataset}/{partition}/{delivery}": (OWN, f"/decisions{PLACE}"),
    "POST /decisions/{dataset}/{partition}/{delivery}": (STEWARD, f"/decisions{PLACE}"),
    "GET /orders": (STAFF, "/orders"),
    "GET /orders/{number}": (OWN, "/orders/{order}"),
    # Which step is whose is a matter of the order's book: tests/unit/console/test_orders.py.
    "POST /orders/{number}/{step}": (OWN, "/orders/{order}/acknowledged"),
    "GET /ledger": (CITY, "/ledger"),
    "GET /ledger/graph": (CITY, "/ledger/graph"),
    "GET /ledger/columns": (CITY, "/ledger/columns"),
    "GET /ledger/data/{key}": (CITY, "/ledger/data/{node}"),
    "GET /ledger/data/{key}/versions/{version}": (CITY, "/ledger/data/{node}/versions/{uuid}"),
    "GET /ledger/jobs/{key}": (CITY, "/ledger/jobs/{node}"),
    "GET /ledger/runs/{run_id}": (CITY, "/ledger/runs/{uuid}"),
    "GET /ledger/events": (CITY, "/ledger/events"),
    "GET /ledger/events/{number}": (CITY, "/ledger/events/1"),
    "GET /ledger/events/{number}/raw": (CITY, "/ledger/events/1/raw"),
    "GET /compare": (CITY, "/compare"),
    "GET /compare/file/{path:path}": (CITY, "/compare/file/contracts/city.yaml"),
    "GET /evidence": (CITY, "/evidence"),
    "GET /evidence/{code}": (CITY, "/evidence/SVC-02"),
    "POST /evidence/{code}/pack": (CITY, "/evidence/SVC-02/pack"),
    "GET /audit": (TRAIL, "/audit"),
}
#: Only where the console has a login of its own.
OWN_LOGIN = {"GET /login", "POST /login", "POST /logout"}

SIGNS = {401: "?", 403: "-", 404: "0"}


@dataclass(frozen=True)
class Stage:
    """A town with something behind every address."""

    town: Town
    places: dict[str, str]
    client: TestClient

    def ask(self, who: str, line: str, *, proof: str = "own") -> int:
        """Send the request of a line of the table as somebody; the answer's status."""
        method, _, _ = line.partition(" ")
        path = TABLE[line][1].format(kind="", **self.places)
        headers = {"x-person": who, "accept-language": "en"}
        # An order's version that is past: whoever may take steps is told so, and nothing moves.
        data = {forms.FIELD: self._proof(proof), "seen": "0"} if method == "POST" else None
        self.client.cookies.clear()
        if proof != "no cookie":
            self.client.cookies.set(forms.COOKIE, "held-by-the-browser")
        sent = self.client.request(method, path, data=data, headers=headers)
        return sent.status_code

    def _proof(self, kind: str) -> str:
        held = {"own": "held-by-the-browser", "no cookie": "held-by-the-browser"}
        if kind == "none":
            return ""
        key = self.client.app.state.key  # type: ignore[attr-defined]
        return forms.sign(key, held.get(kind, "held-by-another-browser"))


@pytest.fixture(scope="module")
def stage(
    postgres_server: Postgres,
    database_template: str,
    s3_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("routes")
    with town(postgres_server, database_template, s3_url, home, (VISITS,), lambda _: None) as made:
        app = create_app(
            made.settings, identify=lambda request: PEOPLE[request.headers["x-person"]]
        )
        client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
        yield Stage(made, _places(made, client), client)


def _places(made: Town, client: TestClient) -> dict[str, str]:
    """Names of things that exist, all of the health department."""
    contract = load_contract(made.settings.contracts_dir / "health" / "outpatient_visits.odcs.yaml")
    database, delivery = made.runner.database, made.deliveries[VISITS]
    journal, book = Journal(database), OrderBook.from_settings(made.settings, database)
    validation = journal.find_validation(VISITS, DAY, delivery, contract.sha256)
    assert validation is not None
    order = book.open_for(validation, contract, today=book.today(), held=["held for the test"])
    assert order is not None
    rule = next(iter(validation.quarantined_by_rule))
    steward = PEOPLE["steward"]
    assert steward is not None
    waiver = approve(
        made.runner, VISITS, rule, by=steward, reason="generated", until=book.today(),
        partition=DAY, delivery=delivery,
    )  # fmt: skip
    journal.save_publication(_publication())
    page = client.get(f"/datasets/{VISITS}", headers={"x-person": "steward"}).text
    drawing = page.partition("/charts/")[2].partition(".svg")[0]
    run = page.partition("/runs/")[2].partition('"')[0].partition("/")[0].partition("?")[0]
    return {
        "delivery": delivery,
        "rule": rule,
        "waiver": str(waiver.id),
        "order": order.number,
        "run": run,
        "drawing": drawing if len(drawing) == 64 else "0" * 64,
        "node": "0" * 64,
        "uuid": "00000000-0000-0000-0000-000000000000",
    }


def _publication() -> Publication:
    value = IndicatorValue(
        code="SVC-02",
        name="法定时限内办结率",
        name_en="Cases finished within the statutory limit",
        area="990100",
        period="2026-03",
        value="91.2500",
        unit="%",
        target="99.0000",
        status=IndicatorStatus.MISSED,
    )
    return Publication(
        snapshot_id=7, objects=(), rows=1, content_sha256=secrets.token_hex(32), values=(value,)
    )


def routes(app: Any, prefix: str = "") -> set[str]:
    """``METHOD /path`` of everything that an application answers, mounted ones included."""
    found: set[str] = set()
    for route in app.routes:
        if isinstance(route, Mount):
            found |= routes(route.app, prefix + route.path)
        else:
            found |= {f"{method} {prefix}{route.path}" for method in route.methods - {"HEAD"}}
    return found


def test_every_route_of_the_console_has_a_line(stage: Stage) -> None:
    """A new page that nobody thought about is open to whoever its author had in mind."""
    assert routes(stage.client.app) == set(TABLE)


@pytest.mark.parametrize("line", TABLE)
def test_a_route_answers_each_role_as_the_table_says(stage: Stage, line: str) -> None:
    """A department that reads another's rows; a public that reads scores; nobody at all."""
    expected = TABLE[line][0]
    statuses = [stage.ask(who, line) for who in PEOPLE]
    hidden = _hidden_from_all(line)
    signs = "".join(
        "+" if status == 404 and hidden else SIGNS.get(status, "+") for status in statuses
    )
    assert signs == expected, dict(zip(PEOPLE, statuses, strict=True))
    assert max(statuses) < 500, statuses


def _hidden_from_all(line: str) -> bool:
    """Addresses below which this town has nothing: 404 says that somebody was let in.

    Where a 404 could also mean that it is another's, something is there.
    """
    return TABLE[line][0] in {CITY, KNOWN} and "{" in line


@pytest.mark.parametrize("line", [one for one in TABLE if one.startswith("POST")])
@pytest.mark.parametrize("proof", ["none", "another's", "no cookie"])
def test_a_form_of_another_site_does_nothing(stage: Stage, line: str, proof: str) -> None:
    """The browser of a steward who visits a foreign site sends its cookies along."""
    for who, sign in zip(PEOPLE, TABLE[line][0], strict=True):
        if sign == "+":
            assert stage.ask(who, line, proof=proof) == 403, who


def test_methods_that_are_not_there_are_refused(stage: Stage) -> None:
    """A method that a router answers by default would pass by the table."""
    headers = {"x-person": "steward"}
    for line in TABLE:
        path = TABLE[line][1].format(kind="", **stage.places)
        for method in ("PUT", "PATCH", "DELETE", "TRACE", "OPTIONS"):
            answer = stage.client.request(method, path, headers=headers)
            assert answer.status_code in {403, 405}, (method, path)


def test_the_console_that_runs_alone_adds_its_login_only(settings: Settings) -> None:
    """A route of the stand-alone console that is in no table."""
    alone = routes(create_standalone(settings))
    inside = {line.replace(" ", f" {PREFIX}", 1) for line in {*TABLE, *OWN_LOGIN}}
    assert alone == {"GET /", *inside}
    client = TestClient(create_standalone(settings), follow_redirects=False)
    assert client.get(f"{PREFIX}/login").status_code == 200
    assert client.post(f"{PREFIX}/login", data={"name": "x", "password": "x"}).status_code == 403
    assert client.post(f"{PREFIX}/logout").status_code == 403
    assert client.get("/").headers["location"] == f"{PREFIX}/"


# -- the collector ----------------------------------------------------------------------------

#: Who asks: without a token, with a wrong one, with one of scope read, with one of scope write.
READS, WRITES, DESCRIBES = "??+-", "??-+", "++++"
_DATASETS = "/namespaces/{namespace}/datasets"
_JOBS = "/namespaces/{namespace}/jobs"
COLLECTOR = {
    "GET /openapi.json": DESCRIBES,
    **{
        f"GET /api/v1{path}": READS
        for path in (
            "/sources",
            "/sources/{source}",
            "/tags",
            "/namespaces",
            "/namespaces/{namespace}",
            _DATASETS,
            f"{_DATASETS}/{{dataset}}",
            f"{_DATASETS}/{{dataset}}/versions",
            f"{_DATASETS}/{{dataset}}/versions/{{version}}",
            "/jobs",
            _JOBS,
            f"{_JOBS}/{{job}}",
            f"{_JOBS}/{{job}}/runs",
            "/jobs/runs/{run_id}",
            "/jobs/runs/{run_id}/facets",
            "/runlineage/upstream",
            "/lineage",
            "/column-lineage",
            "/search",
            "/events/lineage",
            "/events",
            "/events/{namespace}",
            "/lineage/faulty",
            "/lineage/incomplete",
            "/health",
        )
    },
    **{
        f"{method} /api/v1{path}": WRITES
        for method, path in (
            ("POST", "/lineage"),
            ("POST", "/lineage/batch"),
            ("PUT", "/namespaces/{namespace}"),
            ("PUT", "/sources/{source}"),
            ("PUT", "/tags/{tag}"),
            ("PUT", f"{_DATASETS}/{{dataset}}"),
            ("DELETE", f"{_DATASETS}/{{dataset}}"),
            ("POST", f"{_DATASETS}/{{dataset}}/tags/{{tag}}"),
            ("POST", f"{_DATASETS}/{{dataset}}/fields/{{field}}/tags/{{tag}}"),
            ("PUT", f"{_JOBS}/{{job}}"),
            ("POST", f"{_JOBS}/{{job}}/runs"),
            ("POST", "/jobs/runs/{run_id}/{action}"),
        )
    },
}


@contextmanager
def _tokens(settings: Settings) -> Iterator[list[str]]:
    file = TokenFile(settings.collector_tokens)
    made = [file.create(scope.value, [scope]) for scope in (Scope.READ, Scope.WRITE)]
    yield ["", "Bearer cl_wrong", *(f"Bearer {secret}" for secret in made)]


def test_every_route_of_the_collector_asks_for_its_scope(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A producer's token that reads the whole ledger, or a reader's that writes into it."""
    own = settings.model_copy(
        update={"collector_tokens": tmp_path_factory.mktemp("tokens") / "tokens.json"}
    )
    with TestClient(create_collector(own), raise_server_exceptions=False) as client:
        assert routes(client.app) == set(COLLECTOR)
        with _tokens(own) as holders:
            for line, expected in COLLECTOR.items():
                method, _, path = line.partition(" ")
                for name in ("namespace", "dataset", "job", "source", "tag", "field", "version"):
                    path = path.replace(f"{{{name}}}", "x")
                path = path.replace("{run_id}", "00000000-0000-0000-0000-000000000000")
                path = path.replace("{action}", "start")
                answers = [
                    client.request(
                        method, path, headers={"authorization": token} if token else {}
                    ).status_code
                    for token in holders
                ]
                signs = "".join(
                    "?" if one == 401 else "-" if one == 403 else "+" for one in answers
                )
                assert signs == expected, (line, answers)


# -- Airflow's api-server ---------------------------------------------------------------------


@pytest.mark.usefixtures("settings")
def test_airflow_carries_these_two_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that is mounted beside them is protected by nobody."""
    monkeypatch.setattr("cityledger.collector.service.Background.start", lambda _: None)
    mounted: dict[str, set[str]] = {}
    for entry in CityLedgerPlugin.fastapi_apps:
        app = entry["app"]
        assert isinstance(app, BuiltWhenAsked)
        built = app._build()
        assert isinstance(built, Starlette)
        mounted[str(entry["url_prefix"])] = routes(built)
    assert mounted == {"/cityledger": set(TABLE), "/openlineage": set(COLLECTOR)}
    assert not CityLedgerPlugin.fastapi_root_middlewares
