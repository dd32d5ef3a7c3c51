"""The report as a workbook: the same tables, for people who go on counting."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter

from cityledger.reports.layout import (
    DATASET_HEAD,
    FIGURE_HEAD,
    ORDER_HEAD,
    PROBLEM_HEAD,
    Layout,
)
from cityledger.reports.records import DepartmentReport

_HEAD = PatternFill("solid", fgColor="EEF2F5")
_WIDEST = 60


def department_workbook(report: DepartmentReport, language: str) -> bytes:
    """An XLSX file with a sheet for each part of the report.

    No cell is a formula, whatever a department has called its things.

    Args:
        report: What to say.
        language: ``zh`` or ``en``.
    """
    layout = Layout(report, language)
    words = layout.words
    book = Workbook(write_only=True)
    _sheet(book, words["total"], (), _summary(layout), layout)
    dimensions = [[one["name"], one["text"], one["change"]] for one in layout.dimensions()]
    _sheet(book, words["dimensions"], ("dimensions", "score"), dimensions, layout)
    datasets = [layout.dataset_row(one) for one in report.datasets]
    _sheet(book, words["datasets"], DATASET_HEAD, datasets, layout)
    problems = [
        [*layout.problem_row(one), f"{one.evaluated:,}", one.key] for one in report.problems
    ]
    _sheet(book, words["problems"], (*PROBLEM_HEAD, "evaluated", "rule"), problems, layout)
    orders = [layout.order_row(one) for one in report.orders]
    _sheet(book, words["orders"], ORDER_HEAD, orders, layout)
    figures = [layout.figure_row(one) for one in report.figures]
    _sheet(book, words["indicators"], FIGURE_HEAD, figures, layout)
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def _summary(layout: Layout) -> list[list[str]]:
    lines = [[layout.title], [layout.subtitle], [layout.summary], [layout.footer], []]
    lines += [[one["label"], one["value"], one["note"]] for one in layout.figures()]
    return [
        *lines,
        [],
        [layout.words["formula"]],
        *([line] for line in layout.formula.splitlines()),
    ]


def _sheet(
    book: Workbook,
    title: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    layout: Layout,
) -> None:
    sheet: Any = book.create_sheet(_sheet_name(title))
    head = layout.heads(*heads)
    for index, width in enumerate(_widths([head, *rows]), 1):
        sheet.column_dimensions[get_column_letter(index)].width = width
    if head:
        sheet.freeze_panes = "A2"
        sheet.append([_cell(sheet, text, head=True) for text in head])
    for row in rows:
        sheet.append([_cell(sheet, text) for text in row])


def _cell(sheet: Any, text: str, *, head: bool = False) -> Any:
    cell = WriteOnlyCell(sheet, value=text)
    cell.data_type = "s"  # openpyxl takes a text that starts with = for a formula
    cell.alignment = Alignment(wrap_text=True, vertical="top")
    if head:
        cell.font, cell.fill = Font(bold=True), _HEAD
    return cell


def _sheet_name(title: str) -> str:
    """At most 31 characters, none of those that Excel refuses."""
    return "".join(sign for sign in title if sign not in r"[]:*?/\\")[:31]


def _widths(rows: Sequence[Sequence[str]]) -> list[float]:
    """A width for each column; a Chinese character takes two."""
    widths: dict[int, int] = {}
    for row in rows:
        for place, text in enumerate(row if len(row) > 1 else ()):
            width = sum(2 if ord(sign) > 0x2E80 else 1 for sign in text)
            widths[place] = max(widths.get(place, 8), min(width + 2, _WIDEST))
    return [widths[place] for place in sorted(widths)]
