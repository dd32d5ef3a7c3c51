"""`cityledger demo`: the stack, the city's extracts, its day in Airflow, and what came of it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import cityledger_stack
import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cityledger.contracts.registry import load_contracts
from cityledger.demo.day import Day, DayView
from cityledger.demo.generate.answers import AnswerKey
from cityledger.demo.generate.generator import generate
from cityledger.demo.summary import DaySummary
from cityledger.errors import CityLedgerError
from cityledger.profiling.delivery import newest_validated, profile_delivery
from cityledger.profiling.inventory import take_inventory
from cityledger.profiling.store import ProfileStore
from cityledger.records import IndicatorStatus
from cityledger.runner import Runner
from cityledger.settings import get_settings

_COLOURS = {
    IndicatorStatus.MET: "green",
    IndicatorStatus.AT_RISK: "yellow",
    IndicatorStatus.MISSED: "red",
}
#: Columns of a terminal that has room for the English names beside the Chinese ones.
_WIDE = 120
_STATE_COLOURS = {"success": "green", "failed": "red", "running": "cyan", "queued": "dim"}


def run_demo(scale: float, seed: int, *, as_json: bool) -> None:
    """Start the stack, generate the extracts, run the day and print the summary.

    Raises:
        CityLedgerError: a part does not start, a task failed, or a batch is held.
    """
    console = Console(stderr=True, highlight=False, quiet=as_json)
    with console.status("starting the stack") as status:
        info = cityledger_stack.up(on_progress=status.update)
        status.update("generating the extracts of 云汐市")
        key = generate(get_settings().drop_dir, scale=scale, seed=seed)
    console.print(f"stack ready, {len(key.deliveries)} deliveries in {info.drop_dir}")
    summary = _watch_day(console, key)
    with console.status("taking stock of the data"):
        _take_stock(key)
    login = _login(info.airflow_url)
    if as_json:
        document = {"stack_seconds": round(info.seconds, 1), **summary.model_dump(mode="json")}
        typer.echo(
            json.dumps(
                {**document, "console": _console(login), "airflow": login},
                ensure_ascii=False,
                indent=2,
            )
        )
    else:
        _print(Console(highlight=False), summary, login)
    _check(summary, key)


def _take_stock(key: AnswerKey) -> None:
    """What the DAG ``inventory`` does every night, so that its page shows something by day."""
    settings = get_settings()
    runner = Runner.from_settings(settings)
    contracts = load_contracts(settings.contracts_dir).values()
    ProfileStore(runner.database).save_inventory(take_inventory(settings.drop_dir, contracts))
    delivered = {one.dataset for one in key.deliveries}
    for dataset, partition in newest_validated(runner.journal):
        if dataset in delivered:
            profile_delivery(runner, dataset, partition)


def _watch_day(console: Console, key: AnswerKey) -> DaySummary:
    # The largest first: it takes longest.
    ordered = sorted(key.deliveries, key=lambda one: -sum(file.size for file in one.files))
    places = [(one.dataset, one.partition) for one in ordered]
    if not console.is_terminal:
        return Day(get_settings(), places, _Lines(console)).run()
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        day = Day(get_settings(), places, lambda view: live.update(_progress(view)))
        return day.run()


class _Lines:
    """One line for each run that ends, where no screen can be redrawn."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: set[tuple[str, str, str]] = set()

    def __call__(self, view: DayView) -> None:
        for run in view.runs:
            state = (run.dag_id, run.partition, run.state)
            if run.state in ("success", "failed") and state not in self._told:
                self._told.add(state)
                self._console.print(
                    f"{view.seconds:6.1f} s  {run.state}  {run.label} {run.partition}"
                )


def _progress(view: DayView) -> Table:
    table = Table(box=None, header_style="dim", title_justify="left")
    table.title = f"{view.ended} of {len(view.runs)} runs done, {view.seconds:.0f} s"
    for title in ("run", "partition", "state", "at"):
        table.add_column(title)
    for run in view.runs:
        colour = _STATE_COLOURS.get(run.state, "")
        table.add_row(run.label, run.partition, Text(run.state, colour), run.task)
    return table


def _print(console: Console, summary: DaySummary, login: dict[str, str]) -> None:
    console.print(_dataset_table(summary))
    console.print(_indicator_table(summary, wide=console.width >= _WIDE))
    console.print(_stage_table(summary))
    over = summary.overhead
    console.print(
        f"the day took {summary.seconds:.1f} s with {summary.builds} build(s) of the tables; "
        f"outside our own work a task spent {over.process:.1f} s in its process and waited "
        f"{over.waiting:.1f} s (means of {over.tasks} tasks)",
        soft_wrap=True,
    )
    console.print(f"\nconsole   {_console(login)}")
    console.print(f"Airflow   {login['url']}")
    console.print(f"sign in   {login['user']}  {login['password']}", soft_wrap=True)
    console.print(
        "The datasets' schedules are paused again: after its day nobody delivers to the demo city.",
        soft_wrap=True,
    )
    console.print("status    cityledger status\nstop      cityledger down")


def _dataset_table(summary: DaySummary) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    for title in ("dataset", "partition"):
        table.add_column(title, overflow="fold")
    for title in ("in", "good", "quarantined", "rejected", "foreseen"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in summary.datasets:
        counts = (
            row.extracted,
            row.validated,
            row.quarantined,
            row.rejected - row.expected_rejects,
            row.expected_rejects,
        )
        table.add_row(row.dataset, row.partition, *(f"{count:,}" for count in counts))
    return table


def _indicator_table(summary: DaySummary, *, wide: bool) -> Table:
    table = Table(box=None, header_style="dim")
    table.add_column("indicator", no_wrap=True)
    if wide:
        table.add_column("", no_wrap=True)
    table.add_column("period")
    for title in ("value", "target"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    for value in summary.indicators:
        table.add_row(
            *([value.name, value.name_en] if wide else [value.name]),
            value.period,
            "" if value.value is None else f"{value.value} {value.unit}",
            value.target or "",
            Text(value.status.value, _COLOURS.get(value.status, "dim")),
        )
    return table


def _stage_table(summary: DaySummary) -> Table:
    table = Table(box=None, header_style="dim")
    table.add_column("stage")
    for title in ("done", "skipped", "seconds"):
        table.add_column(title, justify="right")
    for row in summary.stages:
        table.add_row(row.stage.value, str(row.attempts), str(row.skipped), f"{row.seconds:.1f}")
    return table


def _check(summary: DaySummary, key: AnswerKey) -> None:
    """A green day must come to what was planted; anything else is a defect of ours."""
    found = {(row.dataset, row.partition): row for row in summary.datasets}
    wrong = []
    for answer in key.deliveries:
        row = found.get((answer.dataset, answer.partition))
        want = (answer.extracted, answer.rejected, answer.quarantined, answer.validated)
        have = row and (row.extracted, row.rejected, row.quarantined, row.validated)
        if have != want:
            wrong.append(f"{answer.dataset}/{answer.partition}: expected {want}, found {have}")
    if wrong:
        raise CityLedgerError(
            "the counts (extracted, rejected, quarantined, validated) are not the planted ones: "
            + "; ".join(wrong),
            fix="report this with the output of `cityledger demo --json`",
            code="demo_mismatch",
        )


def _console(login: dict[str, Any]) -> str:
    return f"{login['url']}/cityledger/"


def _login(url: str | None) -> dict[str, Any]:
    parts = urlsplit(url or "")
    return {
        "url": f"{parts.scheme}://{parts.hostname}:{parts.port}",
        "user": parts.username,
        "password": parts.password,
    }
