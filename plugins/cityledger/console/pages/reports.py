"""A department's month to take along: PDF or workbook, in the reader's language."""

from __future__ import annotations

from enum import StrEnum

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from cityledger.console.identity import STAFF, require
from cityledger.console.view import CurrentView

router = APIRouter(dependencies=[Depends(require(*STAFF))])

_TYPES = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class Format(StrEnum):
    """What a report can be written as."""

    PDF = "pdf"
    XLSX = "xlsx"


@router.get("/departments/{department}/report")
def department_report(
    view: CurrentView,
    department: str,
    month: str | None = None,
    file_format: Format = Format.PDF,
) -> Response:
    """The report on a month; on the last one that has data without a month."""
    from cityledger.reports import department_pdf, department_workbook, gather

    view.department(department)
    quality = view.desk.quality
    wanted = month or f"{quality.newest_day(department) or quality.today():%Y-%m}"
    report = gather(view.desk.settings, department, wanted)
    make = department_pdf if file_format is Format.PDF else department_workbook
    return Response(
        make(report, "en" if view.language == "en" else "zh"),
        media_type=_TYPES[file_format],
        headers={
            "Content-Disposition": f'attachment; filename="{department}-{wanted}.{file_format}"',
            "Cache-Control": "no-store",
        },
    )
