"""`cityledger up | down | logs | doctor`: the embedded stack."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any
from urllib.parse import urlsplit

import cityledger_stack
import typer
from cityledger_stack import Finding, PartStatus, StackInfo
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cityledger.cli.options import JsonOption
from cityledger.errors import Exit

_COLOURS = {
    "running": "green",
    "external": "cyan",
    "ok": "green",
    "warning": "yellow",
    "starting": "yellow",
    "restarting": "yellow",
    "problem": "red",
    "unhealthy": "red",
}


def mount(app: typer.Typer) -> None:
    """Add the verbs to the front door."""
    app.command("up", rich_help_panel="Stack")(up)
    app.command("down", rich_help_panel="Stack")(down)
    app.command("logs", rich_help_panel="Stack")(logs)
    app.command("doctor", rich_help_panel="Stack")(doctor)


def up(
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Return when every part answers.")
    ] = True,
    airflow: Annotated[
        bool,
        typer.Option(
            "--airflow/--no-airflow",
            help="Without Airflow only the database and the object store start: enough for "
            "[bold]cityledger run[/].",
        ),
    ] = True,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Run tasks on so many Celery workers behind a Redis queue, as several machines "
            "would; 0 goes back to tasks under the scheduler. Lasting: "
            "[bold]CITYLEDGER_WORKERS[/].",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start the embedded stack: PostgreSQL, an S3 object store and Airflow, as local processes.

    Everything lies in [bold].cityledger/[/] (or [bold]CITYLEDGER_HOME[/]), listens on loopback only
    and stays up in the background; a part that dies is started again. Starting twice is harmless.

    To use a server of your own, set its address; then that part is not started:
    [bold]CITYLEDGER_DATABASE_URL[/], [bold]CITYLEDGER_S3_URL[/], [bold]CITYLEDGER_AIRFLOW_URL[/],
    [bold]AIRFLOW__DATABASE__SQL_ALCHEMY_CONN[/], [bold]CITYLEDGER_BROKER_URL[/] (with workers).
    """
    console = Console(stderr=True, highlight=False)
    if as_json:
        info = cityledger_stack.up(wait=wait, airflow=airflow, workers=workers)
        typer.echo(json.dumps(_document(info), ensure_ascii=False, indent=2))
        return
    with console.status("starting") as spinner:

        def show(phase: str) -> None:
            spinner.update(phase)
            if not console.is_terminal:
                console.print(phase)

        info = cityledger_stack.up(wait=wait, airflow=airflow, workers=workers, on_progress=show)
    _report(info)


def down(as_json: JsonOption = False) -> None:
    """Stop the embedded stack in order; data and passwords stay for the next [bold]up[/]."""
    console = Console(highlight=False)
    if as_json:
        typer.echo(json.dumps({"stopped": cityledger_stack.down()}))
        return
    with Console(stderr=True).status("stopping"):
        stopped = cityledger_stack.down()
    console.print("stopped" if stopped else "nothing was running")


def logs(
    part: Annotated[
        str | None,
        typer.Argument(
            help="postgres, s3, redis, api-server, scheduler, dag-processor, triggerer, "
            "worker-logs, worker-1 …, or supervisor; all of them when left out."
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new lines until Ctrl-C.")
    ] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Last lines per part.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Show what the parts of the stack have written to their logs.

    A task's own log is on Airflow's pages, and below [bold]airflow/logs[/] in the home folder.
    """
    for line in cityledger_stack.logs(part, follow=follow, lines=lines):
        typer.echo(json.dumps({"line": line}, ensure_ascii=False) if as_json else line)


def doctor(as_json: JsonOption = False) -> None:
    """Examine this machine and the stack; every finding says how to mend it.

    Exit code 1 when something will not work, 0 when there are at most warnings.
    """
    findings = cityledger_stack.doctor()
    if as_json:
        document = [asdict(finding) for finding in findings]
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        Console(highlight=False).print(_findings_table(findings))
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(Exit.FAILED)


def parts_table(parts: Sequence[PartStatus]) -> Table:
    """The stack's parts, one a line (also used by `cityledger status`)."""
    table = Table(box=None, pad_edge=False)
    for title in ("part", "state", "pid", "address", "restarts", "note"):
        table.add_column(title, overflow="fold", no_wrap=title == "address")
    for part in parts:
        table.add_row(
            part.name,
            _coloured(part.state),
            str(part.pid or ""),
            escape(part.address),
            str(part.restarts or ""),
            escape(part.note),
        )
    return table


def _report(info: StackInfo) -> None:
    console = Console(highlight=False)
    console.print(parts_table(info.parts))
    for notice in info.notices:
        console.print(f"[yellow]note[/] {escape(notice)}")
    seconds = "was running already" if info.already_running else f"up in {info.seconds:.0f} s"
    console.print(
        f"{seconds}; data in {info.home}; departments put files into {info.drop_dir}",
        soft_wrap=True,
    )
    if info.airflow_url:
        url = urlsplit(info.airflow_url)
        console.print(
            f"Airflow: {url.scheme}://{url.hostname}:{url.port}  user {url.username}  "
            f"password {url.password}",
            soft_wrap=True,
        )
    console.print("stop with: cityledger down")


def _document(info: StackInfo) -> dict[str, Any]:
    found = asdict(info)
    url = urlsplit(found.pop("airflow_url") or "")
    login = {
        "address": f"{url.scheme}://{url.hostname}:{url.port}",
        "user": url.username,
        "password": url.password,
    }
    return {
        **found,
        "home": str(info.home),
        "drop_dir": str(info.drop_dir),
        "airflow": login if url.hostname else None,
    }


def _findings_table(findings: Sequence[Finding]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("check", "result", "detail", "to do"):
        table.add_column(title, overflow="fold")
    for one in findings:
        table.add_row(one.check, _coloured(one.level), escape(one.detail), escape(one.fix))
    return table


def _coloured(word: str) -> str:
    return f"[{_COLOURS.get(word, 'dim')}]{word}[/]"
