"""`cityledger status`: parts of the stack; datasets × partitions × stages."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import cityledger_stack
import typer
from rich.console import Console
from rich.table import Table

from cityledger.cli.options import JsonOption
from cityledger.errors import UnavailableError
from cityledger.ledger.journal import Journal
from cityledger.ledger.matrix import Cell, MatrixRow
from cityledger.records import Stage
from cityledger.settings import get_settings
from cityledger.storage.database import Database

_MARKS = {
    "success": "[green]✓[/]",
    "skipped": "[green]✓[/]",
    "held": "[yellow]‖[/]",
    "partial": "[yellow]…[/]",
}
_FAILED = "[red]✗[/]"
_SHORT = dict(zip(Stage, ("ext", "land", "parse", "val", "rel", "std", "pub"), strict=True))


def mount(app: typer.Typer) -> None:
    """Add the verb to the front door."""
    app.command("status", rich_help_panel="Stack")(status)


def status(
    dataset: Annotated[
        str | None, typer.Argument(help="Only this dataset.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the stack's parts, and what became of each dataset and partition at each stage.

    ✓ done, … done in part, ‖ held for a steward, ✗ failed (with its code); a blank cell was never
    tried. The last figure counts validated rows; --json has them all.
    """
    parts = cityledger_stack.status()
    matrix: list[MatrixRow] = []
    trouble: UnavailableError | None = None
    try:
        matrix = Journal(Database.from_settings(get_settings())).matrix()
    except UnavailableError as error:  # the parts are shown all the same: they say why
        trouble = error
    rows = [row for row in matrix if dataset in (None, row.dataset)]
    if as_json:
        report = {
            "parts": [asdict(part) for part in parts],
            "matrix": [row.model_dump(mode="json") for row in rows],
        }
        typer.echo(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        console = Console(highlight=False)
        console.print(_parts_table(parts))
        if not trouble:
            console.print(_matrix_table(rows) if rows else "No dataset has been run yet.")
    if trouble:
        raise trouble


def _parts_table(parts: list[cityledger_stack.PartStatus]) -> Table:
    table = Table("part", "state", "address", "pid", "restarts", "note", box=None)
    for part in parts:
        pid = "external" if part.external else str(part.pid or "")
        restarts = str(part.restarts or "")
        table.add_row(part.name, part.state, part.address, pid, restarts, part.note)
    return table


def _matrix_table(rows: list[MatrixRow]) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("dataset", overflow="fold")
    table.add_column("partition", no_wrap=True)
    for stage in Stage:
        table.add_column(_SHORT[stage], no_wrap=True, justify="center")
    table.add_column("validated", no_wrap=True, justify="right")
    table.add_column("", overflow="fold")
    for row in rows:
        marks = [_mark(row.stages.get(stage)) for stage in Stage]
        judged = row.stages.get(Stage.VALIDATE)
        count = f"{judged.rows:,}" if judged and judged.rows is not None else ""
        errors = {cell.error_code for cell in row.stages.values() if cell.error_code}
        table.add_row(row.dataset, row.partition, *marks, count, ", ".join(sorted(errors)))
    return table


def _mark(cell: Cell | None) -> str:
    return _MARKS.get(cell.status, _FAILED) if cell else ""
