"""transport.signalised_intersections: an .xls register with true Excel dates and typed ones."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import xlwt

from cityledger.demo.generate.answers import Place
from cityledger.demo.generate.city import DISTRICTS, districts
from cityledger.demo.generate.delivery import Delivery, close
from cityledger.demo.generate.planting import NOTHING, Book, Corrected
from cityledger.demo.generate.spellings import days, pick
from cityledger.demo.generate.table import Columns, Table
from cityledger.demo.generate.workbooks import xls_bytes

DATASET = "transport.signalised_intersections"
_ROADS = (
    "云海路",
    "汐月街",
    "青屿大道",
    "灯塔路",
    "桥北中路",
    "望潮街",
    "竹溪路",
    "澜山大道",
    "港湾路",
    "科创路",
)
_ADAPTIVE = {
    "990102": 0.88,
    "990103": 0.84,
    "990104": 0.8,
    "990105": 0.78,
    "990106": 0.55,
    "990181": 0.7,
}
_MODES = ("单点定时", "单点感应", "干线协调", "区域协调")
_HEADER = (
    *("路口编号", "路口名称", "所在区", "控制方式", "自适应控制", "运行状态"),
    *("安装日期", "改造日期", "进口道数", "经度", "纬度", "维护单位"),
)
_TITLES = 1
_NUMBERS = (8, 9, 10)
_DATE_STYLE = xlwt.easyxf(num_format_str="YYYY-MM-DD")


def _columns(rng: np.random.Generator, rows: int, end: date) -> Columns:
    areas = districts(rng, rows)
    installed = [date(2004, 1, 1) + timedelta(days=int(n)) for n in rng.integers(7000, size=rows)]
    renewed = [
        min(day + timedelta(days=int(years) * 365), end) if years else None
        for day, years in zip(installed, rng.choice((0, 0, 0, 5, 8), rows), strict=True)
    ]
    roads = rng.integers(len(_ROADS), size=(rows, 2)).tolist()
    points = rng.random((rows, 2)).tolist()
    return {
        "intersection_id": [f"XK{number:06d}" for number in range(1, rows + 1)],
        "intersection_name": [
            f"{_ROADS[a]}与{_ROADS[b if a != b else (b + 1) % len(_ROADS)]}路口" for a, b in roads
        ],
        "district": areas,
        "control_mode": [_MODES[i] for i in rng.choice(4, rows, p=(0.15, 0.15, 0.3, 0.4))],
        "adaptive": [
            "是" if draw < _ADAPTIVE[area] else "否"
            for draw, area in zip(rng.random(rows).tolist(), areas, strict=True)
        ],
        "status": rng.choice(
            np.array(["在用", "故障", "停用"]), rows, p=(0.94, 0.03, 0.03)
        ).tolist(),
        "installed_on": [day.isoformat() for day in installed],
        "renewed_on": [day.isoformat() if day else "" for day in renewed],
        "approaches": [str(n) for n in rng.choice((3, 4, 4, 4, 5), rows)],
        "longitude": [f"{121.2 + x * 0.8:.6f}" for x, _ in points],
        "latitude": [f"{28.1 + y * 0.7:.6f}" for _, y in points],
        "maintainer": [f"云汐交通设施第{n}工程队" for n in rng.integers(1, 6, size=rows)],
    }


def _plant(table: Table) -> None:
    book = table.book
    for row in book.take("times_out_of_order", 0.006, table.filled("renewed_on")):
        installed = date.fromisoformat(table.cell(row, "installed_on"))
        table.put(row, "renewed_on", (installed - timedelta(days=400)).isoformat())
        book.bad("times_out_of_order", row, warns=("_row.not_before",))
    table.former_area(0.01)
    table.drop(0.004, "adaptive", "不详")
    table.spoil("unknown_code", 0.004, "status", "拆除中", "status.in_set")
    table.spoil("unknown_code", 0.003, "control_mode", "手动", "control_mode.in_set")
    table.spoil("out_of_range", 0.004, "longitude", "28.5", "longitude.between")
    table.spoil("out_of_range", 0.003, "approaches", "44", "approaches.between")
    table.spoil("unreadable_date", 0.004, "installed_on", "2019年13月", "installed_on.type")
    table.deform(
        "bad_format",
        0.003,
        "intersection_id",
        lambda text: text.replace("K", "K-"),
        "intersection_id.pattern",
    )
    table.repeat(0.004, "intersection_id.unique")


def _soil(table: Table) -> None:
    rng = table.book.rng
    table.placeholder(0.02, "maintainer", ("无", "—", "不详"))
    table.respell(
        "date_spelling",
        0.1,
        "installed_on",
        lambda _, text: (pick(rng, days(date.fromisoformat(text))), text),
    )
    table.respell(
        "yes_no_spelling",
        0.03,
        "adaptive",
        lambda _, text: ("Y", "true") if text == "是" else ("N", "false"),
    )
    table.respell("name_for_code", 0.05, "district", lambda _, code: (DISTRICTS[code], code))
    table.widen(0.005, "approaches")


def _write(sheet: xlwt.Worksheet, row: int, column: int, text: str) -> None:
    """One cell: ISO days as Excel dates, figures as numbers, everything else as typed."""
    if len(text) == 10 and text[4] == "-" and text.isascii():
        sheet.write(row, column, date.fromisoformat(text), _DATE_STYLE)
    elif column in _NUMBERS and text.isascii():
        sheet.write(row, column, float(text))
    elif text:
        sheet.write(row, column, text)


def _sheet(workbook: xlwt.Workbook, table: Table) -> None:
    sheet = workbook.add_sheet("路口台账")
    title = "云汐市信号控制路口台账（演示数据，程序生成）"
    sheet.write_merge(0, 0, 0, len(_HEADER) - 1, title)
    for column, text in enumerate(_HEADER):
        sheet.write(_TITLES, column, text)
    for row, record in enumerate(table.records(), _TITLES + 1):
        for column, text in enumerate(record):
            _write(sheet, row, column, text)
    sheet.write(table.book.rows + _TITLES + 1, 0, "填报单位：交通运输局信号管理科")


def build(
    rng: np.random.Generator, rows: int, partition: str, corrected: Corrected = NOTHING
) -> Delivery:
    """The delivery of a month (``2026-03``)."""
    year, month = map(int, partition.split("-"))
    book = Book(DATASET, partition, rows, rng, corrected=corrected)
    table = Table(book, _columns(rng, rows, date(year, month, 28)))
    _plant(table)
    _soil(table)
    for header in ("所在区", "自适应控制"):
        book.renamed(header)
    path = f"transport/信号路口台账_{year}年{month:02d}月.xls"
    first = _TITLES + 2
    book.beside(Place(path, None, first + rows), "note", "note")
    data = xls_bytes(lambda workbook: _sheet(workbook, table))
    return close(book, {path: data}, lambda row: Place(path, None, first + row))
