"""gov_services.service_cases: CSV in GB 18030, Chinese header, edited by hand at counters."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np

from cityledger.demo.generate.answers import Place
from cityledger.demo.generate.city import DISTRICTS, districts, phones
from cityledger.demo.generate.delivery import Delivery, close
from cityledger.demo.generate.planting import NOTHING, Book, Corrected
from cityledger.demo.generate.spellings import iso, moments, pick
from cityledger.demo.generate.table import Columns, Table, broken_lines
from cityledger.demo.generate.text_files import csv_line, encode_lines

DATASET = "gov_services.service_cases"
_ITEMS = (
    ("YX0101", "食品经营许可", "市场监督管理局", 20),
    ("YX0102", "营业执照办理", "市场监督管理局", 5),
    ("YX0201", "不动产转移登记", "自然资源局", 30),
    ("YX0202", "建设工程规划许可", "自然资源局", 20),
    ("YX0301", "社会保障卡申领", "人力资源和社会保障局", 15),
    ("YX0302", "失业保险金申领", "人力资源和社会保障局", 10),
    ("YX0401", "道路货运经营许可", "交通运输局", 20),
    ("YX0501", "医疗机构执业登记", "卫生健康委员会", 45),
)
_CHANNELS = ("窗口", "网上", "自助终端", "掌上")
_USED_SHARE = {"990106": (0.55, 0.95), "990181": (0.5, 0.85)}
_HEADER = {
    "case_no": "办件编号",
    "item_code": "事项编码",
    "item_name": "事项名称",
    "applicant_type": "申请人类型",
    "phone": "申请人电话",
    "department": "办理部门",
    "district": "区划代码",
    "channel": "办理渠道",
    "accepted_at": "受理时间",
    "finished_at": "办结时间",
    "statutory_limit_days": "法定时限（工作日）",
    "promised_limit_days": "承诺时限（工作日）",
    "status": "办件状态",
    "satisfaction": "满意度评价",
}


def _workdays_before(day: date, count: int) -> date:
    while count:
        day -= timedelta(days=1)
        count -= day.weekday() < 5
    return day


def _columns(rng: np.random.Generator, rows: int, day: date) -> Columns:
    items = [_ITEMS[index] for index in rng.integers(len(_ITEMS), size=rows)]
    areas = districts(rng, rows)
    shares = rng.random(rows).tolist()
    states = rng.choice(np.array(["已办结", "在办", "退件"]), rows, p=(0.82, 0.13, 0.05)).tolist()
    minutes = rng.integers(0, 420, size=(rows, 2)).tolist()
    scores = rng.choice(6, rows, p=(0.35, 0.01, 0.02, 0.05, 0.17, 0.4)).tolist()
    accepted, finished = [], []
    for item, area, share, (first, second) in zip(items, areas, shares, minutes, strict=True):
        low, high = _USED_SHARE.get(area, (0.3, 0.75))
        used = int(item[3] * (low + share * (high - low)))
        start, end = sorted((first, second)) if used == 0 else (first, second)
        opening = datetime.combine(_workdays_before(day, used), datetime.min.time())
        accepted.append(opening + timedelta(hours=9, minutes=start))
        finished.append(
            datetime.combine(day, datetime.min.time()) + timedelta(hours=9, minutes=end)
        )
    return {
        "case_no": [f"YX{day:%Y%m%d}{number:06d}" for number in range(1, rows + 1)],
        "item_code": [item[0] for item in items],
        "item_name": [item[1] for item in items],
        "applicant_type": rng.choice(np.array(["自然人", "法人"]), rows, p=(0.7, 0.3)).tolist(),
        "phone": phones(rng, rows),
        "department": [item[2] for item in items],
        "district": areas,
        "channel": [_CHANNELS[i] for i in rng.choice(4, rows, p=(0.3, 0.45, 0.1, 0.15))],
        "accepted_at": [iso(moment) for moment in accepted],
        "finished_at": [
            "" if state == "在办" else iso(moment)
            for state, moment in zip(states, finished, strict=True)
        ],
        "statutory_limit_days": [str(item[3]) for item in items],
        "promised_limit_days": [str(max(1, item[3] * 3 // 5)) for item in items],
        "status": states,
        "satisfaction": [
            str(score) if score and state == "已办结" else ""
            for score, state in zip(scores, states, strict=True)
        ],
    }


def _plant(table: Table) -> None:
    book = table.book
    for row in book.take("times_out_of_order", 0.004, table.filled("finished_at")):
        late = datetime.fromisoformat(table.cell(row, "finished_at")) + timedelta(days=2)
        table.put(row, "accepted_at", iso(late))
        book.bad("times_out_of_order", row, blocks=("_row.not_before",))
    for row in book.take(
        "missing_conditional", 0.004, lambda row: table.cell(row, "status") == "已办结"
    ):
        table.put(row, "finished_at", "")
        book.bad("missing_conditional", row, blocks=("_row.required_if",))
    for row in book.take("promise_above_limit", 0.005):
        limit = int(table.cell(row, "statutory_limit_days"))
        table.put(row, "promised_limit_days", str(limit + 5))
        book.bad("promise_above_limit", row, warns=("_row.at_most_column",))
    table.drop(0.003, "accepted_at", "—")
    table.drop(0.003, "department", "无")
    table.spoil("unknown_code", 0.003, "channel", "邮寄", "channel.in_set")
    table.spoil("unknown_code", 0.002, "status", "办结中", "status.in_set")
    table.former_area(0.003)
    table.spoil(
        "out_of_range", 0.003, "statutory_limit_days", "999", "statutory_limit_days.between"
    )
    table.spoil("out_of_range", 0.003, "satisfaction", "9", "satisfaction.between")
    table.spoil(
        "unreadable_number", 0.002, "promised_limit_days", "十天左右", "promised_limit_days.type"
    )
    table.spoil("unreadable_phone", 0.004, "phone", "140-0000", "phone.type")
    table.repeat(0.003, "case_no.unique")


def _soil(table: Table) -> None:
    table.placeholder(0.02, "phone", ("无", "—", "N/A", "-"))
    table.widen(0.004, "statutory_limit_days")
    table.respell("date_spelling", 0.05, "accepted_at", lambda _, text: _spelled(table, text))
    table.respell("date_spelling", 0.03, "finished_at", lambda _, text: _spelled(table, text))
    table.respell("padding", 0.01, "item_name", lambda _, text: (f"\u3000{text} ", text))
    table.respell(
        "line_break_in_cell", 0.002, "item_name", lambda _, text: (text + "\n变更", text + "\n变更")
    )
    table.respell(
        "inner_blanks", 0.004, "district", lambda _, code: (" ".join(DISTRICTS[code]), code)
    )


def _spelled(table: Table, text: str) -> tuple[str, str]:
    return pick(table.book.rng, moments(datetime.fromisoformat(text))), text


def build(
    rng: np.random.Generator, rows: int, partition: str, corrected: Corrected = NOTHING
) -> Delivery:
    """The delivery of a day."""
    day = date.fromisoformat(partition)
    book = Book(DATASET, partition, rows, rng, corrected=corrected)
    table = Table(book, _columns(rng, rows, day))
    _plant(table)
    _soil(table)
    raw = broken_lines(table, 0.0008, "gb18030")
    for column in ("phone", "district", "statutory_limit_days", "promised_limit_days"):
        book.renamed(_HEADER[column])
    lines = [csv_line(list(_HEADER.values())), *map(csv_line, table.records())]
    data, starts = encode_lines(lines, "gb18030", raw={row + 1: line for row, line in raw.items()})
    path = f"gov_services/政务服务办件_{day:%Y%m%d}.csv"
    return close(book, {path: data}, lambda row: Place(path, None, starts[row + 1]))
