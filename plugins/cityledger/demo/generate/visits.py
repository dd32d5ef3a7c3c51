"""health.outpatient_visits: UTF-8 with a byte order mark, saved by Excel, ids damaged by it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import numpy as np

from cityledger.demo.generate.answers import Place
from cityledger.demo.generate.city import citizens, names
from cityledger.demo.generate.delivery import Delivery, close
from cityledger.demo.generate.identifiers import old_citizen_id, wrong_citizen_id
from cityledger.demo.generate.planting import NOTHING, Book, Corrected
from cityledger.demo.generate.spellings import days, excel_damaged, full_width, iso, moments, pick
from cityledger.demo.generate.table import Columns, Table, broken_lines
from cityledger.demo.generate.text_files import csv_line, encode_lines

DATASET = "health.outpatient_visits"
_HOSPITALS = (
    ("云汐市第一人民医院", "990102"),
    ("云汐市中医院", "990102"),
    ("汐湾区人民医院", "990103"),
    ("青屿区人民医院", "990104"),
    ("桥北区中心医院", "990105"),
    ("松溪区人民医院", "990106"),
    ("澜山市人民医院", "990181"),
)
_DEPARTMENTS = ("02", "03", "03", "04", "05", "07", "10", "11", "12", "13", "50")
_DIAGNOSES = ("J06.9", "I10", "E11.9", "K29.5", "M54.5", "J20.9", "H10.3", "L30.9", "Z00.0")
_HEADER = {
    "visit_no": "就诊流水号",
    "citizen_id": "身份证号",
    "patient_name": "姓名",
    "sex": "性别",
    "birth_date": "出生日期",
    "hospital": "医疗机构名称",
    "district": "医疗机构区划代码",
    "department": "科室代码",
    "visit_type": "就诊类型",
    "visited_at": "就诊时间",
    "diagnosis": "诊断编码",
    "total_fee": "总费用",
    "insurance_fee": "医保支付",
    "self_fee": "个人支付",
}


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _columns(rng: np.random.Generator, rows: int, day: date) -> Columns:
    people = citizens(rng, rows, day - timedelta(days=1))
    places = [
        _HOSPITALS[i] for i in rng.choice(7, rows, p=(0.3, 0.12, 0.17, 0.1, 0.13, 0.07, 0.11))
    ]
    start = datetime.combine(day, datetime.min.time())
    seconds = rng.integers(7 * 3600, 21 * 3600, size=rows).tolist()
    total = np.minimum(rng.lognormal(9.9, 0.9, rows), 5_000_000).astype(np.int64) + 500
    insured = (total * rng.choice((0.0, 0.5, 0.7, 0.85), rows, p=(0.15, 0.35, 0.35, 0.15))).astype(
        np.int64
    )
    urgent = (rng.random(rows) < 0.08).tolist()
    departments = rng.choice(np.array(_DEPARTMENTS), rows).tolist()
    return {
        "visit_no": [f"MZ{day:%y%m%d}{number:06d}" for number in range(1, rows + 1)],
        "citizen_id": [number for number, _, _ in people],
        "patient_name": names(rng, rows),
        "sex": ["男" if male else "女" for _, _, male in people],
        "birth_date": [birth.isoformat() for _, birth, _ in people],
        "hospital": [name for name, _ in places],
        "district": [area for _, area in places],
        "department": ["20" if u else d for u, d in zip(urgent, departments, strict=True)],
        "visit_type": ["急诊" if u else "门诊" for u in urgent],
        "visited_at": [iso(start + timedelta(seconds=second)) for second in seconds],
        "diagnosis": rng.choice(np.array(_DIAGNOSES), rows).tolist(),
        "total_fee": [_money(cents) for cents in total.tolist()],
        "insurance_fee": [_money(cents) for cents in insured.tolist()],
        "self_fee": [_money(cents) for cents in (total - insured).tolist()],
    }


UNREADABLE_ID = ("citizen_id.type", "citizen_id.not_null")


def _plant(table: Table) -> None:
    book = table.book
    for row in book.take("excel_damaged_id", 0.006):
        table.put(row, "citizen_id", excel_damaged(table.cell(row, "citizen_id")))
        book.bad("excel_damaged_id", row, blocks=UNREADABLE_ID)
    for row in book.take("id_checksum", 0.004):
        table.put(row, "citizen_id", wrong_citizen_id(table.cell(row, "citizen_id")))
        book.bad("id_checksum", row, blocks=UNREADABLE_ID)
    for row in book.take("id_birth", 0.001):
        number = table.cell(row, "citizen_id")
        table.put(row, "citizen_id", number[:10] + "1345" + number[14:])
        book.bad("id_birth", row, blocks=UNREADABLE_ID)
    for row in book.take("sex_differs_from_id", 0.004):
        table.put(row, "sex", "女" if table.cell(row, "sex") == "男" else "男")
        book.bad("sex_differs_from_id", row, warns=("_row.sex_matches_id",))
    for row in book.take("birth_differs_from_id", 0.003):
        birth = date.fromisoformat(table.cell(row, "birth_date")) - timedelta(days=30)
        table.put(row, "birth_date", birth.isoformat())
        book.bad("birth_differs_from_id", row, warns=("_row.birth_matches_id",))
    for row in book.take("fee_does_not_add_up", 0.004):
        table.put(row, "self_fee", f"{float(table.cell(row, 'self_fee')) + 10:.2f}")
        book.bad("fee_does_not_add_up", row, blocks=("_row.sum_of",))
    table.drop(0.002, "citizen_id", "无")
    table.drop(0.002, "visited_at", "")
    table.spoil("unknown_code", 0.002, "department", "99", "department.in_set")
    table.spoil("unknown_code", 0.001, "sex", "X", "sex.type", "sex.not_null")
    table.spoil("bad_format", 0.002, "diagnosis", "感冒", "diagnosis.pattern")
    table.former_area(0.002)
    _negative_fee(table, 0.001)
    table.repeat(0.002, "visit_no.unique")


def _negative_fee(table: Table, rate: float) -> None:
    """A refund booked as a visit: still adds up, but no fee is below zero."""
    for row in table.book.take("out_of_range", rate):
        for column, text in (
            ("total_fee", "-5.00"),
            ("insurance_fee", "0.00"),
            ("self_fee", "-5.00"),
        ):
            table.put(row, column, text)
        table.book.bad("out_of_range", row, blocks=("total_fee.between", "self_fee.between"))


def _soil(table: Table) -> None:
    rng = table.book.rng
    table.respell(
        "date_spelling",
        0.03,
        "visited_at",
        lambda _, text: (pick(rng, moments(datetime.fromisoformat(text))), text),
    )
    table.respell(
        "date_spelling",
        0.05,
        "birth_date",
        lambda _, text: (pick(rng, days(date.fromisoformat(text))), text),
    )
    table.respell("sex_spelling", 0.05, "sex", _sex)
    _old_numbers(table, 0.01)
    for row in table.book.take("full_width_digits", 0.005):
        number = table.cell(row, "citizen_id")
        table.book.tolerated("full_width_digits", row, "citizen_id", number)
        table.put(row, "citizen_id", full_width(number))
    table.respell(
        "inner_blanks",
        0.004,
        "citizen_id",
        lambda _, text: (f"{text[:6]} {text[6:14]} {text[14:]}", text),
    )
    table.respell("lower_case_x", 0.005, "citizen_id", lambda _, text: (text.lower(), text))
    table.respell("thousands", 0.01, "total_fee", lambda _, text: (f"{float(text):,.2f}", text))
    table.placeholder(0.01, "diagnosis", ("无", "—"))


def _sex(_: int, text: str) -> tuple[str, str]:
    return ("M", "1") if text == "男" else ("2", "2")


def _old_numbers(table: Table, rate: float) -> None:
    """15-digit numbers of people born in the last century, over 40, not upgraded yet."""
    ids = table.columns["citizen_id"]
    for row in table.book.take(
        "old_15_digit_id", rate, lambda row: "1932" <= ids[row][6:10] <= "1985"
    ):
        table.book.tolerated("old_15_digit_id", row, "citizen_id", ids[row])
        ids[row] = old_citizen_id(ids[row])


def build(
    rng: np.random.Generator, rows: int, partition: str, corrected: Corrected = NOTHING
) -> Delivery:
    """The delivery of a day."""
    day = date.fromisoformat(partition)
    book = Book(DATASET, partition, rows, rng, corrected=corrected)
    table = Table(book, _columns(rng, rows, day))
    _plant(table)
    _soil(table)
    raw = broken_lines(table, 0.0005, "utf-8")
    for column in ("citizen_id", "patient_name"):
        book.renamed(_HEADER[column])
    header: Sequence[str] = list(_HEADER.values())
    lines = [csv_line(header), *map(csv_line, table.records())]
    data, starts = encode_lines(
        lines, "utf-8-sig", raw={row + 1: line for row, line in raw.items()}
    )
    path = f"health/门诊就诊_{day:%Y%m%d}.csv"
    return close(book, {path: data}, lambda row: Place(path, None, starts[row + 1]))
