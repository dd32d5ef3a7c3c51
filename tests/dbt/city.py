"""A small city in validated Parquet, with rows that let every indicator be worked out by hand."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from cityledger.records import Accounting, Release, Validation
from cityledger.settings import PROJECT_DIR, Settings
from cityledger.storage.objects import ObjectStore

STAGING = PROJECT_DIR / "dbt_project" / "models" / "staging"
CONTRACT = hashlib.sha256(b"contract of the test city").hexdigest()
TYPES = {
    "string": pl.String,
    "bigint": pl.Int64,
    "double": pl.Float64,
    "boolean": pl.Boolean,
    "date": pl.Date,
    "timestamp": pl.Datetime("us"),
    "time": pl.Time,
}
Row = Mapping[str, Any]


def staged_columns(dataset: str) -> dict[str, pl.DataType]:
    """Columns of a dataset as its staging model declares them."""
    text = (STAGING / f"stg_{dataset.replace('.', '__')}.sql").read_text("utf-8")
    return {name: _polars(kind) for name, kind in re.findall(r"\('(\w+)', '([^']+)'\)", text)}


def _polars(kind: str) -> Any:
    match = re.match(r"decimal\((\d+), (\d+)\)", kind)
    return pl.Decimal(int(match[1]), int(match[2])) if match else TYPES[kind]


def deliver(
    settings: Settings,
    dataset: str,
    partition: str,
    rows: Sequence[Row],
    *,
    delivery: str = "d1",
    quarantined: int = 0,
    declared: int | None = None,
) -> tuple[Release, Validation]:
    """Put validated rows into the store; what release and validate would have left."""
    delivery = hashlib.sha256(f"{dataset}{partition}{delivery}".encode()).hexdigest()[:16]
    columns = staged_columns(dataset)
    frame = pl.DataFrame(
        {name: [row.get(name) for row in rows] for name in columns}, schema=columns
    ).with_columns(
        pl.lit(f"s3://landing/{dataset}/{partition}/{delivery}.csv").alias("_source_object"),
        pl.int_range(2, len(rows) + 2, dtype=pl.Int64).alias("_source_row"),
    )
    frame = frame.with_columns(
        pl.format(f"{delivery}-0-{{}}", pl.col("_source_row")).alias("_row_id")
    )
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    key = f"{dataset.replace('.', '/')}/{partition}/{delivery}-{CONTRACT[:8]}/part-00000.parquet"
    store = ObjectStore.from_settings(settings)
    validated = store.put_bytes("validated", key, buffer.getvalue())
    release = Release(
        dataset=dataset,
        partition=partition,
        delivery=delivery,
        contract_sha256=CONTRACT,
        validated=validated,
        rows=len(rows),
        released=True,
    )
    parsed = len(rows) + quarantined
    validation = Validation(
        dataset=dataset,
        partition=partition,
        delivery=delivery,
        contract_version="1.0.0",
        contract_sha256=CONTRACT,
        inputs=(),
        accounting=Accounting(
            declared=declared,
            extracted=parsed,
            rejected=0,
            expected_rejects=0,
            parsed=parsed,
            quarantined=quarantined,
            validated=len(rows),
        ),
        results=(),
        validated=validated,
        quarantined=None,
        rejected=None,
        rejects={},
        quarantined_by_rule={},
    )
    return release, validation


def cases() -> Iterable[Row]:
    """Nine finished cases (0 … 8 working days, one over its limit), one in progress."""
    # 2026-03-16 is a Monday; the days below are working days counted from it
    days = [16, 17, 18, 19, 20, 23, 24, 25, 26]
    for number, day in enumerate(days):
        yield {
            "case_no": f"YX{number:014d}",
            "item_code": "A1",
            "item_name": "事项",
            "applicant_type": "自然人",
            "department": "人社局",
            "district": "990102" if number < 5 else "990103",
            "channel": "网上" if number % 3 == 0 else "窗口",
            "accepted_at": datetime(2026, 3, 16, 9),
            "finished_at": datetime(2026, 3, day, 17),
            "statutory_limit_days": 7,
            "status": "已办结",
        }
    yield {
        "case_no": "YX99999999999999",
        "item_code": "A1",
        "item_name": "事项",
        "applicant_type": "法人",
        "department": "人社局",
        "district": "990103",
        "channel": "掌上",
        "accepted_at": datetime(2026, 3, 30, 9),
        "statutory_limit_days": 7,
        "status": "在办",
    }


def tickets() -> Iterable[Row]:
    """Four answered (three in time), one overdue without an answer, one not yet due."""
    created = datetime(2026, 3, 31, 8)
    answers = [1, 2, 3, 30, None, None]
    for number, hours in enumerate(answers):
        deadline = created + timedelta(hours=240 if number == 5 else 12)
        yield {
            "ticket_no": f"GD{number:013d}",
            "created_at": created,
            "category": "101",
            "district": "990102",
            "responsible_department": "城市管理局",
            "urgency": "一般",
            "reply_deadline": deadline,
            "replied_at": None if hours is None else created + timedelta(hours=hours),
            "transfers": 1,
        }


def surveys() -> Iterable[Row]:
    """Five callers reached, four satisfied; one not reached."""
    for number in range(6):
        reached = number < 5
        yield {
            "survey_no": f"HF{number:013d}",
            "ticket_no": f"GD{number:013d}",
            "surveyed_at": datetime(2026, 3, 31, 20),
            "method": "电话",
            "district": "990102",
            "reached": reached,
            "score": 5 if reached else None,
            "satisfied": number < 4 if reached else None,
        }


def trips() -> Iterable[Row]:
    """Thirty trips in 云港区, ten in 汐湾区, by eight cards."""
    for number in range(40):
        entry = datetime(2026, 3, 31, 7) + timedelta(minutes=number)
        yield {
            "trip_id": f"T{number:016d}",
            "card_no": f"{number % 8:016d}",
            "card_type": "01",
            "line": "1",
            "entry_station": "0001",
            "entry_at": entry,
            "exit_station": "0002",
            "exit_at": entry + timedelta(minutes=20),
            "district": "990102" if number < 30 else "990103",
            "fare": Decimal("3.10"),
            "distance": Decimal("5.125"),
            "operating_date": date(2026, 3, 31),
        }


def intersections() -> Iterable[Row]:
    """Ten in service, seven of them adaptive; one adaptive but out of service."""
    for number in range(11):
        yield {
            "intersection_id": f"XK{number:06d}",
            "intersection_name": f"路口{number}",
            "district": "990104",
            "control_mode": "区域协调",
            "adaptive": number < 7 or number == 10,
            "status": "停用" if number == 10 else "在用",
            "approaches": 4,
        }


def air(month: str, *, pm25: str = "40.0") -> Iterable[Row]:
    """Two stations, every hour of the month; the second station's PM2.5 is 21 µg/m³ higher."""
    start = datetime.fromisoformat(f"{month}-01")
    hours = (start.replace(day=28) - start).days * 24 + 24
    for station, district, more in (("9901A01", "990102", 0), ("9901A02", "990103", 21)):
        for hour in range(hours):
            yield {
                "station_code": station,
                "station_name": station,
                "district": district,
                "observed_at": start + timedelta(hours=hour),
                "so2": Decimal("8.0"),
                "no2": Decimal("30.0"),
                "pm10": Decimal("70.0"),
                "pm25": Decimal(pm25) + more,
                "co": Decimal("0.65"),
                "o3": Decimal("90.0"),
            }


