"""DuckDB sessions: offline, on S3, on the lake, without telling secrets."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from cityledger.errors import CityLedgerError, UnavailableError
from cityledger.settings import Settings
from cityledger.storage.duck import EXTENSIONS, connect, extension_file, snapshot_id
from cityledger.storage.objects import ObjectStore
from pydantic import SecretStr


def test_extensions_come_from_their_wheels() -> None:
    """Prevents a download, and a wheel of another DuckDB version that would not load."""
    assert all(duckdb.__version__ in str(extension_file(name)) for name in EXTENSIONS)
    with pytest.raises(CityLedgerError, match=r"install duckdb-extension-spatial==") as caught:
        extension_file("spatial")
    assert caught.value.code == "extension_missing"


def test_nothing_is_fetched_at_run_time(settings: Settings) -> None:
    """Prevents a call home for an extension that nobody installed."""
    with connect(settings) as session:
        for name in ("autoinstall_known_extensions", "autoload_known_extensions"):
            row = session.execute("SELECT current_setting($name)", {"name": name}).fetchone()
            assert row == (False,)
        with pytest.raises(duckdb.Error):
            session.execute("LOAD spatial")
    assert not list(settings.home.rglob("*.duckdb_extension"))


def test_spills_in_a_new_home(settings: Settings, tmp_path: Path) -> None:
    """Prevents a fresh home from failing with the first delivery that does not fit into memory."""
    fresh = settings.model_copy(update={"home": tmp_path / "new" / "home"})
    with connect(fresh) as session:
        session.execute("SET memory_limit = '48MiB'")
        session.execute("CREATE TABLE large AS SELECT md5(range::varchar) FROM range(2_000_000)")
        assert session.execute("SELECT count(*) FROM large").fetchone() == (2_000_000,)
        assert list((fresh.home / "duckdb" / "temp").iterdir())


def test_lake_keeps_snapshots_in_s3(ready_settings: Settings) -> None:
    """Prevents a lake whose files or history are somewhere else than configured."""
    with connect(ready_settings, lake=True) as session:
        session.execute("CREATE TABLE lake.main.t AS SELECT 1 AS a")
        before = snapshot_id(session)
        session.execute("INSERT INTO lake.main.t SELECT range FROM range(100_000)")
        assert snapshot_id(session) > before
    with connect(ready_settings, lake=True, read_only=True) as session:
        old = session.execute(f"SELECT count(*) FROM lake.main.t AT (VERSION => {before})")
        assert old.fetchone() == (1,)
        with pytest.raises(duckdb.Error, match="read-only"):
            session.execute("INSERT INTO lake.main.t VALUES (2)")
    assert any(ObjectStore.from_settings(ready_settings).list("lake", "main/t/"))


def _attach(settings: Settings, barrier: Any) -> None:
    barrier.wait()
    connect(settings, lake=True).close()


def test_processes_that_attach_first_at_once_all_get_in(ready_settings: Settings) -> None:
    """Prevents failed tasks on the very first day, when no catalogue exists yet."""
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(4)
    processes = [fork.Process(target=_attach, args=(ready_settings, barrier)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4


def test_secrets_are_not_readable_from_a_session(ready_settings: Settings) -> None:
    """Prevents the keys from showing up in DuckDB's own list of secrets or in a query log."""
    assert ready_settings.s3_url is not None
    assert ready_settings.database_url is not None
    secrets = [
        url.get_secret_value().split("@")[0].rpartition(":")[2]
        for url in (ready_settings.s3_url, ready_settings.database_url)
    ]
    with connect(ready_settings, lake=True) as session:
        shown = str(session.execute("FROM duckdb_secrets()").fetchall())
        shown += str(session.execute("FROM duckdb_databases()").fetchall())
    assert not [secret for secret in secrets if secret in shown]


def test_catalogue_that_is_down_is_told_without_the_password(settings: Settings) -> None:
    """Prevents the catalogue's password in the error that everybody sees first."""
    down = settings.model_copy(
        update={"database_url": SecretStr("postgresql://u:hidden-word@127.0.0.1:1/db")}
    )
    with pytest.raises(UnavailableError) as caught:
        connect(down, lake=True)
    assert caught.value.code == "lake_unavailable"
    assert "hidden-word" not in str(caught.value) + str(caught.value.__cause__)


def test_other_bucket_than_the_lake_was_made_with_is_refused(ready_settings: Settings) -> None:
    """Prevents a lake that is written half here and half there after a change of settings."""
    connect(ready_settings, lake=True).close()
    moved = ready_settings.model_copy(update={"bucket_prefix": "elsewhere-"})
    with pytest.raises(CityLedgerError) as caught:
        connect(moved, lake=True)
    assert caught.value.code == "lake_mismatch"


def test_missing_store_is_told(tmp_path: Path) -> None:
    """Prevents an obscure DuckDB error on a machine where nothing was started."""
    bare = Settings(home=tmp_path, s3_url=None, database_url=None)
    with pytest.raises(UnavailableError, match="no object store is configured"):
        connect(bare)
