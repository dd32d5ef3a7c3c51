"""`cityledger trace`: from a published value to the lines of the departments' files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from cityledger.cli.options import JsonOption

if TYPE_CHECKING:
    from cityledger.audit.trace import Trace

app = typer.Typer(help="From a published value to the lines of the original files.")


@app.callback()
def _group() -> None:
    """From a published value to the lines of the original files."""


@app.command()
def indicator(
    code: Annotated[str, typer.Argument(help="E.g. SVC-01.", show_default=False)],
    area: Annotated[str, typer.Option(help="Area code.", show_default=False)],
    period: Annotated[str, typer.Option(help="2026-03 or 2026.", show_default=False)],
    rows: Annotated[int, typer.Option(min=0, help="Source rows to show.")] = 5,
    snapshot: Annotated[
        int | None, typer.Option(help="Of an older publication.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show which rows a value was computed from, down to file and line; personal data masked."""
    from cityledger.audit.trace import trace_indicator
    from cityledger.runner import Runner

    found = trace_indicator(
        Runner.from_settings(),
        code,
        area=area,
        period=period,
        limit=rows,
        snapshot_id=snapshot,
    )
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        _show(found)


def _show(trace: Trace) -> None:
    console = Console(highlight=False)
    console.print(
        f"[bold]{trace.code}[/] {trace.area} {trace.period} = {trace.value}"
        f" ({trace.numerator} / {trace.denominator}), {trace.status}, snapshot {trace.snapshot_id}",
        soft_wrap=True,
    )
    steps = Table("table", "rows", "found by")
    steps.columns[1].justify = "right"
    for step in trace.steps:
        steps.add_row(step.table, f"{step.rows:,}", step.how)
    console.print(steps)
    for row in trace.sources:
        where = f"{row.file}{'#' + row.member if row.member else ''}, line {row.line}"
        console.print(f"{row.dataset} {row.partition}: {where}", markup=False, soft_wrap=True)
        console.print(
            f"  {row.object} version {row.version_id}, SHA-256 {row.sha256}",
            markup=False,
            soft_wrap=True,
        )
        cells = "  ".join(f"{name}={value}" for name, value in row.cells.items() if value)
        console.print(f"  {cells or row.note}", markup=False, soft_wrap=True)
    if trace.total > len(trace.sources):
        console.print(f"{len(trace.sources)} of {trace.total:,} source rows shown")
    for gap in trace.gaps:
        console.print(f"[yellow]not traced:[/] {gap}", soft_wrap=True)
