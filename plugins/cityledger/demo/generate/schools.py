"""education.schools: a yearly list grouped by district, with a count in each heading."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from openpyxl import Workbook

from cityledger.demo.generate.answers import Place
from cityledger.demo.generate.city import CITY, DISTRICTS, FORMER_COUNTY, SHARES
from cityledger.demo.generate.delivery import Delivery, close
from cityledger.demo.generate.planting import NOTHING, Book, Corrected
from cityledger.demo.generate.table import Columns, Table
from cityledger.demo.generate.workbooks import xlsx_bytes

DATASET = "education.schools"
_TYPES = {
    "111": ("幼儿园", 240, 12),
    "211": ("小学", 1100, 17),
    "311": ("初级中学", 900, 12),
    "312": ("九年一贯制学校", 1500, 14),
    "341": ("完全中学", 1600, 12),
    "342": ("高级中学", 1400, 11),
    "361": ("职业技术学校", 1300, 15),
    "400": ("特殊教育学校", 120, 4),
}
_PREFIXES = [
    "晨光",
    "海韵",
    "竹溪",
    "实验",
    "第一",
    "第二",
    "第三",
    "育才",
    "望潮",
    "灯塔",
    "云帆",
    "星河",
    "澄湖",
    "松风",
    "博雅",
    "启明",
]
_HEADER = (
    *("学校标识码", "学校名称", "学校类型", "举办者性质", "建校年份", "班级数"),
    *("学生数", "教师数", "学校地址", "联系电话"),
)
_FIRST_ROW = 3


def _areas(year: int) -> dict[str, str]:
    """District codes and names in force in the year."""
    songxi = {FORMER_COUNTY: "松溪县"} if year < 2026 else {"990106": "松溪区"}
    rest = {code: name for code, name in DISTRICTS.items() if code != "990106"}
    return rest | songxi


def _columns(rng: np.random.Generator, rows: int, year: int) -> Columns:
    areas = _areas(year)
    weights = [share for code, share in zip(DISTRICTS, SHARES, strict=True) if code != "990106"]
    weights.append(1 - sum(weights))
    codes = sorted(
        rng.choice(np.array(list(areas)), rows, p=weights).tolist(), key=list(areas).index
    )
    kinds = rng.choice(
        np.array(list(_TYPES)), rows, p=(0.4, 0.3, 0.1, 0.07, 0.03, 0.04, 0.04, 0.02)
    )
    kinds = kinds.tolist()
    factors = rng.uniform(0.5, 1.5, rows).tolist()
    students = [int(_TYPES[kind][1] * factor) for kind, factor in zip(kinds, factors, strict=True)]
    ratios = rng.uniform(0.85, 1.2, rows).tolist()
    named = rng.integers(len(_PREFIXES), size=rows).tolist()
    return {
        "school_code": [f"{area}{number:04d}" for number, area in enumerate(codes, 1)],
        "school_name": [
            f"{areas[area]}{_PREFIXES[prefix]}{_TYPES[kind][0]}"
            for area, prefix, kind in zip(codes, named, kinds, strict=True)
        ],
        "school_type": kinds,
        "ownership": rng.choice(np.array(["公办", "民办"]), rows, p=(0.78, 0.22)).tolist(),
        "founded": [f"{year}-01-01" for year in rng.integers(1908, 2024, size=rows).tolist()],
        "classes": [str(max(1, count // 40)) for count in students],
        "students": [str(count) for count in students],
        "teachers": [
            str(max(2, int(count / _TYPES[kind][2] * ratio)))
            for count, kind, ratio in zip(students, kinds, ratios, strict=True)
        ],
        "address": [f"{CITY}{areas[area]}学府路{n}号" for n, area in enumerate(codes, 1)],
        "office_phone": [f"0570-8{n:06d}" for n in rng.integers(10**6, size=rows).tolist()],
    }


def _plant(table: Table) -> None:
    book = table.book
    for row in book.take(
        "teachers_above_students", 0.01, lambda row: int(table.cell(row, "students")) < 900
    ):
        table.put(row, "teachers", str(int(table.cell(row, "students")) + 30))
        book.bad("teachers_above_students", row, warns=("_row.at_most_column",))
    table.spoil("unknown_code", 0.01, "school_type", "888", "school_type.in_set")
    table.spoil("unknown_code", 0.006, "ownership", "其他", "ownership.in_set")
    table.drop(0.006, "school_name", "—")
    table.deform(
        "bad_format", 0.008, "school_code", lambda text: "X" + text[1:], "school_code.pattern"
    )
    table.spoil("out_of_range", 0.006, "classes", "350", "classes.between")
    table.repeat(0.006, "school_code.unique")


def _soil(table: Table) -> None:
    table.placeholder(0.02, "office_phone", ("无", "—", "-"))
    table.respell("year_spelling", 0.3, "founded", lambda _, text: (f"{text[:4]}年", text))
    table.respell("chinese_year", 0.02, "founded", lambda _, text: (_han_year(text), text))
    table.widen(0.02, "classes")
    table.respell("number_as_text", 0.05, "school_code", lambda _, text: (f"{text}.0", text))


def _han_year(text: str) -> str:
    return "".join("〇一二三四五六七八九"[int(digit)] for digit in text[:4]) + "年"


def _cell(column: str, text: str) -> Any:
    """Numbers and codes as Excel numbers, so codes come out as floats."""
    if not text:
        return None
    if column == "founded" and text.endswith("-01-01"):
        return int(text[:4])
    if column in ("school_code", "classes", "students", "teachers") and text.isascii():
        return float(text) if text.isdigit() else text
    return text


def build(
    rng: np.random.Generator, rows: int, partition: str, corrected: Corrected = NOTHING
) -> Delivery:
    """The delivery of a year."""
    year = int(partition)
    book = Book(DATASET, partition, rows, rng, corrected=corrected)
    table = Table(book, _columns(rng, rows, year))
    groups = [code[:6] for code in table.columns["school_code"]]
    _plant(table)
    _soil(table)
    path = f"education/{year}年{CITY}学校名录.xlsx"
    places: list[Place] = []
    names = list(table.columns)
    areas = _areas(year)
    students = sum(int(cell) for cell in table.columns["students"])
    students += book.stated_off("total_differs", "students.matches_total", 1200)

    counts = Counter(groups)
    counts["990103"] += book.stated_off("group_count_differs", "district.matches_group_counts", 2)

    def fill(workbook: Workbook) -> None:
        sheet = workbook.create_sheet("学校名录")
        sheet.append([f"{year}年{CITY}学校名录（演示数据，程序生成）"])
        sheet.merge_cells(start_row=1, end_row=1, start_column=1, end_column=len(_HEADER))
        sheet.append(list(_HEADER))
        line, previous = _FIRST_ROW, ""
        for record, area in zip(table.records(), groups, strict=True):
            if area != previous:
                sheet.append([f"{areas[area]}（{counts[area]}所）"])
                book.beside(Place(path, None, line), "group_heading", "group_heading")
                line, previous = line + 1, area
            sheet.append([_cell(name, text) for name, text in zip(names, record, strict=True)])
            places.append(Place(path, None, line))
            line += 1
        sheet.append(["全市合计", *[None] * 5, students])
        sheet.append(["注：学生数、教师数为年度事业统计口径。"])
        book.beside(Place(path, None, line), "total_row", "total_row")
        book.beside(Place(path, None, line + 1), "note", "note")

    data = xlsx_bytes(fill)
    for header in ("学生数", "教师数", "联系电话"):
        book.renamed(header)
    for row in book.take("group_heading", 0, lambda _: True):
        book.tolerated("group_heading", row, "district", groups[row])
    return close(book, {path: data}, places.__getitem__)
