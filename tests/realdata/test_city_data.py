"""Four real data sets through the embedded stack: the same Airflow DAGs, servers and dbt macros.

374 days of case counts are 1,122 task processes: about half an hour on two cores. With
``CITYLEDGER_REALDATA_HOME`` the stack is kept in that folder and left running, so that the next
session looks at what is there and runs only what is missing.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import cityledger_stack
import polars as pl
import pytest
from cityledger.contracts.identity import DatasetId
from cityledger.demo.airflow_client import AirflowClient, wait_until
from cityledger.demo.day import STANDARDISE, Day
from cityledger.errors import CityLedgerError
from cityledger.ledger.journal import Journal
from cityledger.records import Publication, Release, RuleStatus, Standardisation, Validation
from cityledger.settings import Settings, get_settings
from cityledger.storage import duck
from cityledger.storage.database import Database

from tests.conftest import stack_environment
from tests.realdata.air_quality_index import daily_indices
from tests.realdata.extracts import (
    BEIJING,
    CASES,
    CONTRACTS,
    DBT_PROJECT,
    DELIVERIES,
    FIRST_DAY,
    LAST_DAY,
    deliver,
    station_files,
)

pytestmark = [pytest.mark.realdata, pytest.mark.timeout(3 * 3600)]

ROWS = {
    BEIJING: 420_768,
    CASES: 229_084,
    "nyc.service_requests": 1_235,
    "lirr.stop_times": 22_730,
    "lirr.trips": 2_081,
    "lirr.stops": 127,
}
# Elements that break a rule, over all partitions; rules that nothing breaks are left out.
BROKEN = {
    f"{BEIJING}._row.at_least_column": 21_312,
    f"{CASES}.confirmed.sum_of_parts": 863,
    f"{CASES}._row.at_least_sum": 827,
    f"{CASES}._row.required_if": 994,
    "nyc.service_requests._row.not_before": 10,
}
STATION_DAYS = 12 * 1_461
CASE_DAYS = 374
_PATIENCE = 2.5 * 3600.0
# A small delivery waits for servers as long as it computes: four tasks a core keep it busy.
_SLOTS = str(4 * (os.cpu_count() or 1))


@dataclass(frozen=True)
class City:
    """The four data sets after their way through the stack."""

    settings: Settings
    releases: list[Release]
    validations: list[Validation]
    build: Standardisation
    publication: Publication

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds in the lake as the build left it."""
        with duck.connect(self.settings, lake=True, read_only=True) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def city(server_dir: Path, request: pytest.FixtureRequest) -> Iterator[City]:
    """All deliveries run by Airflow, standardised and published."""
    kept = os.environ.get("CITYLEDGER_REALDATA_HOME")
    places = {
        "CITYLEDGER_CONTRACTS_DIR": str(CONTRACTS),
        "CITYLEDGER_DBT_PROJECT_DIR": str(DBT_PROJECT),
        "AIRFLOW__CORE__PARALLELISM": _SLOTS,
        "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": _SLOTS,
        "AIRFLOW__CORE__DEFAULT_POOL_TASK_SLOT_COUNT": _SLOTS,
    }
    with stack_environment(Path(kept) if kept else server_dir / "realdata", **places):
        cityledger_stack.up()
        try:
            settings = get_settings()
            deliver(settings.drop_dir)
            with AirflowClient.from_settings(settings) as airflow:
                _run_cases(airflow)
            Day(settings, DELIVERIES).run()
            yield _look(settings)
            with AirflowClient.from_settings(settings) as airflow:
                _report(request, airflow, Journal(Database.from_settings(settings)))
        finally:
            if not kept:
                cityledger_stack.down()


def _run_cases(airflow: AirflowClient) -> None:
    """Every day a partition, by Airflow's own backfill."""
    dag_id = DatasetId.parse(CASES).dag_id
    late = CityLedgerError("Airflow does not show the DAGs or does not end the backfill")
    wait_until(lambda: dag_id in airflow.dag_ids(), seconds=180, every=2, failure=late)
    # One build of the tables at the end: one after every few days would take the cores from them.
    airflow.pause(STANDARDISE, True)
    airflow.pause(dag_id, False)
    if len(_days(airflow)) < CASE_DAYS:
        airflow.backfill(dag_id, FIRST_DAY, LAST_DAY, max_active_runs=16)
    wait_until(lambda: _ended(airflow), seconds=_PATIENCE, every=10, failure=late)
    airflow.pause(STANDARDISE, False)
    assert Counter(_days(airflow).values()) == {"success": CASE_DAYS}


