"""Records as the stages leave them, and a journal in a database of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cityledger.contracts.model import Scope, Severity
from cityledger.ledger.journal import Journal
from cityledger.records import (
    Accounting,
    LandedObject,
    ObjectRef,
    Outcome,
    Receipt,
    Release,
    RuleResult,
    RuleStatus,
    Stage,
    Validation,
)
from cityledger.settings import Settings
from cityledger.storage.database import Database

NOW = datetime(2026, 4, 1, 8, 0, tzinfo=UTC)
PLACE = {"dataset": "hotline.tickets", "partition": "2026-03-31"}


class Records:
    """Makes records that differ where a test says so."""

    def ref(self, name: str = "a") -> ObjectRef:
        return ObjectRef(
            bucket="validated", key=f"k/{name}", version_id=None, sha256=name * 8, size=10
        )

    def receipt(self, sequence: int = 1, delivery: str = "d1", **changes: Any) -> Receipt:
        landed = LandedObject(**self.ref().model_dump(), name="工单.csv", source_uri="file:///a")
        values: dict[str, Any] = {
            "objects": (landed,),
            "landed_at": NOW,
            "retain_until": NOW + timedelta(days=30),
            "contract_version": "1.0.0",
            "contract_sha256": "c" * 64,
        }
        return Receipt(sequence=sequence, delivery=delivery, **PLACE | values | changes)

    def result(self, **changes: Any) -> RuleResult:
        values: dict[str, Any] = {
            "key": "hotline.tickets.phone.format",
            "rule": "phone",
            "columns": ("phone",),
            "scope": Scope.ROW,
            "severity": Severity.BLOCK,
            "gb_code": "0302",
            "dimension": "accuracy",
            "evaluated": 10,
            "failed": 2,
            "status": RuleStatus.WARNING,
        }
        return RuleResult(**values | changes)

    def validation(self, delivery: str = "d1", content: str = "a", **changes: Any) -> Validation:
        values: dict[str, Any] = {
            "contract_version": "1.0.0",
            "contract_sha256": "c" * 64,
            "inputs": self.receipt().objects,
            "accounting": Accounting(
                declared=None,
                extracted=11,
                rejected=1,
                expected_rejects=1,
                parsed=10,
                quarantined=2,
                validated=8,
            ),
            "results": (self.result(),),
            "validated": self.ref(content),
            "quarantined": self.ref("q"),
            "rejected": None,
            "rejects": {"total": 1},
            "quarantined_by_rule": {"hotline.tickets.phone.format": 2},
        }
        return Validation(delivery=delivery, **PLACE | values | changes)

    def release(self, delivery: str = "d1", content: str = "a", **changes: Any) -> Release:
        values: dict[str, Any] = {
            "contract_sha256": "c" * 64,
            "validated": self.ref(content),
            "rows": 8,
            "released": True,
        }
        return Release(delivery=delivery, **PLACE | values | changes)

    def outcome(self, run_id: str, stage: Stage = Stage.LAND, **changes: Any) -> Outcome:
        values: dict[str, Any] = {
            "status": "success",
            "started_at": NOW,
            "ended_at": NOW + timedelta(seconds=2),
        }
        return Outcome(run_id=run_id, stage=stage, **PLACE | values | changes)


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    made = Database.from_settings(settings)
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def journal(database: Database) -> Journal:
    return Journal(database)


@pytest.fixture
def count(database: Database) -> Callable[[str], int]:
    from sqlalchemy import text

    def rows(table: str) -> int:
        with database.begin() as connection:
            return int(connection.scalar(text(f"SELECT count(*) FROM cityledger.{table}")) or 0)

    return rows
