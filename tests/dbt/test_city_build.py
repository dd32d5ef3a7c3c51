"""The tables that a build leaves, against figures worked out by hand from `city.py`."""

from __future__ import annotations

import hashlib
import hmac
import json
from decimal import Decimal
from pathlib import Path

from cityledger.lifecycle.dbt_run import model_lineage
from cityledger.lifecycle.publish import publish
from cityledger.records import RuleStatus
from cityledger.storage import duck
from cityledger.storage.objects import ObjectStore

from quality_checks.suites import all_suites
from tests.dbt.conftest import KEY, Built

CITY_VALUES = {
    ("EDU-01", "2025"): ("15.0000", "met"),
    ("ENV-01", "2026-02"): ("100.0000", "met"),
    ("ENV-01", "2026-03"): ("100.0000", "met"),
    ("ENV-02", "2026-02"): ("60.5000", "missed"),
    ("ENV-02", "2026-03"): ("60.5000", "missed"),
    ("HLT-01", "2026-03"): ("0.0375", "not_applicable"),
    ("HOT-01", "2026-03"): ("60.0000", "missed"),
    ("HOT-02", "2026-03"): ("80.0000", "missed"),
    ("MKT-01", "2026-03"): ("0.0156", "not_applicable"),
    ("MKT-02", "2026-03"): ("2.0000", "not_applicable"),
    ("SVC-01", "2026-03"): ("4.0000", "met"),
    ("SVC-02", "2026-03"): ("88.8889", "missed"),
    ("SVC-03", "2026-03"): ("40.0000", "not_yet_due"),
    ("TRA-01", "2026-03"): ("70.0000", "not_yet_due"),
    ("TRA-02", "2026-03"): ("0.1250", "not_applicable"),
}