def _days(airflow: AirflowClient) -> dict[str, str]:
    """Partition → state of its newest run."""
    dag_id = DatasetId.parse(CASES).dag_id
    runs = [run for run in airflow.runs("2000-01-01T00:00:00Z") if run["dag_id"] == dag_id]
    runs.sort(key=lambda run: str(run["queued_at"]))
    return {run["partition_key"]: run["state"] for run in runs}


def _ended(airflow: AirflowClient) -> bool:
    days = _days(airflow)
    return len(days) == CASE_DAYS and set(days.values()) <= {"success", "failed"}


def _look(settings: Settings) -> City:
    journal = Journal(Database.from_settings(settings))
    releases, build = journal.released(), journal.latest_standardisation()
    assert build is not None
    publication = journal.find_publication(build.snapshot_id)
    assert publication is not None
    validations = [
        validation
        for one in releases
        if (
            validation := journal.find_validation(
                one.dataset, one.partition, one.delivery, one.contract_sha256
            )
        )
    ]
    assert len(validations) == len(releases)
    return City(settings, releases, validations, build, publication)


def test_every_partition_was_delivered(city: City) -> None:
    """A backfill that leaves a day out would still look green on most pages."""
    days = [str(FIRST_DAY + timedelta(days=number)) for number in range(CASE_DAYS)]
    assert days[-1] == str(LAST_DAY)
    expected = {*DELIVERIES, *((CASES, day) for day in days)}
    assert {(one.dataset, one.partition) for one in city.releases} == expected


def test_every_row_is_accounted_for(city: City) -> None:
    """Extracted = parsed + rejected, parsed = validated + quarantined, validated = staged."""
    extracted: Counter[str] = Counter()
    for one in city.validations:
        counts = one.accounting
        extracted[one.dataset] += counts.extracted
        assert counts.extracted == counts.parsed + counts.rejected
        assert counts.parsed == counts.validated + counts.quarantined
        assert (counts.rejected, counts.quarantined) == (0, 0)
    assert extracted == ROWS
    staged: Counter[str] = Counter()
    for part in city.build.staged:
        staged[part.dataset] += part.rows
    assert staged == ROWS
    balance = city.rows(
        "SELECT dataset, bool_and(is_balanced), sum(validated), sum(staged)"
        " FROM lake.audit.aud_accounting_identity GROUP BY dataset"
    )
    assert {row[0]: row[1:] for row in balance} == {
        dataset: (True, rows, rows) for dataset, rows in ROWS.items()
    }


def test_known_defects_are_found_exactly(city: City) -> None:
    """Rules that find more or fewer than a count made by other means are wrong."""
    failed: Counter[str] = Counter()
    for one in city.validations:
        for result in one.results:
            assert result.status is not RuleStatus.ERROR, result
            failed[result.key] += result.failed
    assert {key: count for key, count in failed.items() if count} == BROKEN


def test_missing_values_stay_missing(city: City) -> None:
    """NA is a known token: NULL in the tables, neither zero nor rejected."""
    columns = {"co": 20_701, "o3": 13_277, "no2": 12_116, "pm25": 8_739}
    nulls = ", ".join(f"count(*) - count({name})" for name in columns)
    found = city.rows(f"SELECT {nulls} FROM lake.staging.stg_beijing__air_quality_hourly")
    assert found == [tuple(columns.values())]


def test_falls_are_found_across_partitions(city: City) -> None:
    """No delivery by itself shows that a cumulative count fell since the day before."""
    found = {result.key: (result.status, result.failed) for result in city.build.results}
    assert found == {f"{CASES}.confirmed.non_decreasing": (RuleStatus.WARNING, 7)}


