"""hotline.tickets: a workbook for people, with titles, a merged two-row header, 合计 and notes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from cityledger.demo.generate.answers import Place
from cityledger.demo.generate.city import DISTRICTS, districts, phones
from cityledger.demo.generate.delivery import Delivery, close
from cityledger.demo.generate.planting import NOTHING, Book, Corrected
from cityledger.demo.generate.spellings import iso, moments, pick
from cityledger.demo.generate.table import Columns, Table
from cityledger.demo.generate.workbooks import xlsx_bytes

DATASET = "hotline.tickets"
_CATEGORIES = {
    "101": ("占道经营", "城市管理局"),
    "102": ("电梯停运", "住房和城乡建设局"),
    "103": ("公交绕行", "交通运输局"),
    "104": ("夜间施工噪声", "生态环境局"),
    "105": ("小区停水", "水务局"),
    "106": ("拖欠工资", "人力资源和社会保障局"),
    "107": ("预约挂号", "卫生健康委员会"),
    "108": ("课后服务收费", "教育局"),
    "109": ("预付卡退款", "市场监督管理局"),
    "110": ("消防通道堵塞", "应急管理局"),
}
_GROUPS = (
    ("工单信息", ("工单编号", "受理时间", "诉求类别", "诉求内容", "所属区划")),
    ("诉求人", ("来电号码", "性别")),
    ("办理情况", ("责任单位", "紧急程度", "答复时限", "答复时间", "派单次数")),
)
_WIDTH = 14
_FIRST_DATA_ROW = 5


def ticket_number(day: date, number: int) -> str:
    """The number of a ticket whose reply is due on a day; numbers start at 1."""
    return f"GD{day:%Y%m%d}{number:06d}"


def _columns(rng: np.random.Generator, rows: int, day: date) -> Columns:
    start = datetime.combine(day, datetime.min.time())
    kinds = rng.choice(np.array(list(_CATEGORIES)), rows).tolist()
    urgencies = rng.choice(np.array(["一般", "紧急", "特急"]), rows, p=(0.85, 0.12, 0.03)).tolist()
    days = {"一般": 5, "紧急": 2, "特急": 1}
    deadlines = [start + timedelta(minutes=int(m)) for m in rng.integers(540, 1080, size=rows)]
    created = [
        deadline - timedelta(days=days[urgency], minutes=int(extra))
        for deadline, urgency, extra in zip(
            deadlines, urgencies, rng.integers(0, 240, size=rows), strict=True
        )
    ]
    fates = rng.choice(3, rows, p=(0.93, 0.05, 0.02)).tolist()
    shares = rng.random(rows).tolist()
    replied = []
    for begin, deadline, fate, share in zip(created, deadlines, fates, shares, strict=True):
        span = deadline - begin
        late = deadline + timedelta(minutes=5 + int(share * 300))
        replied.append(("", iso(late))[fate == 1] if fate else iso(_minute(begin + span * share)))
    return {
        "ticket_no": [ticket_number(day, number) for number in range(1, rows + 1)],
        "created_at": [iso(moment) for moment in created],
        "category": kinds,
        "summary": [f"反映{_CATEGORIES[kind][0]}问题" for kind in kinds],
        "district": districts(rng, rows),
        "phone": phones(rng, rows),
        "sex": rng.choice(np.array(["男", "女", "未知"]), rows, p=(0.48, 0.48, 0.04)).tolist(),
        "responsible_department": [_CATEGORIES[kind][1] for kind in kinds],
        "urgency": urgencies,
        "reply_deadline": [iso(moment) for moment in deadlines],
        "replied_at": replied,
        "transfers": [str(n) for n in rng.choice(4, rows, p=(0.05, 0.75, 0.15, 0.05))],
    }


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0) + timedelta(minutes=1)


def _plant(table: Table) -> None:
    book = table.book
    for row in book.take("times_out_of_order", 0.004, table.filled("replied_at")):
        created = datetime.fromisoformat(table.cell(row, "created_at"))
        table.put(row, "replied_at", iso(created - timedelta(hours=3)))
        book.bad("times_out_of_order", row, blocks=("_row.not_before",))
    for row in book.take(
        "times_out_of_order", 0.003, lambda row: not table.cell(row, "replied_at")
    ):
        created = datetime.fromisoformat(table.cell(row, "created_at"))
        table.put(row, "reply_deadline", iso(created - timedelta(days=1)))
        book.bad("times_out_of_order", row, blocks=("_row.not_before.2",))
    table.drop(0.003, "responsible_department", "—")
    table.drop(0.002, "category", "")
    table.spoil("unknown_code", 0.003, "category", "777", "category.in_set")
    table.spoil("unknown_code", 0.002, "urgency", "加急", "urgency.in_set")
    table.former_area(0.003)
    table.spoil("out_of_range", 0.002, "transfers", "99", "transfers.between")
    table.spoil("unreadable_phone", 0.004, "phone", "12345转0", "phone.type")
    table.repeat(0.003, "ticket_no.unique")


def _soil(table: Table) -> None:
    table.placeholder(0.02, "phone", ("无", "—", "/"))
    table.respell("date_spelling", 0.06, "created_at", lambda _, text: _spelled(table, text))
    table.respell("date_spelling", 0.03, "replied_at", lambda _, text: _spelled(table, text))
    table.widen(0.004, "transfers")
    table.respell("name_for_code", 0.01, "district", lambda _, code: (DISTRICTS[code], code))
    table.respell(
        "inner_blanks", 0.004, "district", lambda _, code: (" ".join(DISTRICTS[code]), code)
    )


def _spelled(table: Table, text: str) -> tuple[str, str]:
    return pick(table.book.rng, moments(datetime.fromisoformat(text))), text


def _cells(number: int, record: Sequence[str], native: bool) -> list[Any]:
    """A row of the sheet; half of the rows hold real Excel dates, the others text."""
    cells: list[Any] = [number, *record, None]
    if native:
        cells = [_native(cell) for cell in cells]
    return [None if cell == "" else cell for cell in cells]


def _native(cell: Any) -> Any:
    if isinstance(cell, str) and len(cell) == 19 and cell[4] == "-" and cell.isascii():
        return datetime.fromisoformat(cell) if cell[10] == " " else cell
    if isinstance(cell, str) and cell.isascii() and cell.isdigit() and len(cell) <= 2:
        return int(cell)
    return cell


def _header(sheet: Worksheet, day: date) -> None:
    sheet.append(["云汐市12345热线工单日报（演示数据，程序生成）"])
    sheet.append([f"统计日期：{day.year}年{day.month}月{day.day}日"])
    for row in (1, 2):
        sheet.merge_cells(start_row=row, end_row=row, start_column=1, end_column=_WIDTH)
    sheet.append(["序号"])
    sheet.append([None])
    column = 2
    for group, names in _GROUPS:
        sheet.cell(3, column, group)
        for offset, name in enumerate(names):
            sheet.cell(4, column + offset, name)
        sheet.merge_cells(
            start_row=3, end_row=3, start_column=column, end_column=column + len(names) - 1
        )
        column += len(names)
    sheet.cell(3, column, "备注")
    for single in (1, column):
        sheet.merge_cells(start_row=3, end_row=4, start_column=single, end_column=single)


def _transfers(table: Table) -> int:
    """The true sum over all rows whose cell is a number."""
    return sum(int(cell) for cell in table.columns["transfers"] if cell)


def build(
    rng: np.random.Generator, rows: int, partition: str, corrected: Corrected = NOTHING
) -> Delivery:
    """The delivery of a day."""
    day = date.fromisoformat(partition)
    book = Book(DATASET, partition, rows, rng, corrected=corrected)
    table = Table(book, _columns(rng, rows, day))
    _plant(table)
    _soil(table)
    total = _transfers(table) + book.stated_off("total_differs", "transfers.matches_total", 7)
    native = (rng.random(rows) < 0.5).tolist()

    def fill(workbook: Workbook) -> None:
        sheet = workbook.create_sheet("工单明细")
        _header(sheet, day)
        for number, record in enumerate(table.records(), 1):
            sheet.append(_cells(number, record, native[number - 1]))
        sheet.append(["合计", *[None] * 11, total])
        sheet.append(["注：1. 答复时限按紧急程度计算；2. 派单次数含退回重派。"])
        sheet.append(["数据来源：12345热线工单系统"])
        workbook.create_sheet("填表说明").append(["本表由演示程序生成，不含真实信息。"])

    path = f"hotline/12345热线工单日报_{day:%Y-%m-%d}.xlsx"
    end = _FIRST_DATA_ROW + rows
    for row, defect, reason in (
        (0, "total_row", "total_row"),
        (1, "note", "note"),
        (2, "note", "note"),
    ):
        book.beside(Place(path, None, end + row), defect, reason)
    book.renamed("序号")
    book.renamed("备注")
    return close(
        book, {path: xlsx_bytes(fill)}, lambda row: Place(path, None, _FIRST_DATA_ROW + row)
    )
