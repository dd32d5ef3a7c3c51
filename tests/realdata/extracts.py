"""Where the real extracts lie, and how they get into a drop folder."""

from __future__ import annotations

import os
import shutil
import tarfile
from datetime import date
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("CITYLEDGER_REALDATA_DIR", PROJECT.parent / "shared" / "realdata"))
CONTRACTS = PROJECT / "tests" / "realdata" / "contracts"
DBT_PROJECT = PROJECT / "tests" / "realdata" / "dbt_project"

BEIJING, CASES = "beijing.air_quality_hourly", "wuhan.covid_daily"
STATIONS = "beijing_air_quality/PRSA_Data_20130301-20170228.tar.gz"
CASE_DAYS = "wuhan_covid_daily/Data"
FIRST_DAY, LAST_DAY = date(2019, 12, 1), date(2020, 12, 8)

# (dataset, partition): the sample of 2025 and the older one, a timetable of autumn 2026.
DELIVERIES = (
    (BEIJING, "2017"),
    ("nyc.service_requests", "2019"),
    ("nyc.service_requests", "2025"),
    ("lirr.stop_times", "2026-09"),
    ("lirr.trips", "2026-09"),
    ("lirr.stops", "2026-09"),
)
_COPIES = {
    "nyc311/311_Service_Requests.csv": "nyc/service_requests/2019",
    "nyc311/311.csv": "nyc/service_requests/2025",
    "lirr_gtfs/stop_times.json.gz": "lirr/2026-09",
    "lirr_gtfs/trips.json": "lirr/2026-09",
    "lirr_gtfs/stops.json": "lirr/2026-09",
}


def extract_path(name: str) -> Path:
    """A file or folder of the extracts; the test fails with a hint when it is not there."""
    path = FOLDER / name
    if not path.exists():
        pytest.fail(
            f"there is no {path}; put the real extracts beside the project, or say where they "
            "are: CITYLEDGER_REALDATA_DIR"
        )
    return path


def station_files() -> dict[str, bytes]:
    """The files of the air quality archive by name, in name order."""
    with tarfile.open(extract_path(STATIONS)) as archive:
        files = {
            Path(member.name).name: stream.read()
            for member in archive.getmembers()
            if member.name.endswith(".csv") and (stream := archive.extractfile(member))
        }
    return dict(sorted(files.items()))


def deliver(drop: Path) -> None:
    """Put all extracts where the contracts look for them."""
    for name, folder in _COPIES.items():
        _put(drop / folder, extract_path(name))
    for day in sorted(extract_path(CASE_DAYS).glob("*.csv")):
        _put(drop / "wuhan" / "covid_daily", day)
    folder = drop / "beijing" / "air_quality_hourly" / "2017"
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in station_files().items():
        (folder / file).write_bytes(content)


def _put(folder: Path, source: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, folder / source.name)
