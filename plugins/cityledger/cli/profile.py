"""`cityledger profile` and `cityledger inventory`: take stock of what there is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal as file_size
from rich.progress import track
from rich.table import Table

from cityledger.cli.options import JsonOption
from cityledger.contracts.registry import load_contracts
from cityledger.errors import BadInputError
from cityledger.profiling.inventory import take_inventory
from cityledger.profiling.records import ColumnProfile, FileGroup, Inventory, Problem, Profile
from cityledger.profiling.store import ProfileStore
from cityledger.settings import get_settings
from cityledger.storage.database import Database

_PROBLEM = {
    Problem.EMPTY: "empty (0 bytes)",
    Problem.UNREADABLE: "can't be read",
    Problem.WEB_PAGE: "a web page or XML inside, whatever the name says",
    Problem.OTHER_CONTENT: "something else inside than the name says",
}


def mount(app: typer.Typer) -> None:
    """Add the verbs to the front door."""
    app.command("profile", rich_help_panel="Quality")(profile)
    app.command("inventory", rich_help_panel="Quality")(inventory)


def profile(
    dataset: Annotated[
        str | None, typer.Argument(help="Only this dataset; all of them without.")
    ] = None,
    partition: Annotated[
        str | None,
        typer.Option("--partition", "-p", help="Only this period; the newest validated without."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Profile validated deliveries: types, gaps, ranges, frequent values, keys, personal data.

    Values of personal or sensitive columns are never shown. A column that looks personal although
    its contract says otherwise is reported, and its values are hidden, too. Results are kept for
    the console; a delivery that has been profiled before is not read again.

    Example: cityledger profile health.outpatient_visits
    """
    from cityledger.profiling.delivery import newest_validated, profile_delivery
    from cityledger.runner import Runner

    runner = Runner.from_settings()
    places = list(newest_validated(runner.journal, dataset, partition))
    if not places:
        raise BadInputError(
            "nothing has been validated yet",
            where=dataset or "all datasets",
            fix="cityledger run DATASET --partition PERIOD",
            code="not_validated",
        )
    steps = track(places, "profiling", console=Console(stderr=True), disable=as_json)
    profiles = [profile_delivery(runner, *place) for place in steps]
    if as_json:
        report = [one.model_dump(mode="json") for one in profiles]
        typer.echo(json.dumps(report, ensure_ascii=False, indent=2))
        return
    console = Console(highlight=False)
    for one in profiles:
        _describe(console, one)


def inventory(
    folder: Annotated[
        Path | None, typer.Argument(help="Where to look; the drop folder without.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Count files by department, kind and size, and say which ones no contract takes in.

    Only the first bytes of a file are read, to see whether it is what its name says; links are not
    followed. The result is kept for the console.

    Example: cityledger inventory /srv/departments
    """
    settings = get_settings()
    contracts = load_contracts(settings.contracts_dir)
    taken = take_inventory(folder or settings.drop_dir, contracts.values())
    ProfileStore(Database.from_settings(settings)).save_inventory(taken)
    if as_json:
        typer.echo(taken.model_dump_json(indent=2))
    else:
        _describe_inventory(Console(highlight=False), taken)


def _describe(console: Console, profile: Profile) -> None:
    title = f"{profile.dataset}/{profile.partition}: {profile.rows:,} good rows"
    table = Table(title=title, title_justify="left", box=None, header_style="dim")
    for name in ("column", "type", "class"):
        table.add_column(name, overflow="fold")
    for name in ("empty", "distinct"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("from … to, most frequent", overflow="fold")
    for column in profile.columns:
        empty = f"{column.nulls / profile.rows:.1%}" if profile.rows else ""
        distinct = f"{'' if column.distinct_exact else '≈'}{column.distinct:,}"
        cells = (column.name, column.type, column.classification, empty, distinct)
        table.add_row(*cells, _values(column))
    console.print(table)
    keys = " or ".join("+".join(key) for key in profile.keys) or "none found"
    console.print(f"key: {keys} (contract: {'+'.join(profile.declared_key) or 'none'})\n")


def _values(column: ColumnProfile) -> str:
    if column.suspicions:
        kinds = ", ".join(f"{one.kind} in {one.share:.1%}" for one in column.suspicions)
        return f"[yellow]looks personal: {kinds}[/] → raise its classification in the contract"
    if column.hidden:
        return "[dim]not shown[/]"
    if column.minimum is not None:
        return f"{column.minimum} … {column.maximum}"
    return ", ".join(f"{one.value} ({one.rows:,})" for one in column.top[:3])


def _describe_inventory(console: Console, taken: Inventory) -> None:
    table = Table(box=None, header_style="dim")
    for name in ("department", "kind", "suffix"):
        table.add_column(name)
    for name in ("files", "size", "by contract", "without"):
        table.add_column(name, justify="right")
    for group in taken.groups:
        table.add_row(*_cells(group))
    console.print(table)
    more = " (stopped at the limit: there are more)" if taken.truncated else ""
    console.print(f"{taken.files:,} files, {file_size(taken.size)} below {taken.root}{more}")
    for odd in taken.oddities:
        console.print(f"[yellow]![/] {odd.path}: {_PROBLEM[odd.problem]}")


def _cells(group: FileGroup) -> tuple[str, ...]:
    open_files = group.files - group.covered
    return (
        group.department,
        group.kind,
        group.suffix,
        f"{group.files:,}",
        file_size(group.size),
        f"{group.covered:,}",
        f"{open_files:,}" if open_files else "",
    )
