"""`cityledger run` and `cityledger release`: the lifecycle without Airflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from cityledger.cli.options import DatasetArgument, JsonOption, PartitionOption
from cityledger.errors import CityLedgerError, Exit
from cityledger.observability import traces
from cityledger.records import (
    Channel,
    Publication,
    Receipt,
    Release,
    Stage,
    Standardisation,
    Validation,
)

if TYPE_CHECKING:
    from cityledger.runner import Runner

_ORDER = list(Stage)


class HeldError(CityLedgerError):
    """The gate holds the batch: nothing is wrong with the run, a person has to decide."""

    def __init__(self, release: Release) -> None:
        super().__init__(
            "held for a steward: " + "; ".join(release.reasons),
            where=f"{release.dataset}/{release.partition}, delivery {release.delivery}",
            fix=f"cityledger release {release.dataset} -p {release.partition} "
            "--approve (or --reject) --by NAME --reason TEXT",
            code="held",
            exit_code=Exit.HELD,
        )


def mount(app: typer.Typer) -> None:
    """Add the verbs to the front door."""
    app.command("run", rich_help_panel="Data")(run)
    app.command("release", rich_help_panel="Data")(release)


def run(
    dataset: DatasetArgument,
    partition: PartitionOption,
    from_stage: Annotated[
        Stage, typer.Option(help="Start here; earlier stages keep what they left.")
    ] = Stage.EXTRACT,
    to_stage: Annotated[Stage, typer.Option(help="Stop after this stage.")] = Stage.PUBLISH,
    parallel: Annotated[
        int, typer.Option(min=1, help="Parse a large text file with so many processes.")
    ] = 1,
    as_json: JsonOption = False,
) -> None:
    """Take one partition of a dataset through the stages, as its DAG would.

    Finished stages are recognised and not done again, so a run that failed is simply repeated.
    Exit code 3 means that the gate holds the batch: decide with [bold]cityledger release[/].
    """
    from cityledger.runner import Runner

    runner = Runner.from_settings()
    report: dict[str, Any] = {"dataset": dataset, "partition": partition}
    steps = _steps(runner, (dataset, partition), from_stage, to_stage, parallel, quiet=as_json)
    with traces.span("run", report):
        for title, record in steps:
            report[title] = record.model_dump(mode="json") if record else None
            if isinstance(record, Release) and not record.released:
                raise HeldError(record)
            if not as_json:
                _describe(title, record)
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False, indent=2))


def _steps(
    runner: Runner,
    place: tuple[str, str],
    first: Stage,
    last: Stage,
    parallel: int,
    *,
    quiet: bool,
) -> Any:
    """Yield (task title, record) for each task whose last stage lies within the asked range."""
    from cityledger.cli.parallel import parse_validate

    tasks: list[tuple[Stage, str, Callable[[Callable[[int], None]], Any]]] = [
        (Stage.LAND, "extract, land", lambda _: runner.extract_land(*place)),
        (
            Stage.VALIDATE,
            "parse, validate",
            lambda judged: parse_validate(runner, *place, processes=parallel, progress=judged),
        ),
        (Stage.RELEASE, "release", lambda _: runner.release(*place)),
        (Stage.STANDARDISE, "standardise", lambda _: runner.standardise()),
        (Stage.PUBLISH, "publish", lambda _: runner.publish()),
    ]
    console = Console(stderr=True, quiet=quiet)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    starts = [Stage.EXTRACT, Stage.PARSE, Stage.RELEASE, Stage.STANDARDISE, Stage.PUBLISH]
    for (end, title, action), start in zip(tasks, starts, strict=True):
        if _ORDER.index(end) < _ORDER.index(first) or _ORDER.index(start) > _ORDER.index(last):
            continue
        with Progress(*columns, console=console, transient=True) as progress:
            record = action(_counter(progress, title))
        yield title, record


def _counter(progress: Progress, title: str) -> Callable[[int], None]:
    """Show a task; what is returned adds rows to those shown as judged (their total is unknown)."""
    task, judged = progress.add_task(title), 0

    def add(rows: int) -> None:
        nonlocal judged
        judged += rows
        progress.update(task, description=f"{title}: {judged:,} rows")

    return add


def _describe(title: str, record: object) -> None:
    console = Console(highlight=False)
    match record:
        case Receipt():
            size = sum(item.size for item in record.objects)
            text = f"{len(record.objects)} file(s), {size:,} bytes, delivery {record.delivery}"
        case Validation():
            count = record.accounting
            text = (
                f"{count.extracted:,} extracted = {count.validated:,} validated + "
                f"{count.quarantined:,} quarantined + {count.rejected:,} rejected"
            )
        case Release():
            text = f"{record.rows:,} rows released"
        case Standardisation():
            text = f"{len(record.models)} dbt nodes, snapshot {record.snapshot_id}"
        case Publication():
            text = f"{record.rows:,} indicator values, digest {record.content_sha256[:16]}"
        case None:
            text = "nothing to do"
        case _:
            text = "done"
    console.print(f"[green]✓[/] {title:<16} {text}", soft_wrap=True)
    if isinstance(record, Validation) and record.quarantined_by_rule:
        console.print(_broken_rules(record))


def _broken_rules(validation: Validation) -> Table:
    table = Table(
        "rule", "quarantined rows", title="Why rows are in quarantine", title_justify="left"
    )
    table.columns[1].justify = "right"
    ranked = sorted(validation.quarantined_by_rule.items(), key=lambda item: (-item[1], item[0]))
    for key, count in ranked:
        table.add_row(key, f"{count:,}")
    return table


def release(
    dataset: DatasetArgument,
    partition: PartitionOption,
    approve: Annotated[
        bool, typer.Option("--approve/--reject", help="Let the batch pass, or not.")
    ],
    by: Annotated[str, typer.Option(help="Who decides; recorded.", show_default=False)],
    reason: Annotated[str, typer.Option(help="Why; recorded.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Decide on a held batch as its steward (Airflow's page offers the same)."""
    from cityledger.lifecycle.release import steward_decision
    from cityledger.runner import Runner

    decision = steward_decision(
        approved=approve,
        by=by,
        reason=reason,
        at=datetime.now(UTC),
        channel=Channel.COMMAND_LINE,
    )
    record = Runner.from_settings().release(dataset, partition, decision=decision)
    if as_json:
        typer.echo(record.model_dump_json(indent=2))
    else:
        state = "released" if record.released else "stays held"
        Console(highlight=False).print(f"{dataset}/{partition}: {state}")