def _rows(built: Built, query: str) -> list[tuple[object, ...]]:
    with duck.connect(built.settings, lake=True, read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_city_values_are_those_worked_out_by_hand(built: Built) -> None:
    """A wrong join or filter changes a figure and nothing else would tell."""
    rows = _rows(
        built,
        "SELECT indicator_code, period, value, status FROM lake.indicators.fct_indicator_value"
        " WHERE area_level = 'city'",
    )
    assert {(code, period): (str(value), status) for code, period, value, status in rows} == (
        CITY_VALUES
    )


def test_districts_are_those_in_force_at_the_end_of_the_period(built: Built) -> None:
    """松溪县 has a value for 2025 and 松溪区 for 2026, never both for the same period."""
    rows = _rows(
        built,
        "SELECT period, area_code, value FROM lake.indicators.fct_indicator_value"
        " WHERE area_code IN ('990106', '990122') AND indicator_code IN ('EDU-01', 'TRA-01')"
        " ORDER BY ALL",
    )
    assert rows == [("2025", "990122", Decimal("15.0000")), ("2026-03", "990106", None)]


def test_regulation_changes_on_the_first_of_march(built: Built) -> None:
    """PM2.5 of 60.5 µg/m³ rounds to 60: AQI 82 in February, 100 in March."""
    rows = _rows(
        built,
        "SELECT month(day), regulation, min(aqi), max(aqi) FROM lake.core.fct_air_quality_day"
        " WHERE place_type = 'area' AND place_code = '990100' GROUP BY ALL ORDER BY ALL",
    )
    assert rows == [(2, "HJ 633-2012", 82, 82), (3, "HJ 633-2026", 100, 100)]


def test_everything_released_is_staged_and_balanced(built: Built) -> None:
    """A delivery that is lost between validated and staging shows in the accounting."""
    staged = {(s.dataset, s.partition): s.rows for s in built.result.staged}
    assert staged == {(r.dataset, r.partition): r.rows for r in built.releases}
    balanced = _rows(built, "SELECT is_balanced FROM lake.audit.aud_accounting_identity")
    assert balanced == [(True,)] * len(built.releases)


def test_person_is_the_keyed_hash_of_the_citizen_number(built: Built) -> None:
    """The SQL must be the HMAC of the standard, or no other system can join on it."""
    keys = {row[0] for row in _rows(built, "SELECT person_key FROM lake.core.dim_person")}
    expected = {
        hmac.new(KEY.encode(), f"99010219900101{n:03d}X".encode(), hashlib.sha256).hexdigest()
        for n in range(4)
    }
    assert keys == expected


def test_no_identifier_leaves_staging(built: Built) -> None:
    """A name or a number in core would be readable by everybody who may read indicators."""
    tables = [table for table in built.result.digests if not table.startswith("staging.")]
    assert len(tables) > 30
    with duck.connect(built.settings, lake=True, read_only=True) as connection:
        for table in tables:
            found = connection.execute(
                f"SELECT count(*) FROM lake.{table} AS t WHERE"
                " contains(cast(t AS varchar), '测试') OR"
                " regexp_matches(cast(t AS varchar), '99010219900101|000000000000000[0-7]\\b')"
                " AND NOT regexp_matches(cast(t AS varchar), 'T000000000000')"
            ).fetchone()
            assert found == (0,), table


def test_no_secret_in_artefacts(built: Built, target_dir: Path) -> None:
    """Compiled SQL and manifests go into evidence packs: they may hold no key or password."""
    url = built.settings.s3_url
    database = built.settings.database_url
    assert url is not None
    assert database is not None
    secrets = [
        KEY,
        url.get_secret_value().split(":")[2].split("@")[0],
        database.get_secret_value().split(":")[2].split("@")[0],
    ]
    files = [path for path in target_dir.rglob("*") if path.is_file()]
    assert len(files) > 100
    for path in files:
        content = path.read_bytes()
        assert not any(secret.encode() in content for secret in secrets), path


def test_lineage_names_the_lake_s_tables(built: Built, target_dir: Path) -> None:
    """Per-model events are made from it: a missing input breaks the trace of a number."""
    lineage = {item.model: item for item in model_lineage(target_dir)}
    assert {item.output for item in lineage.values()} == set(built.result.digests)
    assert lineage["stg_hotline__tickets"].datasets == ("hotline.tickets",)
    assert lineage["fct_hotline_ticket"].inputs == (
        "staging.stg_hotline__satisfaction",
        "staging.stg_hotline__tickets",
    )
    assert lineage["fct_indicator_value"].output == "indicators.fct_indicator_value"


def test_publication_is_the_same_bytes_each_time(built: Built) -> None:
    """Evidence compares SHA-256: publishing twice must not look like a change."""
    store = ObjectStore.from_settings(built.settings)
    first = publish(built.result, settings=built.settings, store=store)
    again = publish(built.result, settings=built.settings, store=store)
    assert [ref.sha256 for ref in first.objects] == [ref.sha256 for ref in again.objects]
    assert first.content_sha256 == built.result.digests["indicators.fct_indicator_value"]
    assert first.objects[-1].key == "indicators/latest.json"
    assert {(v.code, v.period): (v.value, v.status.value) for v in first.values} == CITY_VALUES
    table = store.get_bytes("published", first.objects[1].key)
    assert table.startswith(b"\xef\xbb\xbfindicator_code,")
    assert table.count(b"\r\n") == first.rows + 1
    pointer = json.loads(store.get_bytes("published", "indicators/latest.json"))
    assert pointer["snapshot_id"] == built.result.snapshot_id
    assert set(pointer["objects"]) == {ref.key for ref in first.objects[:-1]}


def test_suites_judge_the_tables_that_they_are_written_for(built: Built) -> None:
    """A suite that nobody runs, or that reads a column that is gone, protects nothing."""
    expected = {spec.key for suite in all_suites().values() for _, spec in suite.specs()}
    assert expected <= {result.key for result in built.result.results}
    assert not [one for one in built.result.results if one.status is RuleStatus.ERROR]
