"""Builds again, differently: the tables are a function of the releases and of nothing else."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cityledger.errors import CityLedgerError
from cityledger.lifecycle.dbt_run import invoke
from cityledger.lifecycle.standardise import standardise
from cityledger.settings import Settings
from cityledger.storage import duck

from tests.dbt.city import deliver, deliver_city, trips
from tests.dbt.conftest import Built

_BUILD = """
import pickle, sys
from pathlib import Path
from cityledger.lifecycle.standardise import standardise
settings, releases, validations, target = pickle.load(open(sys.argv[1], "rb"))
standardise(releases, settings=settings, target_dir=target, validations=validations)
"""


def test_killed_build_is_completed_by_the_next(
    built: Built, new_lake: Callable[[], Settings], target_dir: Path, tmp_path: Path
) -> None:
    """A power cut must leave neither half tables nor a lock; and threads must not matter."""
    settings = new_lake().model_copy(update={"threads": 4})
    releases, validations = deliver_city(settings)
    job = tmp_path / "job"
    job.write_bytes(pickle.dumps((settings, releases, validations, target_dir)))
    process = subprocess.Popen([sys.executable, "-c", _BUILD, str(job)])
    tables = _kill_when_half_built(process, settings)
    assert 5 < tables < len(built.result.digests)
    assert process.wait() == -signal.SIGKILL
    completed = standardise(
        releases, settings=settings, target_dir=target_dir, validations=validations
    )
    assert completed.digests == _digests_of(built, settings)


def test_redelivery_replaces_and_withdrawal_removes(
    built: Built, new_lake: Callable[[], Settings], target_dir: Path
) -> None:
    """Rows of an older delivery would be counted twice; going back must give the old tables."""
    settings = new_lake().model_copy(update={"threads": 1})
    releases, validations = deliver_city(settings)
    again = deliver(
        settings, "transport.metro_trips", "2026-03-31", list(trips())[:25], delivery="d2"
    )
    kept = [
        (release, validation)
        for release, validation in zip(releases, validations, strict=True)
        if release.dataset not in {"transport.metro_trips", "hotline.satisfaction"}
    ]
    first = standardise(releases, settings=settings, target_dir=target_dir, validations=validations)
    changed = standardise(
        [*(release for release, _ in kept), again[0]],
        settings=settings,
        target_dir=target_dir,
        validations=[*(validation for _, validation in kept), again[1]],
    )
    rows = {model.name: model.rows for model in changed.models}
    assert rows["stg_transport__metro_trips"] == 25
    assert rows["stg_hotline__satisfaction"] == 0
    back = standardise(
        releases,
        settings=settings,
        target_dir=target_dir,
        validations=validations,
        full_refresh=True,
    )
    assert first.digests == back.digests == _digests_of(built, settings)
    assert changed.digests != first.digests


def test_nothing_released_gives_insufficient_data(
    new_lake: Callable[[], Settings], target_dir: Path
) -> None:
    """A new city must see every indicator as lacking data, not an empty page or an error."""
    settings = new_lake()
    result = standardise([], settings=settings, target_dir=target_dir, validations=[])
    with duck.connect(settings, lake=True, read_only=True) as connection:
        values = connection.execute(
            "SELECT count(*), count(DISTINCT indicator_code), min(status), max(status),"
            " min(period), max(period) FROM lake.indicators.fct_indicator_value"
        ).fetchone()
        missing = connection.execute(
            "SELECT count(*) FROM lake.audit.aud_completeness"
            " WHERE subject_type = 'dataset' AND status = 'missing'"
        ).fetchone()
    assert values == (13, 13, *["insufficient_data"] * 2, *["none"] * 2)
    assert missing == (9,)
    assert result.staged == ()


def test_lost_row_stops_the_build(new_lake: Callable[[], Settings], target_dir: Path) -> None:
    """A count that differs must fail, name the test, and show no value of the data."""
    build_with_a_lost_row(new_lake(), target_dir)


def test_without_a_key_nothing_is_built(new_lake: Callable[[], Settings], target_dir: Path) -> None:
    """Falling back to a plain hash would make every person guessable."""
    settings = new_lake().model_copy(update={"pseudonym_key": None})
    with pytest.raises(CityLedgerError) as caught:
        standardise([], settings=settings, target_dir=target_dir, validations=[])
    assert caught.value.code == "pseudonym_key_missing"


def test_macro_fails_closed_without_a_key(built: Built, target_dir: Path) -> None:
    """The same when somebody runs dbt by hand."""
    settings = built.settings
    assert settings.s3_url is not None
    assert settings.database_url is not None
    with pytest.raises(CityLedgerError, match="no pseudonym key"):
        invoke(
            ["compile", "--select", "dim_person"],
            project_dir=settings.dbt_project_dir,
            target_dir=target_dir,
            environment={
                "CITYLEDGER_HOME": str(settings.home / "elsewhere"),
                "CITYLEDGER_S3_URL": settings.s3_url.get_secret_value(),
                "CITYLEDGER_DATABASE_URL": settings.database_url.get_secret_value(),
                "CITYLEDGER_BUCKET_PREFIX": settings.bucket_prefix,
                "CITYLEDGER_DBT_INPUT_DIR": str(target_dir / "input"),
            },
        )


def test_unit_tests_of_the_models(built: Built, target_dir: Path) -> None:
    """They run against the lake's schemas, so they need a built one."""
    settings = built.settings
    assert settings.s3_url is not None
    assert settings.database_url is not None
    assert settings.pseudonym_key is not None
    results = invoke(
        ["test", "--select", "test_type:unit"],
        project_dir=settings.dbt_project_dir,
        target_dir=target_dir,
        environment={
            "CITYLEDGER_HOME": str(settings.home),
            "CITYLEDGER_S3_URL": settings.s3_url.get_secret_value(),
            "CITYLEDGER_DATABASE_URL": settings.database_url.get_secret_value(),
            "CITYLEDGER_BUCKET_PREFIX": settings.bucket_prefix,
            "CITYLEDGER_PSEUDONYM_KEY": settings.pseudonym_key.get_secret_value(),
            "CITYLEDGER_DBT_INPUT_DIR": str(target_dir / "input"),
        },
    )
    assert [result.status for result in results] == ["pass"] * 5


