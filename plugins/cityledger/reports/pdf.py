"""The report on paper: laid out by Typst, with its own Chinese typeface."""

from __future__ import annotations

from pathlib import Path

from cityledger.reports.layout import (
    DATASET_HEAD,
    FIGURE_HEAD,
    ORDER_HEAD,
    PROBLEM_HEAD,
    Layout,
)
from cityledger.reports.records import DepartmentReport
from cityledger.typesetting import typeset

_TEMPLATE = Path(__file__).parent / "templates" / "department.typ"
_PROBLEMS = 12  # what a reader takes in; the workbook has all of them


def department_pdf(report: DepartmentReport, language: str) -> bytes:
    """A PDF of A4 pages; the same report gives the same bytes.

    Args:
        report: What to say.
        language: ``zh`` or ``en``.
    """
    layout = Layout(report, language)
    words = layout.words
    more = len(report.problems) - _PROBLEMS
    data = {
        "lang": language,
        "title": layout.title,
        "subtitle": layout.subtitle,
        "footer": layout.footer,
        "city": report.city,
        "words": words,
        "figures": layout.figures(),
        "summary": layout.summary,
        "dimensions": layout.dimensions(),
        "dataset_head": layout.heads(*DATASET_HEAD),
        "datasets": [layout.dataset_row(one) for one in report.datasets],
        "problem_head": layout.heads(*PROBLEM_HEAD),
        "problems": [layout.problem_row(one) for one in report.problems[:_PROBLEMS]],
        "more_problems": words["more_problems"].format(count=more) if more > 0 else "",
        "order_head": layout.heads(*ORDER_HEAD),
        "orders": [layout.order_row(one) for one in report.orders],
        "indicator_head": layout.heads(*FIGURE_HEAD),
        "indicators": [layout.figure_row(one) for one in report.figures],
        "formula": layout.formula,
    }
    return typeset(_TEMPLATE, data)
