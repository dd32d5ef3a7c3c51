"""`cityledger demo`: the fictional city."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cityledger.demo.generate.answers import DeliveryAnswer
from cityledger.demo.generate.generator import NOTICE, generate, key_path
from cityledger.settings import get_settings

app = typer.Typer(name="demo", help="The fictional city 云汐市: generated data, ready to run.")


@app.command("generate")
def generate_command(
    scale: Annotated[
        float, typer.Option(help="Multiplies the rows; 1 is about 240,000 rows in all.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Another seed, another city's day.")] = 1,
    into: Annotated[
        Path | None,
        typer.Option(help="Drop folder to write.", show_default="the drop folder of the settings"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write extracts of all datasets and, beside them, the answer key of what was planted.

    The same scale and seed give the same bytes on every machine.
    """
    drop = into or get_settings().drop_dir
    if as_json:
        key = generate(drop, scale=scale, seed=seed)
        summary = key.model_dump_json(
            include={
                "notice": True,
                "city": True,
                "scale": True,
                "seed": True,
                "deliveries": {"__all__": {"dataset", "partition", "files", *_COUNTS}},
            },
            indent=2,
        )
        typer.echo(summary)
        return
    console = Console(highlight=False)
    with console.status("generating …") as status:
        key = generate(
            drop,
            scale=scale,
            seed=seed,
            on_delivery=lambda answer: status.update(f"{answer.dataset} {answer.partition} ✓"),
        )
    console.print(_table(key.deliveries))
    console.print(NOTICE, style="dim")
    console.print(f"drop folder  {drop}", soft_wrap=True)
    console.print(f"answer key   {key_path(drop)}", soft_wrap=True)


_COUNTS = ("declared", "extracted", "rejected", "quarantined", "validated")


def _table(deliveries: tuple[DeliveryAnswer, ...]) -> Table:
    table = Table(box=None, header_style="dim")
    table.add_column("file", overflow="fold")
    for title in ("bytes", "records", "to reject", "to quarantine"):
        table.add_column(title, justify="right")
    for answer in deliveries:
        for place, file in enumerate(answer.files):
            figures = (answer.extracted, answer.rejected, answer.quarantined)
            shown = [f"{figure:,}" for figure in figures] if place == 0 else ["", "", ""]
            table.add_row(file.path, f"{file.size:,}", *shown)
    return table
