"""The real extracts through reader and suite, by the contracts beside this file.

The expected counts were established by other means before (see the README of the extracts).
"""

from __future__ import annotations

from collections import Counter
from datetime import date
from io import BytesIO

import polars as pl
import pytest
from cityledger.contracts.model import Contract
from cityledger.contracts.registry import load_contracts
from cityledger.lifecycle.readers import read_chunks

from quality_checks.compiler import compile_suite
from tests.realdata import extracts

CONTRACTS = load_contracts(extracts.CONTRACTS)
CODES = extracts.PROJECT / "contracts" / "codes"

pytestmark = pytest.mark.realdata

File = tuple[str, bytes]


def _judge(contract: Contract, files: list[File]) -> tuple[Counter[str], pl.DataFrame]:
    """Failing elements by rule (``rows`` and ``rejects`` beside them), and the typed table."""
    suite = compile_suite(contract, codes_dir=CODES, as_of=date(2026, 1, 1))
    session, counts, typed = suite.session(), Counter[str](), []
    for name, content in files:
        for member in read_chunks(BytesIO(content), name, len(content), contract):
            for chunk in member.chunks:
                counts["rejects"] += len(chunk.rejects)
                typed.append(suite.read(chunk.frame))
                session.check(typed[-1])
    table = pl.concat(typed)
    results = (*session.finish([]), *suite.check_history(table))
    assert {result.status.value for result in results} <= {"passed", "warning", "failed"}
    counts.update({result.key.removeprefix(f"{contract.id}."): result.failed for result in results})
    return counts, table


def _broken(counts: Counter[str]) -> dict[str, int]:
    return {key: count for key, count in counts.items() if count}


def _files(*names: str) -> list[File]:
    paths = [extracts.extract_path(name) for name in names]
    return [(path.name, path.read_bytes()) for path in paths]


def test_beijing_air_quality() -> None:
    """420,768 hours; missing values and PM10 below PM2.5 are counted exactly."""
    files = list(extracts.station_files().items())
    counts, table = _judge(CONTRACTS["beijing.air_quality_hourly"], files)
    assert table.height == 420_768
    nulls = table.null_count().row(0, named=True)
    assert (nulls["co"], nulls["o3"], nulls["no2"], nulls["pm25"]) == (
        20_701,
        13_277,
        12_116,
        8_739,
    )
    assert _broken(counts) == {"_row.at_least_column": 21_312}


def test_wuhan_covid_daily() -> None:
    """374 days: sums, falls, impossible rows and pseudo-areas, each day a delivery of its own."""
    contract = CONTRACTS["wuhan.covid_daily"]
    counts, tables = Counter[str](), []
    days = sorted(extracts.extract_path(extracts.CASE_DAYS).glob("*.csv"))
    for day in days:
        found, table = _judge(contract, [(day.name, day.read_bytes())])
        counts.update(found)
        tables.append(table)
    suite = compile_suite(contract, codes_dir=CODES, as_of=date(2026, 1, 1))
    history = suite.check_history(pl.concat(tables))
    assert len(days) == 374
    assert sum(table.height for table in tables) == 229_084
    assert [(result.rule, result.failed) for result in history] == [("non_decreasing", 7)]
    assert _broken(counts) == {
        "_row.required_if": 994,
        "_row.at_least_sum": 827,
        "confirmed.sum_of_parts": 863,
    }


def test_nyc_service_requests() -> None:
    """Ten of 1,235 requests were closed before they were created."""
    contract = CONTRACTS["nyc.service_requests"]
    counts: Counter[str] = Counter()
    rows = 0
    for name in ("nyc311/311.csv", "nyc311/311_Service_Requests.csv"):
        found, table = _judge(contract, _files(name))
        counts.update(found)
        rows += table.height
    assert rows == 1_235
    assert _broken(counts) == {"_row.not_before": 10}


@pytest.mark.parametrize(
    ("dataset", "name", "rows"),
    [
        ("lirr.stop_times", "lirr_gtfs/stop_times.json.gz", 22_730),
        ("lirr.trips", "lirr_gtfs/trips.json", 2_081),
        ("lirr.stops", "lirr_gtfs/stops.json", 127),
    ],
)
def test_lirr_timetable(dataset: str, name: str, rows: int) -> None:
    """A timetable without a fault; times of a service day run past midnight."""
    counts, table = _judge(CONTRACTS[dataset], _files(name))
    assert table.height == rows
    assert _broken(counts) == {}
    if dataset == "lirr.stop_times":
        late = pl.any_horizontal(pl.col("arrival_time", "departure_time") >= 24 * 3600)
        assert table.filter(late).height == 590
