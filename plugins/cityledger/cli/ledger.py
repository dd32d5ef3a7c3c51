"""`cityledger ledger …`: the lineage collector, its events and its tokens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cityledger.cli.ledger_log import mount as mount_log
from cityledger.cli.listening import (
    CertificateOption,
    HostOption,
    KeyOption,
    PortOption,
    server_options,
    stays_here,
)
from cityledger.cli.options import JsonOption
from cityledger.collector.tokens import Scope, TokenFile
from cityledger.settings import Settings, get_settings
from cityledger.storage.database import Database

if TYPE_CHECKING:
    from cityledger.ledger.catalog import Catalog
    from cityledger.ledger.forward import Forwarder

app = typer.Typer(
    help="The ledger: collector, events, graph, transparency log.", no_args_is_help=True
)
token = typer.Typer(help="Tokens of the collector.", no_args_is_help=True)
outbox = typer.Typer(help="Events that wait to be delivered.", no_args_is_help=True)
app.add_typer(token, name="token")
app.add_typer(outbox, name="outbox")
mount_log(app)

Many = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")]


@app.command("serve")
def serve(
    host: HostOption = "127.0.0.1",
    port: PortOption = 5000,
    open_to_all: Annotated[
        bool, typer.Option("--no-auth", help="Ask for no token; for this machine only.")
    ] = False,
    certificate: CertificateOption = None,
    key: KeyOption = None,
) -> None:
    """Take OpenLineage events and answer questions about them, as Marquez does."""
    import uvicorn

    from cityledger.collector.app import create_app
    from cityledger.collector.http import this_machine

    if open_to_all and not stays_here(host):
        raise typer.BadParameter("--no-auth is for 127.0.0.1 only", param_hint="--host")
    options = server_options(host, port, certificate, key, secrets="tokens and events")
    settings = get_settings()
    Database.from_settings(settings).migrate()
    uvicorn.run(create_app(settings, allow=this_machine if open_to_all else None), **options)


@app.command("events")
def events(
    faulty: Annotated[
        bool, typer.Option("--faulty", help="Events with faults, and what is wrong with them.")
    ] = False,
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Runs that lack something they declared.")
    ] = False,
    limit: Many = 100,
    as_json: JsonOption = False,
) -> None:
    """Show how the ledger stands: events, those with faults, runs whose lineage is not whole."""
    catalog = _catalog()
    catalog.graph.behind()
    if faulty:
        _show_faulty(catalog, limit, as_json)
    elif incomplete:
        _show_incomplete(catalog, limit, as_json)
    else:
        _show_standing(catalog, as_json)


@app.command("reindex")
def reindex() -> None:
    """Make the lineage graph anew from the events; they themselves are never changed."""
    from cityledger.ledger.indexer import Indexer

    indexer = Indexer(Database.from_settings(get_settings()))
    indexer.reindex()
    progress = indexer.catch_up()
    typer.echo(f"The graph knows all events up to number {progress.position}.")


@outbox.command("show")
def outbox_show(as_json: JsonOption = False) -> None:
    """Show what waits here for the ledger, and what other catalogues have not got yet."""
    from cityledger.ledger.intake import Intake

    settings = get_settings()
    waiting = len(Intake(settings).waiting())
    standings = [one.standing() for one in _forwarders(settings)]
    if as_json:
        targets = [
            {"name": one.target, "waiting": one.waiting, "refused": one.refused, "error": one.error}
            for one in standings
        ]
        _print({"waiting": waiting, "targets": targets})
        return
    table = Table("target", "waiting", "refused", "last error", box=None)
    table.add_row("ledger", str(waiting), "", "")
    for one in standings:
        table.add_row(one.target, str(one.waiting), str(one.refused), one.error or "")
    Console(highlight=False).print(table)


@outbox.command("send")
def outbox_send() -> None:
    """Deliver what waits: to the ledger, and to the other catalogues that are configured."""
    from cityledger.ledger.intake import Intake

    settings = get_settings()
    typer.echo(f"{Intake(settings).flush_outbox()} events delivered to the ledger.")
    for forwarder in _forwarders(settings):
        while not forwarder.step():
            pass
        standing = forwarder.standing()
        trouble = f", {standing.error}" if standing.error else ""
        typer.echo(f"{standing.target}: {standing.waiting} events waiting{trouble}")


@token.command("create")
def token_create(
    name: Annotated[str, typer.Argument(help="Who will use it, e.g. airflow.")],
    scope: Annotated[
        list[Scope], typer.Option("--scope", help="write events, read answers, or both.")
    ] = [Scope.WRITE],  # noqa: B006  typer copies it
) -> None:
    """Make a token and print it, this once: only its hash is kept."""
    typer.echo(TokenFile(get_settings().collector_tokens).create(name, scope))


@token.command("list")
def token_list() -> None:
    """Show the tokens' names."""
    table = Table("name", "scopes", "since", box=None)
    for one in TokenFile(get_settings().collector_tokens).tokens():
        table.add_row(one.name, ", ".join(sorted(one.scopes)), f"{one.created_at:%Y-%m-%d %H:%M}")
    Console(highlight=False).print(table)


