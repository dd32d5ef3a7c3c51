"""market.enterprises: a zip whose member names are in GBK, with CSV files in GB 18030."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np

from cityledger.demo.generate.answers import Place
from cityledger.demo.generate.archives import zip_bytes
from cityledger.demo.generate.city import DISTRICTS, addresses, districts, names
from cityledger.demo.generate.delivery import Delivery, close
from cityledger.demo.generate.identifiers import (
    organisation_code,
    registration_number,
    uscc,
    wrong_uscc,
)
from cityledger.demo.generate.planting import NOTHING, Book, Corrected
from cityledger.demo.generate.spellings import as_latin, days, full_width, pick
from cityledger.demo.generate.table import Columns, Table
from cityledger.demo.generate.text_files import csv_line, encode_lines

DATASET = "market.enterprises"
_HEADER = {
    "uscc": "统一社会信用代码/注册号",
    "enterprise_name": "企业名称",
    "enterprise_type": "市场主体类型",
    "legal_representative": "法定代表人",
    "registered_capital": "注册资金",
    "industry_code": "行业代码",
    "district": "所在区划",
    "established_on": "成立日期",
    "approved_on": "核准日期",
    "status": "登记状态",
    "employees": "从业人数",
    "address": "住所",
}
_WORDS = [
    "云帆",
    "海岚",
    "汐月",
    "青屿",
    "望潮",
    "竹溪",
    "澜川",
    "星港",
    "远舟",
    "明湾",
    "知行",
    "博海",
    "恒澜",
    "晨汐",
    "瑞屿",
    "嘉桥",
]
_TRADES = (
    ("信息技术", "I6510"),
    ("商贸", "F5199"),
    ("餐饮", "H6210"),
    ("建筑工程", "E4720"),
    ("物流", "G5430"),
    ("农业", "A0111"),
    ("医疗器械", "C3581"),
    ("文化传媒", "R8710"),
)
_FORMS = {
    "1100": ("有限公司", "91"),
    "1200": ("股份有限公司", "91"),
    "4500": ("合伙企业", "91"),
    "4540": ("工作室", "91"),
    "9100": ("专业合作社", "93"),
    "9500": ("经营部", "92"),
}
_TOKENS = ("N/A", "—", "无", "-")


def _columns(rng: np.random.Generator, rows: int, end: date) -> Columns:
    areas = districts(rng, rows)
    forms = rng.choice(np.array(list(_FORMS)), rows, p=(0.4, 0.04, 0.03, 0.05, 0.03, 0.45)).tolist()
    trades = [_TRADES[index] for index in rng.integers(len(_TRADES), size=rows)]
    words = rng.integers(len(_WORDS), size=(rows, 2)).tolist()
    founded = [end - timedelta(days=int(n)) for n in rng.integers(9000, size=rows)]
    delays = rng.integers(0, 30, size=rows).tolist()
    capitals = rng.choice((5, 10, 30, 50, 100, 200, 500, 1000), rows).tolist()
    return {
        "uscc": [
            uscc(_FORMS[form][1], area, 10_000_000 + 7 * number)
            for number, (form, area) in enumerate(zip(forms, areas, strict=True))
        ],
        "enterprise_name": [
            f"{DISTRICTS[area]}{_WORDS[a]}{_WORDS[b]}{trade[0]}{_FORMS[form][0]}"
            for area, form, trade, (a, b) in zip(areas, forms, trades, words, strict=True)
        ],
        "enterprise_type": forms,
        "legal_representative": names(rng, rows),
        "registered_capital": [f"{capital}万元" for capital in capitals],
        "industry_code": [trade[1] for trade in trades],
        "district": areas,
        "established_on": [day.isoformat() for day in founded],
        "approved_on": [
            min(day + timedelta(days=delay), end).isoformat()
            for day, delay in zip(founded, delays, strict=True)
        ],
        "status": rng.choice(
            np.array(["1", "2", "3", "4"]), rows, p=(0.88, 0.03, 0.08, 0.01)
        ).tolist(),
        "employees": [str(n) for n in np.minimum(rng.lognormal(1.8, 1.1, rows), 9e4).astype(int)],
        "address": addresses(rng, areas),
    }


UNREADABLE_CODE = ("uscc.type", "uscc.not_null")


def _plant(table: Table) -> None:
    book = table.book
    for row in book.take("uscc_checksum", 0.001):
        table.put(row, "uscc", wrong_uscc(table.cell(row, "uscc")))
        book.bad("uscc_checksum", row, blocks=UNREADABLE_CODE)
    for row in book.take("times_out_of_order", 0.002, table.filled("approved_on")):
        founded = date.fromisoformat(table.cell(row, "established_on"))
        table.put(row, "approved_on", (founded - timedelta(days=90)).isoformat())
        book.bad("times_out_of_order", row, blocks=("_row.not_before",))
    for row in book.take("mojibake", 0.001):
        table.put(row, "enterprise_name", as_latin(table.cell(row, "enterprise_name")[:12]))
        book.bad("mojibake", row, blocks=("enterprise_name.no_mojibake",))
    for row in book.take("mojibake", 0.001):
        table.put(row, "enterprise_name", "\ufffd\ufffd" + table.cell(row, "enterprise_name")[2:])
        book.bad("mojibake", row, blocks=("enterprise_name.no_mojibake",))
    table.spoil("unknown_code", 0.001, "status", "9", "status.in_set")
    table.spoil("unknown_code", 0.001, "enterprise_type", "0000", "enterprise_type.in_set")
    table.spoil("bad_format", 0.001, "industry_code", "餐饮业", "industry_code.pattern")
    table.spoil(
        "unreadable_date",
        0.001,
        "established_on",
        "2021-02-30",
        "established_on.type",
        "established_on.not_null",
    )
    table.spoil("unreadable_number", 0.001, "registered_capital", "另议", "registered_capital.type")
    table.spoil("out_of_range", 0.001, "employees", "9999999", "employees.between")
    table.former_area(0.002)
    table.drop(0.001, "enterprise_name", "N/A")
    table.repeat(0.001, "uscc.unique")


_CAPITALS: tuple[tuple[str, Callable[[int], str]], ...] = (
    ("USD", lambda amount: f"{amount}(万美元)"),
    ("CNY", lambda amount: f"{amount}万元人民币"),
    ("CNY", lambda amount: f"{amount}万人民币"),
    ("CNY", lambda amount: f"{amount:,}.00万元"),
    ("JPY", lambda amount: f"{amount}万日元"),
    ("CNY", lambda amount: f"{amount}万"),
)
"""Currency and spelling of so many 万."""


def _capitals(table: Table, rate: float) -> None:
    """Units beside the figure; the value is in units of the currency."""
    for row in table.book.take("unit_in_value", rate):
        amount = int(table.cell(row, "registered_capital").removesuffix("万元"))
        currency, spell = _CAPITALS[row % len(_CAPITALS)]
        table.put(row, "registered_capital", spell(amount))
        for column, value in (("", f"{amount * 10_000}.00"), ("_currency", currency)):
            table.book.tolerated("unit_in_value", row, f"registered_capital{column}", value)


def _soil(table: Table) -> None:
    rng = table.book.rng
    _capitals(table, 0.05)
    table.placeholder(0.1, "registered_capital", _TOKENS)
    table.placeholder(0.1, "legal_representative", _TOKENS)
    table.respell(
        "date_spelling",
        0.05,
        "established_on",
        lambda _, text: (pick(rng, days(date.fromisoformat(text))), text),
    )
    table.respell(
        "date_spelling",
        0.03,
        "approved_on",
        lambda _, text: (pick(rng, days(date.fromisoformat(text))), text),
    )
    table.respell(
        "dropped_letter",
        0.03,
        "industry_code",
        lambda _, text: (text[1:].lstrip("0"), text[1:].lstrip("0")),
    )
    table.respell("magnitude", 0.005, "employees", lambda _, __: ("1.2万", "12000"))
    table.respell("name_for_code", 0.02, "district", lambda _, code: (DISTRICTS[code], code))
    table.respell("lower_case", 0.0005, "uscc", lambda _, text: (f" {text.lower()}", text))
    table.respell("full_width_digits", 0.0005, "uscc", lambda _, text: (full_width(text), text))
    _old_numbers(table)


def _organisation(_: str, serial: int) -> str:
    code = organisation_code(40_000_000 + serial)
    return f"{code[:8]}-{code[8]}"


_OLD_NUMBERS: tuple[tuple[str, float, str, Callable[[str, int], str]], ...] = (
    ("old_15_digit_regno", 0.011, "regno15", registration_number),
    ("old_13_digit_regno", 0.0013, "regno13", lambda area, serial: f"{area}{serial:07d}"),
    ("old_organisation_code", 0.0002, "orgcode9", _organisation),
    ("old_certificate", 0.0002, "cert_text", lambda _, serial: f"企合云总字第{serial:06d}号"),
)
"""Defect, share, class and spelling of what stood there before the unified code."""


def _old_numbers(table: Table) -> None:
    """Older numbers in the column of the code: kept, and classified."""
    for defect, rate, kind, spell in _OLD_NUMBERS:
        for row in table.book.take(defect, rate):
            number = spell(table.cell(row, "district"), 10_000 + row)
            table.put(row, "uscc", number)
            table.book.tolerated(defect, row, "uscc", number)
            table.book.tolerated(defect, row, "uscc_class", kind)


def _broken(table: Table) -> dict[int, bytes]:
    """The classic of this register: an unquoted amount with a thousands comma."""
    records = list(table.records())
    at = list(table.columns).index("registered_capital")
    raw: dict[int, bytes] = {}
    for row in table.book.take("ragged_row", 0.001):
        cells = list(records[row])
        raw[row] = ",".join([*cells[:at], "5,000(万美元)", *cells[at + 1 :]]).encode("gb18030")
        table.book.lost("ragged_row", row, "too_many_fields")
    for row in table.book.take("ragged_row", 0.0005):
        raw[row] = csv_line(records[row][:7]).encode("gb18030")
        table.book.lost("ragged_row", row, "too_few_fields")
    for row in table.book.take("undecodable", 0.0005):
        raw[row] = b"\xff" + csv_line(records[row]).encode("gb18030")
        table.book.lost("undecodable", row, "undecodable")
    for row in table.book.take("nul_byte", 0.0005):
        raw[row] = csv_line(records[row]).encode("gb18030").replace(b",", b"\0,", 1)
        table.book.lost("nul_byte", row, "nul_byte")
    return raw


def build(
    rng: np.random.Generator, rows: int, partition: str, corrected: Corrected = NOTHING
) -> Delivery:
    """The delivery of a month (``2026-03``): firms and sole traders in two members."""
    year, month = map(int, partition.split("-"))
    book = Book(DATASET, partition, rows, rng, corrected=corrected)
    table = Table(book, _columns(rng, rows, date(year, month, 28)))
    _plant(table)
    _soil(table)
    raw = _broken(table)
    for column in ("uscc", "registered_capital", "district"):
        book.renamed(_HEADER[column])
    path = f"market/企业登记信息_{year}{month:02d}.zip"
    records = list(table.records())
    cut = rows * 6 // 10
    members: list[tuple[bytes, bytes]] = []
    places: list[Place] = []
    for name, first, last in (
        ("企业登记/1_内资企业.csv", 0, cut),
        ("企业登记/2_个体工商户.csv", cut, rows),
    ):
        lines = [csv_line(list(_HEADER.values())), *map(csv_line, records[first:last])]
        bad = {row - first + 1: raw[row] for row in raw if first <= row < last}
        data, starts = encode_lines(lines, "gb18030", raw=bad)
        members.append((name.encode("gbk"), data))
        places += [Place(path, name, line) for line in starts[1:]]
    return close(book, {path: zip_bytes(members)}, places.__getitem__)
