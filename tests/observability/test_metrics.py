"""The metrics: what they say is what the journals hold, and they survive what they watch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cityledger.cli.main import app
from cityledger.console.app import create_app as create_console
from cityledger.errors import BadInputError
from cityledger.ledger.log import checkpoint
from cityledger.ledger.log.examined import save_examination
from cityledger.ledger.log.verify import verify
from cityledger.observability.metrics import catalogue
from cityledger.observability.metrics.app import create_app
from cityledger.observability.metrics.catalogue import Kind
from cityledger.observability.metrics.exposition import Exposition
from cityledger.observability.metrics.totals import Totals
from cityledger.records import Outcome, Stage
from cityledger.runner import Runner
from cityledger.settings import Settings, get_settings
from cityledger.storage.database import Database
from cityledger_stack.ports import pick
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import text
from starlette.testclient import TestClient
from typer.testing import CliRunner

METRO, PARTITION = "transport.metro_trips", "2026-03-31"
NOW = datetime(2026, 4, 3, tzinfo=UTC)


class Scrape:
    """An exposition as Prometheus's own parser reads it."""

    def __init__(self, exposed: bytes) -> None:
        self.text = exposed.decode()
        self.families = list(text_string_to_metric_families(self.text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The only sample of that name and labels."""
        found = [s.value for s in self.samples if s.name == name and s.labels == labels]
        assert len(found) == 1, (name, labels, found)
        return found[0]

    def has(self, name: str) -> bool:
        return any(sample.name == name for sample in self.samples)


def scrape(settings: Settings, **options: Any) -> Scrape:
    return Scrape(Exposition(settings, **options).text())


@pytest.fixture
def judged(delivered: Settings) -> Runner:
    """One delivery that has come through the gate."""
    runner = Runner(delivered)
    runner.extract_land(METRO, PARTITION)
    runner.parse_validate(METRO, PARTITION)
    runner.release(METRO, PARTITION)
    return runner


def test_figures_are_those_of_the_journal(judged: Runner) -> None:
    """A dashboard that differs from the ledger is believed, and wrong."""
    accounting = judged.journal.find_validation(
        METRO, PARTITION, judged.journal.receipts(METRO, PARTITION)[0].delivery,
        judged.contract(METRO).sha256,
    ).accounting  # fmt: skip
    seen = scrape(judged.settings, clock=lambda: NOW)
    rows = {
        outcome: seen.value("cityledger_rows_total", dataset=METRO, outcome=outcome)
        for outcome in ("validated", "quarantined", "rejected", "expected")
    }
    assert rows["validated"] == accounting.validated > 0
    assert rows["quarantined"] == accounting.quarantined
    assert sum(rows.values()) == accounting.extracted
    rejects = [s.value for s in seen.samples if s.name == "cityledger_rejected_rows_total"]
    assert sum(rejects) == accounting.rejected
    for stage in ("extract", "land", "parse", "validate", "release"):
        labels = {"dataset": METRO, "stage": stage, "status": "success"}
        assert seen.value("cityledger_stage_attempts_total", **labels) == 1
        assert seen.value("cityledger_stage_duration_seconds_count", stage=stage) == 1
    assert seen.value("cityledger_releases_waiting") == 1
    assert seen.value("cityledger_database_up") == seen.value("cityledger_store_up") == 1
    assert not [s for s in seen.samples if s.name.endswith("exposition_failed") and s.value]


def test_counters_do_not_fall_when_the_process_starts_anew(judged: Runner) -> None:
    """A counter that starts at zero after each restart hides what happened before it."""
    kept = Exposition(judged.settings, clock=lambda: NOW)
    before = Scrape(kept.text())
    again = scrape(judged.settings, clock=lambda: NOW)
    names = {metric.name for metric in catalogue.METRICS if metric.kind is not Kind.GAUGE}
    of_before, of_again = (
        {(s.name, *s.labels.items()): s.value for s in one.samples if _family(s.name) in names}
        for one in (before, again)
    )
    assert of_before == of_again
    assert of_before


def test_later_looks_read_what_came_since(ready_settings: Settings) -> None:
    """Years of journal read at every scrape would make watching the heaviest load of all."""
    database = Database.from_settings(ready_settings)
    totals, journal = Totals(database), Runner(ready_settings).journal
    journal.record(_outcome("1", "success"))
    with database.begin() as connection:
        connection.execute(text("ALTER TABLE cityledger.outcome DISABLE TRIGGER USER"))
        connection.execute(
            text("UPDATE cityledger.outcome SET saved_at = saved_at - interval '1 hour'")
        )
    journal.record(_outcome("2", "failure"))

    def seen() -> dict[Any, float]:
        return totals.figures().values[catalogue.ATTEMPTS]

    first = seen()
    assert first == {(METRO, "parse", "success"): 1, (METRO, "parse", "failure"): 1}
    assert seen() == first  # the fresh row is not counted twice
    with database.begin() as connection:  # the settled row is not read again: it is gone by now
        connection.execute(text("DELETE FROM cityledger.outcome WHERE run_id = '1'"))
    journal.record(_outcome("3", "failure"))
    assert seen() == {(METRO, "parse", "success"): 1, (METRO, "parse", "failure"): 2}


def test_late_held_and_unsigned_things_show(judged: Runner) -> None:
    """What nobody sees waits for ever: missing deliveries, held batches, events not signed."""
    held = judged.journal.find_release(
        METRO, PARTITION, judged.journal.receipts(METRO, PARTITION)[0].delivery
    )
    assert held is not None
    judged.journal.save_release(held.model_copy(update={"released": False, "reasons": ("bad",)}))
    seen = scrape(judged.settings, clock=lambda: NOW + timedelta(days=7))
    assert seen.value("cityledger_held_batches", dataset=METRO) == 1
    assert seen.value("cityledger_releases_waiting") == 0
    # 2026-04-01 and the days after it are owed by 2026-04-10 at the latest, and have not come.
    assert 5 <= seen.value("cityledger_dataset_overdue_partitions", dataset=METRO) <= 9
    assert seen.value("cityledger_dataset_overdue_seconds", dataset=METRO) > 5 * 86400
    end = datetime(2026, 3, 31, 16, tzinfo=UTC).timestamp()  # midnight in Asia/Shanghai
    assert seen.value("cityledger_dataset_period_end_timestamp_seconds", dataset=METRO) == end
    assert seen.value("cityledger_ledger_unsigned_events") > 0
    assert not seen.has("cityledger_ledger_verified_timestamp_seconds")

    checkpoint(judged.settings, database=judged.database, store=judged.store)
    report = verify(judged.settings, database=judged.database, store=judged.store)
    save_examination(judged.database, report)
    seen = scrape(judged.settings)
    assert seen.value("cityledger_ledger_unsigned_events") == 0
    assert seen.value("cityledger_ledger_signed_events") == report.tree_size
    assert seen.value("cityledger_ledger_findings") == 0
    age = datetime.now(UTC).timestamp() - seen.value("cityledger_ledger_verified_timestamp_seconds")
    assert 0 <= age < 60


def test_a_delivery_in_place_of_a_held_one_ends_its_wait(judged: Runner) -> None:
    """A steward sent to a batch that has been replaced finds nothing to decide."""
    (first,) = judged.journal.receipts(METRO, PARTITION)
    verdict = judged.journal.find_release(METRO, PARTITION, first.delivery)
    assert verdict is not None
    judged.journal.save_release(verdict.model_copy(update={"released": False}))
    newer = first.model_copy(update={"delivery": "f" * 16, "sequence": 2})
    judged.journal.save_receipt(newer)
    assert not scrape(judged.settings).has("cityledger_held_batches")


def test_events_in_the_outbox_show(ready_settings: Settings) -> None:
    """Events that never leave a worker's disk are lost with it."""
    outbox = ready_settings.home / "outbox"
    (outbox / "refused").mkdir(parents=True)
    (outbox / "01700000000000000000-0123456789abcdef.json").write_text("{}")
    (outbox / "refused" / "01700000000000000000-0123456789abcdee.json").write_text("{}")
    seen = scrape(ready_settings)
    assert seen.value("cityledger_outbox_events") == 1
    assert seen.value("cityledger_outbox_refused_events") == 1
    assert seen.value("cityledger_outbox_oldest_timestamp_seconds") == 1_700_000_000


def test_a_dead_database_is_told_not_raised(ready_settings: Settings) -> None:
    """An endpoint that fails together with what it watches reports nothing when it matters."""
    nowhere = f"postgresql://u:p@127.0.0.1:{pick()}/d"
    dead = ready_settings.model_copy(update={"database_url": SecretStr(nowhere)})
    seen = scrape(dead)
    assert seen.value("cityledger_database_up") == 0
    assert seen.value("cityledger_store_up") == 1
    assert seen.value("cityledger_exposition_failed", part="totals") == 1
    assert not seen.has("cityledger_rows_total")


def test_a_dead_store_is_told_not_raised(ready_settings: Settings) -> None:
    """The other half of the same."""
    nowhere = SecretStr(f"http://a:bbbbbbbb@127.0.0.1:{pick()}")
    seen = scrape(ready_settings.model_copy(update={"s3_url": nowhere}))
    assert seen.value("cityledger_store_up") == 0
    assert not seen.has("cityledger_store_latency_seconds")
    assert seen.value("cityledger_releases_waiting") == 0


def test_values_of_data_never_become_labels(ready_settings: Settings) -> None:
    """Each new label value is a series for ever, and anybody's id number would be one."""
    journal = Runner(ready_settings).journal
    for number, code in enumerate(["110101199003074514", "bad_date", "no such file: 张三"]):
        outcome = _outcome(str(number), "failure").model_copy(update={"error_code": code})
        journal.record(outcome)
    journal.record(
        _outcome("r", "success").model_copy(
            update={"detail": {"rejects": {"13800138000": 1, "too_few_fields": 2}}}
        )
    )
    seen = scrape(ready_settings)
    assert seen.value("cityledger_stage_errors_total", stage="parse", code="other") == 2
    assert seen.value("cityledger_rejected_rows_total", dataset=METRO, reason="other") == 1
    for secret in ("110101199003074514", "张三", "13800138000"):
        assert secret not in seen.text


def test_a_failure_counts_from_zero(ready_settings: Settings) -> None:
    """Prometheus sees growth only: a counter that appears as 1 has not grown."""
    Runner(ready_settings).journal.record(_outcome("1", "success"))
    labels = {"dataset": METRO, "stage": "parse", "status": "failure"}
    assert scrape(ready_settings).value("cityledger_stage_attempts_total", **labels) == 0


def test_many_kinds_of_errors_stay_few_series(ready_settings: Settings) -> None:
    """Exceptions come from a hundred libraries; each class by name would add up for ever."""
    journal = Runner(ready_settings).journal
    for number in range(80):
        outcome = _outcome(str(number), "failure")
        journal.record(outcome.model_copy(update={"error_code": f"Error{number}"}))
    seen = scrape(ready_settings)
    codes = [s for s in seen.samples if s.name == "cityledger_stage_errors_total"]
    assert len(codes) == 61
    assert sum(sample.value for sample in codes) == 80


def test_exposed_metrics_are_the_catalogues(judged: Runner) -> None:
    """Dashboards and alerts are checked against the catalogue, so it must be true."""
    seen = scrape(judged.settings)
    known = {(one.name, one.kind.value, one.help) for one in catalogue.METRICS}
    for family in seen.families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert (name, family.type, family.documentation) in known
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert labels == set(catalogue.BY_NAME[name].labels)


def test_scrapes_in_a_row_are_answered_from_memory(
    judged: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody with the token could otherwise keep the database busy."""
    exposition = Exposition(judged.settings)
    first = exposition.text()
    monkeypatch.setattr(exposition, "figures", lambda: pytest.fail("asked again"))
    assert exposition.text() == first


# --- who may read ------------------------------------------------------------------------------

TOKEN = "generated-for-this-test"


@pytest.fixture(params=["alone", "console"])
def address(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ask(ready_settings: Settings, address: str) -> Iterator[Any]:
    """Ask for the metrics, from an address, with a token or without, with headers."""

    def asked(peer: str = "127.0.0.1", token: str | None = None, **headers: str) -> tuple[int, str]:
        settings = ready_settings.model_copy(
            update={"metrics_token": SecretStr(token) if token else None}
        )
        served = (
            create_app(settings)
            if address == "alone"
            else create_console(settings, identify=lambda _: None)
        )
        client = TestClient(served, client=(peer, 50_000))
        answer = client.get(
            "/metrics", headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        return answer.status_code, answer.text

    return asked


def test_without_a_token_only_this_machine_reads(ask: Any) -> None:
    """Who delivers late is not for everybody who finds the port."""
    status, exposed = ask()
    assert status == 200
    assert list(text_string_to_metric_families(exposed))
    assert ask(peer="::1")[0] == 200
    for other in ("10.0.0.5", "192.168.1.1", "::ffff:10.0.0.5"):
        assert ask(peer=other)[0] == 403, other


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_a_proxy_on_this_machine_opens_nothing(ask: Any, header: str) -> None:
    """Behind a reverse proxy everybody seems to be this machine."""
    assert ask(**{header.replace("-", "_"): "127.0.0.1"})[0] == 403


def test_with_a_token_it_is_the_token_that_counts(ask: Any) -> None:
    """A scraper is let in wherever it runs; a process without the token nowhere."""
    assert ask(peer="10.0.0.5", token=TOKEN, Authorization=f"Bearer {TOKEN}")[0] == 200
    for wrong in ({}, {"Authorization": TOKEN}, {"Authorization": "Bearer wrong"},
                  {"Authorization": f"Basic {TOKEN}"}, {"Authorization": "Bearer "}):  # fmt: skip
        status, words = ask(token=TOKEN, **wrong)
        assert status == 401, wrong
        assert TOKEN not in words


def test_metrics_hold_no_persons(judged: Runner, small_city: Path) -> None:
    """Metrics are kept for years by systems that know no classification."""
    exposed = scrape(judged.settings).text
    contract = judged.contract(METRO)
    for person in (contract.owner, contract.steward, contract.contact):
        assert not person or person not in exposed
    assert not re.search(r"(?<!\d)1[3-9]\d{9}(?!\d)|[1-9]\d{16}[\dX]", exposed.replace("e+09", ""))


def _family(sample: str) -> str:
    return re.sub(r"_(bucket|count|sum|created)$", "", sample)


def _outcome(number: str, status: str) -> Outcome:
    return Outcome(
        run_id=number,
        stage=Stage.PARSE,
        dataset=METRO,
        partition=PARTITION,
        status=status,
        started_at=NOW,
        ended_at=NOW + timedelta(seconds=2),
    )


# --- the command -------------------------------------------------------------------------------


def test_the_command_prints_the_figures(judged: Runner) -> None:
    """A machine without a console has a cron job and a text file."""
    done = CliRunner().invoke(app, ["metrics"])
    assert done.exit_code == 0
    seen = Scrape(done.stdout.encode())
    assert seen.value("cityledger_rows_total", dataset=METRO, outcome="validated") > 0


@pytest.mark.parametrize("token", [None, TOKEN])
def test_the_command_does_not_offer_itself_to_a_network(
    ready_settings: Settings, token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a token nobody could read; with one, it would cross the network in the clear."""
    if token:
        monkeypatch.setenv("CITYLEDGER_METRICS_TOKEN", token)
        get_settings.cache_clear()
    done = CliRunner().invoke(app, ["metrics", "--serve", "--host", "192.0.2.1"])
    assert isinstance(done.exception, BadInputError)
    assert done.exception.code == ("unencrypted_login" if token else "metrics_without_token")
