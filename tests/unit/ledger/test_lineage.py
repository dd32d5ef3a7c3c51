"""Lineage: right names, no values, nothing lost, nothing twice."""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import (
    Column,
    ColumnType,
    Contract,
    Layout,
    ServiceLevel,
    SourceSpec,
)
from cityledger.errors import BadInputError
from cityledger.ledger.identity import (
    contract_fields,
    file_data,
    object_data,
    table_data,
)
from cityledger.ledger.intake import Intake
from cityledger.ledger.lineage import Emitter, Origin, Parent, StageRun, new_run_id
from cityledger.ledger.transport import LedgerConfig, LedgerTransport
from cityledger.records import SpooledFile, Stage
from cityledger.settings import Settings
from cityledger.storage.address import DatabaseAddress
from cityledger.storage.database import Database
from cityledger.storage.tables import lineage_event
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from pydantic import SecretStr
from sqlalchemy import select, text

Count = Callable[[str], int]


@pytest.fixture
def contract() -> Contract:
    phone = Column("phone", ColumnType.STRING, "联系电话", ("联系电话",), classification="personal")
    return Contract(
        id=DatasetId("hotline", "tickets"),
        version="1.2.0",
        title="12345",
        path=Path("hotline/tickets.odcs.yaml"),
        sha256="c" * 64,
        columns=(phone,),
        rules=(),
        source=SourceSpec("drop_folder", {}),
        layout=Layout(),
        service_level=ServiceLevel("day", timedelta(hours=8), timedelta(days=30)),
    )


def _events(database: Database) -> list[dict[str, Any]]:
    with database.begin() as connection:
        query = select(lineage_event).order_by(lineage_event.c.id)
        return [dict(row) for row in connection.execute(query).mappings()]


def _down(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"database_url": SecretStr("postgresql://u:hidden-word@127.0.0.1:1/d")}
    )


def _event(number: int = 1) -> RunEvent:
    return RunEvent(
        eventType=RunState.START,
        eventTime="2026-04-01T08:00:00+08:00",
        run=Run(f"01961a00-0000-7000-8000-{number:012d}"),
        job=Job("cityledger", "hotline.tickets.land"),
        producer="urn:test",
    )