def enterprises() -> Iterable[Row]:
    """Five in business, two of them new in March 2026; one cancelled."""
    for number in range(6):
        yield {
            "uscc": f"91990102MA{number:08d}",
            "enterprise_name": f"企业{number}",
            "enterprise_type": "1100",
            "registered_capital": Decimal("500000.00"),
            "industry_code": "I6510",
            "district": "990102",
            "established_on": date(2026, 3, 5) if number < 2 else date(2020, 1, 1),
            "status": "3" if number == 5 else "1",
        }


def visits() -> Iterable[Row]:
    """Twelve visits of four persons."""
    for number in range(12):
        yield {
            "visit_no": f"MZ{number:012d}",
            "citizen_id": f"99010219900101{number % 4:03d}X",
            "patient_name": "测试",
            "sex": "1",
            "birth_date": date(1990, 1, 1),
            "hospital": "第一医院",
            "district": "990102",
            "department": "03",
            "visit_type": "门诊",
            "visited_at": datetime(2026, 3, 31, 9, number),
            "diagnosis": "J06.9",
            "total_fee": Decimal("100.00"),
            "insurance_fee": Decimal("60.00"),
            "self_fee": Decimal("40.00"),
        }


def schools() -> Iterable[Row]:
    """One school before the renaming of 松溪县, one elsewhere: 900 students, 60 teachers."""
    for number, (district, students, teachers) in enumerate(
        [("990122", 300, 20), ("990102", 600, 40)]
    ):
        yield {
            "school_code": f"{number:010d}",
            "school_name": f"学校{number}",
            "district": district,
            "school_type": "211",
            "ownership": "公办",
            "students": students,
            "teachers": teachers,
        }


CITY = {
    ("education.schools", "2025"): schools,
    ("environment.air_quality", "2026-02"): lambda: air("2026-02", pm25="50.0"),
    ("environment.air_quality", "2026-03"): lambda: air("2026-03", pm25="50.0"),
    ("gov_services.service_cases", "2026-03-31"): cases,
    ("health.outpatient_visits", "2026-03-31"): visits,
    ("hotline.satisfaction", "2026-03-31"): surveys,
    ("hotline.tickets", "2026-03-31"): tickets,
    ("market.enterprises", "2026-03"): enterprises,
    ("transport.metro_trips", "2026-03-31"): trips,
    ("transport.signalised_intersections", "2026-03"): intersections,
}


def deliver_city(settings: Settings) -> tuple[list[Release], list[Validation]]:
    """Everything of the city."""
    pairs = [
        deliver(settings, dataset, partition, list(rows()))
        for (dataset, partition), rows in CITY.items()
    ]
    return [release for release, _ in pairs], [validation for _, validation in pairs]


def target(tmp_path: Path) -> Path:
    """Where dbt may write."""
    return tmp_path / "target"
