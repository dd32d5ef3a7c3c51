"""`cityledger demo`: the fictional city."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cityledger.cli.options import JsonOption
from cityledger.demo.generate.answers import AnswerKey, DeliveryAnswer
from cityledger.settings import get_settings

app = typer.Typer(name="demo", help="The fictional city 云汐市: generated data, ready to run.")

ScaleOption = Annotated[
    float, typer.Option(help="Multiplies the rows; 1 is about 240,000 rows in all.")
]
SeedOption = Annotated[int, typer.Option(help="Another seed, another city's day.")]
_COUNTS = ("declared", "extracted", "rejected", "quarantined", "validated")


@app.callback(invoke_without_command=True)
def demo(
    context: typer.Context,
    scale: ScaleOption = 1.0,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Start the stack, generate the city's extracts and run its day in Airflow.

    Ends when the indicators are published; the stack stays up. A second run does nothing twice.
    Exit code 3: a batch waits for its steward.
    """
    if context.invoked_subcommand is None:
        from cityledger.cli.demo_day import run_demo

        run_demo(scale, seed, as_json=as_json)


@app.command("generate")
def generate_command(
    scale: ScaleOption = 1.0,
    seed: SeedOption = 1,
    into: Annotated[
        Path | None,
        typer.Option(help="Drop folder to write.", show_default="the drop folder of the settings"),
    ] = None,
    again: Annotated[
        str | None,
        typer.Option(
            "--redeliver",
            metavar="DATASET",
            help="Let one department deliver again into a generated folder, some defects "
            "corrected; scale and seed are the folder's own.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write extracts of all datasets and, beside them, the answer key of what was planted.

    The same scale and seed give the same bytes on every machine.
    """
    from cityledger.demo.generate.generator import NOTICE, generate, key_path, redeliver

    drop = into or get_settings().drop_dir
    console = Console(highlight=False, quiet=as_json)
    with console.status("generating …") as status:
        if again:
            key = redeliver(drop, again)
        else:
            key = generate(
                drop,
                scale=scale,
                seed=seed,
                on_delivery=lambda answer: status.update(f"{answer.dataset} {answer.partition} ✓"),
            )
    shown = [
        one for one in key.deliveries if not again or (one.dataset, one.sequence) == (again, 2)
    ]
    if as_json:
        typer.echo(_json(key.model_copy(update={"deliveries": tuple(shown)})))
        return
    console.print(_table(shown))
    console.print(NOTICE, style="dim")
    console.print(f"drop folder  {drop}", soft_wrap=True)
    console.print(f"answer key   {key_path(drop)}", soft_wrap=True)


def _json(key: AnswerKey) -> str:
    delivery = {"dataset", "partition", "sequence", "files", *_COUNTS}
    head = dict.fromkeys(("notice", "city", "scale", "seed"), True)
    return key.model_dump_json(include={**head, "deliveries": {"__all__": delivery}}, indent=2)


def _table(deliveries: list[DeliveryAnswer]) -> Table:
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
