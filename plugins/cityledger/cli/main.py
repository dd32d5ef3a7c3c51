"""The command line's front door: mounts the verb groups and turns errors into exit codes."""

from __future__ import annotations

import json
import sys

import typer
from rich.console import Console

from cityledger import __version__
from cityledger.cli.audit import app as audit
from cityledger.cli.backup import app as backup
from cityledger.cli.console import app as console
from cityledger.cli.contract import app as contract
from cityledger.cli.demo import app as demo
from cityledger.cli.ledger import app as ledger
from cityledger.cli.metrics import mount as mount_metrics
from cityledger.cli.orders import app as orders
from cityledger.cli.profile import mount as mount_profile
from cityledger.cli.quarantine import app as quarantine
from cityledger.cli.report import mount as mount_report
from cityledger.cli.retention import app as retention
from cityledger.cli.run import mount as mount_run
from cityledger.cli.score import mount as mount_score
from cityledger.cli.stack import mount as mount_stack
from cityledger.cli.status import mount as mount_status
from cityledger.cli.trace import app as trace
from cityledger.errors import CityLedgerError, Exit
from cityledger.observability import logs
from cityledger.settings import get_settings
from cityledger.storage.outages import explained

app = typer.Typer(
    name="cityledger",
    help="The ledger of a city's data: extract → land → parse → validate → release → standardise "
    "→ publish.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # locals may hold rows or secrets
    epilog="Exit codes: 0 done · 1 failed · 2 wrong usage · 3 held for a steward · 4 bad input · "
    "5 a service is not available. Start with: cityledger demo",
)


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
    logs.configure(get_settings())


mount_stack(app)
mount_status(app)
mount_metrics(app)
mount_run(app)
mount_score(app)
mount_profile(app)
mount_report(app)
app.add_typer(contract, name="contract")
app.add_typer(console, name="console")
app.add_typer(demo, name="demo")
app.add_typer(audit, name="audit")
app.add_typer(backup, name="backup")
app.add_typer(trace, name="trace")
app.add_typer(ledger, name="ledger")
app.add_typer(orders, name="orders")
app.add_typer(quarantine, name="quarantine")
app.add_typer(retention, name="retention")


def main() -> None:
    """Run the command line; an expected error becomes one message and its exit code."""
    try:
        app()
    except CityLedgerError as error:
        _report(error)
        sys.exit(error.exit_code)
    except Exception as error:
        outage = explained(error)
        if outage is None:
            raise
        _report(outage)
        sys.exit(outage.exit_code)
    except KeyboardInterrupt:
        sys.exit(Exit.FAILED)


def _report(error: CityLedgerError) -> None:
    if "--json" in sys.argv:
        fields = {"code": error.code, "what": error.what, "where": error.where, "fix": error.fix}
        typer.echo(json.dumps({"error": fields}, ensure_ascii=False), err=True)
        return
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold red]✗[/] {error.what}", soft_wrap=True)
    if error.where:
        console.print(f"  where: {error.where}", markup=False, soft_wrap=True)
    if error.fix:
        console.print(f"  to do: {error.fix}", markup=False, soft_wrap=True)
