"""A town whose extracts were really landed and judged, for the pages that work on rows."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from cityledger.console import forms
from cityledger.console.app import create_app
from cityledger.demo.generate.generator import generate
from cityledger.people import Person, Role
from cityledger.runner import Runner
from cityledger.settings import Settings
from cityledger_stack.postgres import Postgres
from fastapi import FastAPI
from psycopg import sql
from pydantic import SecretStr
from starlette.testclient import TestClient

DAY = "2026-03-31"
VISITS, CASES, TRIPS = (
    "health.outpatient_visits",
    "gov_services.service_cases",
    "transport.metro_trips",
)
TICKETS = "hotline.tickets"
STEWARD = Person("li", frozenset({Role.STEWARD}))
SECOND = Person("zhao", frozenset({Role.STEWARD}))
ENGINEER = Person("qian", frozenset({Role.ENGINEER}))
AUDITOR = Person("wu", frozenset({Role.AUDITOR}))
PUBLIC = Person("anybody", frozenset({Role.PUBLIC}))


def clerk(department: str) -> Person:
    """One of a department's people."""
    return Person(f"clerk of {department}", frozenset({Role.DEPARTMENT}), frozenset({department}))


@dataclass(frozen=True)
class Town:
    """An installation with judged deliveries."""

    settings: Settings
    runner: Runner
    deliveries: dict[str, str]
    app: FastAPI
    people: dict[str, Person]

    def page(self, dataset: str, kind: str = "quarantine") -> str:
        """The path of a delivery's page."""
        return f"/{kind}/{dataset}/{DAY}/{self.deliveries[dataset]}"

    def browser(self, person: Person = STEWARD, language: str = "en") -> TestClient:
        """A browser of a person, in a language."""
        self.people[person.name] = person
        return TestClient(
            self.app,
            raise_server_exceptions=False,
            headers={"accept-language": language, "x-person": person.name},
            follow_redirects=False,
        )

    def file(self, pattern: str) -> Path:
        """A department's file."""
        return next(self.settings.drop_dir.glob(pattern))


def post(client: TestClient, path: str, **fields: object) -> Any:
    """Send a form as the page would: with the token that the browser's cookie belongs to."""
    client.get("/quarantine")
    held = client.cookies[forms.COOKIE]
    app = cast("FastAPI", client.app)
    sign = hmac.new(app.state.key, f"form:{held}".encode(), hashlib.sha256).hexdigest()
    files = {name: value for name, value in fields.items() if isinstance(value, tuple)}
    data = {name: value for name, value in fields.items() if not isinstance(value, tuple)}
    return client.post(path, data={forms.FIELD: sign, **data}, files=files or None)


Prepare = Callable[[Settings], None]


@contextmanager
def town(
    server: Postgres,
    template: str,
    s3_url: str,
    home: Path,
    datasets: tuple[str, ...],
    prepare: Prepare,
) -> Iterator[Town]:
    """Generate, land, judge and release; ``prepare`` may spoil files before."""
    name = f"town_{secrets.token_hex(6)}"
    database, source = sql.Identifier(name), sql.Identifier(template)
    with server.connect() as session:
        session.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(database, source))
    with pytest.MonkeyPatch.context() as patch:
        for variable in [one for one in os.environ if one.startswith("CITYLEDGER_")]:
            patch.delenv(variable)
        settings = Settings(
            home=home,
            drop_dir=home / "drop",
            spool_dir=home / "spool",
            database_url=SecretStr(
                f"postgresql://postgres:{server.password}@127.0.0.1:{server.port}/{name}"
            ),
            s3_url=SecretStr(s3_url),
            bucket_prefix=f"t{secrets.token_hex(4)}-",
            pseudonym_key=SecretStr("a key for tests, long enough for the rule"),
        )
        runner = Runner(settings)
        runner.store.ensure_buckets()
        generate(settings.drop_dir, scale=0.02, seed=1)
        prepare(settings)
        deliveries = {}
        for dataset in datasets:
            deliveries[dataset] = runner.extract_land(dataset, DAY).delivery
            runner.parse_validate(dataset, DAY)
            runner.release(dataset, DAY)
        people: dict[str, Person] = {}
        app = create_app(settings, identify=lambda request: people[request.headers["x-person"]])
        yield Town(settings, runner, deliveries, app, people)
    runner.database.close()
    with server.connect() as session:
        session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