def test_stage_events_carry_identity_version_and_verdicts(
    settings: Settings, database: Database, contract: Contract, records: Any
) -> None:
    """Prevents lineage that cannot say which bytes, which contract and which rules."""
    emitter = Emitter.from_settings(settings)
    parent = Parent(Origin("airflow", "hotline.validate", new_run_id()))
    run = StageRun(
        Stage.VALIDATE,
        "hotline.tickets",
        "2026-03-31",
        delivery="d1",
        contract=contract,
        parent=parent,
    )
    landed = (
        records.receipt().objects[0].model_copy(update={"bucket": "landing", "version_id": "v7"})
    )
    emitter.start(run)
    emitter.complete(
        run,
        inputs=[object_data(landed, rows=11, results=[records.result()])],
        outputs=[object_data(records.ref(), fields=contract_fields(contract), rows=8)],
    )
    start, complete = _events(database)
    assert (start["event_type"], complete["event_type"]) == ("START", "COMPLETE")
    assert {start["run_id"], complete["run_id"]} == {run.run_id}
    assert complete["job_namespace"] == "cityledger"
    assert complete["job_name"] == "hotline.tickets.validate"
    assert complete["sha256"] == hashlib.sha256(complete["raw"]).hexdigest()

    event = json.loads(complete["raw"])
    (read,), (written,) = event["inputs"], event["outputs"]
    assert (read["namespace"], read["name"]) == ("s3://landing", "k/a")
    assert read["facets"]["version"]["datasetVersion"] == "v7"
    assert read["inputFacets"]["inputStatistics"]["rowCount"] == 11
    (assertion,) = read["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert assertion["name"] == "hotline.tickets.phone.format"
    assert assertion["success"] is False
    assert assertion["actual"] == "2 of 10 failed"
    assert written["facets"]["version"]["datasetVersion"] == f"sha256:{'a' * 8}"
    assert written["facets"]["schema"]["fields"][0]["name"] == "phone"
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 8
    facets = event["run"]["facets"]
    assert facets["parent"]["job"] == {
        "facets": {},
        "name": "hotline.validate",
        "namespace": "airflow",
    }
    assert facets["nominalTime"]["nominalStartTime"] == "2026-03-31T00:00:00+08:00"
    assert facets["nominalTime"]["nominalEndTime"] == "2026-04-01T00:00:00+08:00"
    assert facets["cityledger_stage"]["contract"] == {"version": "1.2.0", "sha256": "c" * 64}
    producers = {event["producer"], *(facet["_producer"] for facet in facets.values())}
    assert all(one.startswith("urn:cityledger:") for one in producers)


def test_failure_names_foreign_errors_without_their_text(
    settings: Settings, database: Database
) -> None:
    """Prevents a citizen's number in lineage because an exception quoted the row."""
    emitter = Emitter.from_settings(settings)
    run = StageRun(Stage.PARSE, "hotline.tickets", "2026-03-31")
    emitter.fail(run, ValueError("bad phone 13900000000"))
    emitter.fail(run, BadInputError("no header", where="工单.xlsx", code="no_header"))
    foreign, own = (json.loads(event["raw"]) for event in _events(database))
    assert foreign["run"]["facets"]["errorMessage"]["message"] == "builtins.ValueError"
    assert "13900000000" not in json.dumps(foreign)
    assert own["run"]["facets"]["errorMessage"]["message"] == "no_header: 工单.xlsx: no header"


def test_names_follow_the_naming_rules() -> None:
    """Prevents two names for one dataset, temporary paths and credentials in names."""
    spooled = SpooledFile(
        path=Path("spool/x"),
        name="工单.csv",
        sha256="a",
        size=1,
        source_uri="file:///drop/hotline/%E5%B7%A5%E5%8D%95.csv",
    )
    assert (file_data(spooled).namespace, file_data(spooled).name) == (
        "file",
        "/drop/hotline/工单.csv",
    )
    remote = spooled.model_copy(update={"source_uri": "sftp://user:word@h:22/out/a.csv"})
    assert (file_data(remote).namespace, file_data(remote).name) == ("sftp://h:22", "out/a.csv")
    catalogue = DatabaseAddress.parse("postgresql://u:p@db:5433/cityledger")
    table = table_data(catalogue, "core.dim_area", 42)
    assert (table.namespace, table.name, table.version) == (
        "ducklake://db:5433/cityledger",
        "core.dim_area",
        "42",
    )


def test_identical_event_is_one_row(settings: Settings, database: Database, count: Count) -> None:
    """Prevents a resent event from counting twice."""
    transport = LedgerTransport(LedgerConfig(settings=settings))
    for _ in range(3):
        assert transport.emit(_event())
    assert count("lineage_event") == 1


def test_events_survive_a_database_that_was_down(
    settings: Settings, database: Database, count: Count, caplog: pytest.LogCaptureFixture
) -> None:
    """Prevents lost lineage: what could not be written is delivered with the next event."""
    offline = LedgerTransport(LedgerConfig(settings=_down(settings)))
    with caplog.at_level(logging.WARNING):
        assert [offline.emit(_event(number)) for number in (1, 2, 1)] == [False] * 3
    assert "hidden-word" not in caplog.text
    assert len(list((settings.home / "outbox").glob("*.json"))) == 3
    assert count("lineage_event") == 0

    LedgerTransport(LedgerConfig(settings=settings)).emit(_event(3))
    assert [event["run_id"][-1] for event in _events(database)] == ["1", "2", "3"]
    assert not list((settings.home / "outbox").iterdir())


def test_event_before_the_first_migration_is_kept(settings: Settings) -> None:
    """Prevents lost lineage on a database whose tables do not exist yet."""
    database = Database.from_settings(settings)
    with database.begin() as connection:
        connection.execute(text("DROP SCHEMA IF EXISTS cityledger CASCADE"))
    intake = Intake(settings)
    assert intake.accept(b'{"eventType": "START"}') is False
    database.migrate()
    assert intake.flush_outbox() == 1
    assert [event["event_type"] for event in _events(database)] == ["START"]


def _flush(settings: Settings) -> int:
    return Intake(settings).flush_outbox()


def test_processes_deliver_one_outbox_together(
    settings: Settings, database: Database, count: Count
) -> None:
    """Prevents duplicates, losses or crashes when several tasks find the same outbox."""
    offline = Intake(_down(settings))
    for number in range(20):
        offline.accept(json.dumps({"number": number}).encode())
    with multiprocessing.get_context("fork").Pool(3) as pool:
        pool.map(_flush, [settings] * 3)
    assert count("lineage_event") == 20
    assert not list(offline.outbox.iterdir())


@pytest.mark.parametrize(
    "raw",
    [
        b"not json",
        b"\xff\xfe",
        b"[1]",
        b'{"run": "x", "job": {"name": 7}, "eventTime": "yesterday"}',
        b'{"eventTime": "2026-04-01T08:00:00", "producer": "\\u0000\\ud800"}',
        json.dumps({"job": {"name": "n" * 10_000, "namespace": "办" * 5_000}}).encode(),
    ],
    ids=["text", "bytes", "list", "wrong types", "odd text", "long"],
)
def test_whatever_comes_is_kept_as_it_came(
    settings: Settings, database: Database, raw: bytes
) -> None:
    """Prevents an event that we cannot read from being lost or from blocking the outbox."""
    assert Intake(settings).accept(raw)
    (event,) = _events(database)
    assert event["raw"] == raw
    assert event["event_time"] is None


def test_transport_is_loadable_by_configuration(
    settings: Settings, database: Database, count: Count
) -> None:
    """Prevents Airflow's provider, which knows only the class's name, from emitting to nowhere."""
    config = {"transport": {"type": "cityledger.ledger.transport.LedgerTransport"}}
    client = OpenLineageClient(config=config)
    client.emit(_event())
    client.close()
    assert count("lineage_event") == 1
    with pytest.raises(ValueError, match="takes no options, got url"):
        LedgerConfig.from_dict({"type": "x", "url": "y"})


def test_airflows_provider_loads_the_transport(
    settings: Settings, database: Database, count: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prevents a change of the provider from silently turning lineage off."""
    monkeypatch.setenv(
        "AIRFLOW__OPENLINEAGE__TRANSPORT",
        '{"type": "cityledger.ledger.transport.LedgerTransport"}',
    )
    from airflow.providers.openlineage.plugins.adapter import OpenLineageAdapter

    OpenLineageAdapter().emit(_event())
    assert count("lineage_event") == 1


def test_parent_is_read_as_airflow_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents stage runs that hang in the air beside the task that ran them."""
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", "default/dag.task/0196-1")
    monkeypatch.delenv("OPENLINEAGE_ROOT_PARENT_ID", raising=False)
    assert Parent.from_environment() == Parent(Origin("default", "dag.task", "0196-1"))
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", "nonsense")
    assert Parent.from_environment() is None
