"""`cityledger report`: a department's month on paper or as a workbook."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cityledger.cli.options import Language
from cityledger.ledger.quality import QualityStore
from cityledger.settings import get_settings


class Format(StrEnum):
    """What the report is written as."""

    PDF = "pdf"
    XLSX = "xlsx"
    JSON = "json"


def mount(app: typer.Typer) -> None:
    """Add the verb to the front door."""
    app.command("report", rich_help_panel="Quality")(report)


def report(
    department: Annotated[str, typer.Argument(help="Id of the department, e.g. health.")],
    month: Annotated[
        str | None,
        typer.Option("--month", "-m", help="E.g. 2026-03; the last ended month without."),
    ] = None,
    language: Annotated[Language, typer.Option("--lang", help="Language.")] = Language.ZH,
    form: Annotated[Format, typer.Option("--format", "-f", help="Format.")] = Format.PDF,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write; DEPARTMENT-MONTH.FORMAT without."),
    ] = None,
) -> None:
    """Write the report on a department's data quality in one month.

    Score to GB/T 36344 with its formula, deliveries, datasets, the largest problems, rectification
    orders and the indicators that the department answers for. No values of rows are in it.

    Example: cityledger report health --month 2026-03 --format xlsx
    """
    from cityledger.reports import department_pdf, department_workbook, gather
    from cityledger.reports.gather import previous_month

    settings = get_settings()
    wanted = month or previous_month(QualityStore.from_settings(settings).today())
    found = gather(settings, department, wanted)
    if form is Format.JSON:
        content = found.model_dump_json(indent=2).encode()
    else:
        make = department_pdf if form is Format.PDF else department_workbook
        content = make(found, language)
    path = output or Path(f"{department}-{wanted}.{form}")
    if str(path) == "-":
        typer.echo(content, nl=False)
        return
    path.write_bytes(content)
    typer.echo(f"{path}: {len(content):,} bytes")