def build_with_a_lost_row(settings: Settings, target_dir: Path) -> None:
    """Build from a validation that counts a row which its object does not hold: it is refused."""
    release, validation = deliver(settings, "transport.metro_trips", "2026-03-31", list(trips()))
    counts = validation.accounting
    more = {name: getattr(counts, name) + 1 for name in ("extracted", "parsed", "validated")}
    one_more = validation.model_copy(update={"accounting": counts.model_copy(update=more)})
    with pytest.raises(CityLedgerError) as caught:
        standardise([release], settings=settings, target_dir=target_dir, validations=[one_more])
    assert caught.value.code == "dbt_failed"
    assert "accounting_identity_holds" in str(caught.value)
    assert "2026-03-31" not in str(caught.value)


def _digests_of(built: Built, settings: Settings) -> dict[str, str]:
    """The reference digests; the lakes differ in their bucket names only, which no table holds."""
    assert built.settings.bucket_prefix != settings.bucket_prefix
    return built.result.digests


def _kill_when_half_built(process: subprocess.Popen[bytes], settings: Settings) -> int:
    """Kill it when 20 tables are there; returns how many there are."""
    deadline = time.monotonic() + 300
    tables = 0
    while tables < 20 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
        tables = _count_tables(settings)
    os.kill(process.pid, signal.SIGKILL)
    return tables


def _count_tables(settings: Settings) -> int:
    with duck.connect(settings, lake=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'lake'"
        ).fetchone()
    return row[0] if row else 0