@token.command("revoke")
def token_revoke(name: Annotated[str, typer.Argument(help="The token's name.")]) -> None:
    """Make a token worthless, at once."""
    TokenFile(get_settings().collector_tokens).revoke(name)
    typer.echo(f"{name} is revoked.")


def _catalog() -> Catalog:
    from cityledger.ledger.catalog import Catalog
    from cityledger.ledger.graph import LineageGraph

    database = Database.from_settings(get_settings())
    return Catalog(database, LineageGraph(database, wait=60.0))


def _forwarders(settings: Settings) -> list[Forwarder]:
    if not settings.lineage_targets:
        return []
    from cityledger.ledger.forward import Forwarder

    database = Database.from_settings(settings)
    return [Forwarder(database, target) for target in settings.lineage_targets]


def _show_faulty(catalog: Catalog, limit: int, as_json: bool) -> None:
    page = catalog.remarked(None, limit)
    if as_json:
        rows = [
            {
                "event": one.event,
                "sha256": one.sha256,
                "received_at": one.received_at.isoformat(),
                "producer": one.producer,
                "verdict": one.severity.value,
                "reasons": one.reasons,
            }
            for one in page.items
        ]
        _print({"events": rows, "total": page.total})
        return
    table = Table("event", "received", "verdict", "what is wrong", box=None)
    for one in page.items:
        received = f"{one.received_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(str(one.event), received, one.severity.value, "; ".join(one.reasons))
    Console(highlight=False, markup=False).print(table)


def _show_incomplete(catalog: Catalog, limit: int, as_json: bool) -> None:
    from cityledger.ledger.completeness import describe

    page = catalog.gapped_runs(limit, 0)
    if as_json:
        rows = [
            {"run": run.run_id, "job": job.name, "state": run.state, "gaps": run.gaps}
            for run, job in page.items
        ]
        _print({"runs": rows, "total": page.total})
        return
    table = Table("run", "job", "state", "what is missing", box=None)
    for run, job in page.items:
        gaps = "; ".join(describe(gap) for gap in run.gaps)
        table.add_row(run.run_id, job.name, run.state, gaps)
    Console(highlight=False, markup=False).print(table)


def _show_standing(catalog: Catalog, as_json: bool) -> None:
    from cityledger.ledger.events import Verdict

    progress = catalog.graph.progress()
    invalid = catalog.remarked(Verdict.INVALID, 1).total
    flawed = catalog.remarked(Verdict.FLAWED, 1).total
    gapped = catalog.gapped_runs(1, 0).total
    behind = max(0, progress.newest - progress.position)
    if as_json:
        _print({"behind": behind, "invalid": invalid, "flawed": flawed, "incomplete_runs": gapped})
        return
    typer.echo(f"{behind} events are not in the graph yet.")
    typer.echo(f"{invalid} events could not be read, {flawed} had faulty facets (--faulty).")
    typer.echo(f"{gapped} runs lack something they declared (--incomplete).")


def _print(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