def test_times_after_midnight_belong_to_their_service_day(city: City) -> None:
    """590 stops at 24:00:00 or later must not wrap around to the morning."""
    late = "arrival_time >= 86400 OR departure_time >= 86400"
    found = city.rows(f"SELECT count(*) FROM lake.staging.stg_lirr__stop_times WHERE {late}")
    assert found == [(590,)]


def test_daily_index_of_every_station_equals_an_independent_one(city: City) -> None:
    """The macros' whole-number arithmetic against exact fractions, for all 17,532 days."""
    built = city.rows(
        "SELECT place_code, day, aqi FROM lake.core.fct_air_quality_day"
        " WHERE place_type = 'station'"
    )
    expected = daily_indices(station_files())
    assert len(built) == len(expected) == STATION_DAYS
    assert {(station, day): index for station, day, index in built} == expected


def test_the_indicator_is_published(city: City) -> None:
    """Five years of the city's share of good days leave the platform with their digest."""
    values = {value.period: value for value in city.publication.values}
    assert sorted(values) == ["2013", "2014", "2015", "2016", "2017"]
    assert all(value.value is not None for value in values.values())


# --- the report ---------------------------------------------------------------------------------


def _report(request: pytest.FixtureRequest, airflow: AirflowClient, journal: Journal) -> None:
    plugins = request.config.pluginmanager
    reporter, capture = plugins.getplugin("terminalreporter"), plugins.getplugin("capturemanager")
    city = _look(get_settings())
    shape = {"tbl_rows": -1, "tbl_cols": -1, "tbl_width_chars": 130, "fmt_str_lengths": 60}
    nodes = city.build.models
    with (
        capture.global_and_fixture_disabled(),
        pl.Config(**shape, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True),
    ):
        for table in (_counts(city, airflow), _defects(city), _values(city)):
            reporter.write_line(f"\n{table}")
        reporter.write_line(
            f"last build: {len(nodes)} dbt nodes in {sum(node.seconds for node in nodes):.1f} s, "
            f"snapshot {city.build.snapshot_id}; published {city.publication.content_sha256}"
        )


def _counts(city: City, airflow: AirflowClient) -> pl.DataFrame:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for one in city.validations:
        counts[one.dataset] += Counter(
            partitions=1,
            **one.accounting.model_dump(include={"extracted", "rejected", "quarantined"}),
            validated=one.accounting.validated,
        )
    for part in city.build.staged:
        counts[part.dataset]["staged"] += part.rows
    columns = ("partitions", "extracted", "rejected", "quarantined", "validated", "staged")
    times = _times(airflow)
    return pl.DataFrame(
        [
            {"dataset": dataset, **{name: row[name] for name in columns}, **times[dataset]}
            for dataset, row in sorted(counts.items())
        ]
    )


def _times(airflow: AirflowClient) -> Mapping[str, dict[str, float]]:
    """Per dataset: wall-clock seconds of its runs, and the seconds of all its tasks."""
    started: dict[str, list[datetime]] = defaultdict(list)
    ended: dict[str, list[datetime]] = defaultdict(list)
    busy: Counter[str] = Counter()
    for task in airflow.tasks("2000-01-01T00:00:00Z"):
        if task["start_date"] and task["end_date"]:
            started[task["dag_id"]].append(datetime.fromisoformat(task["start_date"]))
            ended[task["dag_id"]].append(datetime.fromisoformat(task["end_date"]))
            busy[task["dag_id"]] += task["duration"] or 0
    return {
        dataset: {
            "seconds": round((max(ended[dag]) - min(started[dag])).total_seconds(), 1),
            "task seconds": round(busy[dag], 1),
        }
        for dataset in ROWS
        if (dag := DatasetId.parse(dataset).dag_id) in started
    }


def _defects(city: City) -> pl.DataFrame:
    found: Counter[str] = Counter()
    for one in city.validations:
        found.update({result.key: result.failed for result in one.results if result.failed})
    found.update({result.key: result.failed for result in city.build.results})
    return pl.DataFrame({"rule": list(found), "elements that break it": list(found.values())})


def _values(city: City) -> pl.DataFrame:
    columns = ("code", "period", "value", "unit")
    return pl.DataFrame(
        [{name: getattr(one, name) for name in columns} for one in city.publication.values]
    )
