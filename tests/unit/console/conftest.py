"""The console on a database that holds what a few small deliveries left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cityledger.console.app import create_app
from cityledger.contracts.model import Contract
from cityledger.contracts.registry import load_contract
from cityledger.ledger.journal import Journal
from cityledger.ledger.scores import ScoreBook
from cityledger.people import Person, Role
from cityledger.records import (
    Accounting,
    IndicatorStatus,
    IndicatorValue,
    LandedObject,
    ObjectRef,
    Publication,
    Receipt,
    Release,
    RuleResult,
    RuleStatus,
    Validation,
)
from cityledger.settings import Settings
from cityledger.storage import tables
from cityledger.storage.database import Database
from fastapi import FastAPI
from sqlalchemy import select
from starlette.testclient import TestClient

LANDED = datetime(2026, 3, 31, 6, 0, tzinfo=UTC)
SHA256 = "ab" * 32


@dataclass(frozen=True)
class People:
    """One of each kind."""

    steward: Person
    health: Person
    transport: Person
    public: Person


@dataclass(frozen=True)
class Story:
    """What is in the database: the runs' ids."""

    health: int
    transport: int


Browser = Callable[..., TestClient]


@pytest.fixture
def people() -> People:
    department = frozenset({Role.DEPARTMENT})
    return People(
        steward=Person("li", frozenset({Role.STEWARD})),
        health=Person("wei", department, frozenset({"health"})),
        transport=Person("sun", department, frozenset({"transport"})),
        public=Person("anybody", frozenset({Role.PUBLIC})),
    )


@pytest.fixture
def database(settings: Settings) -> Database:
    """A migrated, empty database."""
    database = Database.from_settings(settings)
    database.migrate()
    return database


@pytest.fixture
def app(settings: Settings, people: People) -> FastAPI:
    return create_app(settings, identify=lambda _: people.steward)


@pytest.fixture
def browser(settings: Settings, people: People) -> Browser:
    """A browser of a person (None: nobody is logged in), in a language."""

    def open_for(person: Person | None = people.steward, language: str = "en") -> TestClient:
        app = create_app(settings, identify=lambda _: person)
        headers = {"accept-language": language}
        return TestClient(app, raise_server_exceptions=False, headers=headers)

    return open_for


@pytest.fixture
def story(settings: Settings, database: Database) -> Story:
    """Two departments delivered, one batch is held, and one indicator was published."""
    teller = _Teller(settings, database)
    teller.deliver("health.outpatient_visits", "2026-03-30", failed=0)
    health = teller.deliver("health.outpatient_visits", "2026-03-31", failed=3, released=False)
    transport = teller.deliver("transport.metro_trips", "2026-03-31", failed=0)
    teller.publish()
    return Story(health, transport)


class _Teller:
    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings, self._database = settings, database
        self._journal = Journal(database)
        self._scores = ScoreBook(database, settings.contracts_dir)

    def deliver(self, dataset: str, partition: str, *, failed: int, released: bool = True) -> int:
        """Land, judge and release (or hold) ten rows; the run's id."""
        folder, _, name = dataset.partition(".")
        contract = load_contract(self._settings.contracts_dir / folder / f"{name}.odcs.yaml")
        receipt = _receipt(contract, dataset, partition)
        validation = _validation(contract, receipt, failed)
        self._journal.save_receipt(receipt)
        self._journal.save_validation(validation)
        self._scores.save_validation(validation)
        self._journal.save_release(
            Release(
                dataset=dataset,
                partition=partition,
                delivery=receipt.delivery,
                contract_sha256=contract.sha256,
                validated=validation.validated,
                rows=validation.accounting.validated,
                released=released,
                reasons=() if released else ("3 of 10 rows are quarantined",),
            )
        )
        table = tables.validation
        query = select(table.c.id).order_by(table.c.id.desc()).limit(1)
        with self._database.begin() as connection:
            return int(connection.execute(query).scalar_one())

    def publish(self) -> None:
        """One indicator in two months; the second missed its target."""
        self._journal.save_publication(
            Publication(
                snapshot_id=7,
                objects=(),
                rows=2,
                content_sha256=SHA256,
                values=(
                    _value("2026-02", "99.5000", IndicatorStatus.MET),
                    _value("2026-03", "91.2500", IndicatorStatus.MISSED),
                ),
            )
        )


def _receipt(contract: Contract, dataset: str, partition: str) -> Receipt:
    landed = LandedObject(
        bucket="landing",
        key=f"{dataset}/{partition}/file.csv",
        version_id=None,
        sha256=SHA256,
        size=2048,
        name="门诊<b>.csv",
        source_uri="file:///drop/file.csv",
    )
    return Receipt(
        dataset=dataset,
        partition=partition,
        delivery=f"d{partition.replace('-', '')}",
        sequence=1,
        objects=(landed,),
        landed_at=LANDED,
        retain_until=LANDED + timedelta(days=30),
        contract_version=contract.version,
        contract_sha256=contract.sha256,
        declared_rows=11,
    )


def _validation(contract: Contract, receipt: Receipt, failed: int) -> Validation:
    first, *rest = [spec for spec in contract.rules if spec.scope != "history"][:4]
    results = [_result(first, failed), *(_result(spec, 0) for spec in rest)]
    good = ObjectRef(bucket="validated", key="k", version_id=None, sha256=SHA256, size=10)
    return Validation(
        dataset=receipt.dataset,
        partition=receipt.partition,
        delivery=receipt.delivery,
        contract_version=contract.version,
        contract_sha256=contract.sha256,
        inputs=receipt.objects,
        accounting=Accounting(
            declared=11,
            extracted=11,
            rejected=1,
            expected_rejects=0,
            parsed=10,
            quarantined=failed,
            validated=10 - failed,
        ),
        results=tuple(results),
        validated=good,
        quarantined=None,
        rejected=None,
        rejects={"too_few_fields": 1},
        quarantined_by_rule={first.key: failed} if failed else {},
        drift=("renamed: '<script>alert(1)</script>' read as visit_no",),
    )


def _result(spec: object, failed: int) -> RuleResult:
    fields = ("key", "rule", "columns", "scope", "severity", "gb_code", "dimension")
    return RuleResult(
        **{name: getattr(spec, name) for name in fields},
        evaluated=10,
        failed=failed,
        status=RuleStatus.WARNING if failed else RuleStatus.PASSED,
    )


def _value(period: str, value: str, status: IndicatorStatus) -> IndicatorValue:
    return IndicatorValue(
        code="SVC-02",
        name="法定时限内办结率",
        name_en="Cases finished within the statutory limit",
        area="990100",
        period=period,
        value=value,
        unit="%",
        target="99.0000",
        status=status,
    )
