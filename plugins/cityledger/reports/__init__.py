"""Reports that leave the house: a department's month as PDF and as a workbook."""

from __future__ import annotations

from cityledger.reports.gather import gather
from cityledger.reports.pdf import department_pdf
from cityledger.reports.records import DepartmentReport
from cityledger.reports.workbook import department_workbook

__all__ = ["DepartmentReport", "department_pdf", "department_workbook", "gather"]
