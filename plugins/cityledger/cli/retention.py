"""`cityledger retention …`: whose time is over, legal holds, removal with a tombstone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from cityledger.cli.options import DatasetArgument, JsonOption
from cityledger.errors import CityLedgerError
from cityledger.settings import get_settings
from cityledger.storage.database import Database

if TYPE_CHECKING:
    from cityledger.operations.retention.standing import Standing

app = typer.Typer(
    help="Retention: personal data goes when its time is over, unless a legal hold keeps it.",
    no_args_is_help=True,
    epilog="Who removes and who places a hold is recorded in the ledger, with the reason.",
)
ByOption = Annotated[str, typer.Option(help="Who decides; recorded.", show_default=False)]
ReasonOption = Annotated[str, typer.Option(help="Why; recorded.", show_default=False)]


@app.command()
def status(
    due: Annotated[bool, typer.Option("--due", help="Only what `apply` would remove now.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show every delivery's end of retention, the holds in force, and what is due."""
    from cityledger.operations.retention.book import RetentionBook
    from cityledger.operations.retention.standing import standings

    settings = get_settings()
    database = Database.from_settings(settings)
    known = standings(settings, database, datetime.now(UTC))
    holds = [one for one in RetentionBook(database).holds() if one.released_by is None]
    shown = [one for one in known if one.due or not due]
    if as_json:
        document = {
            "deliveries": [_row(one) for one in shown],
            "holds": [one.model_dump(mode="json") for one in holds],
        }
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("dataset", "partition", "delivery", "personal", "kept until", "state"):
        table.add_column(title)
    for one in shown:
        row = _row(one)
        personal = {True: "yes", False: "no", None: "no contract"}[one.personal]
        table.add_row(
            one.receipt.dataset,
            one.receipt.partition,
            one.receipt.delivery,
            personal,
            f"{one.ends_at:%Y-%m-%d}",
            str(row["state"]),
        )
    console = Console(highlight=False)
    console.print(table)
    for hold in holds:
        console.print(
            f"hold {hold.id}: {hold.dataset} {hold.partition or 'all partitions'}, placed by"
            f" {hold.placed_by} on {hold.placed_at:%Y-%m-%d}: {hold.reason}",
            markup=False,
            soft_wrap=True,
        )


@app.command()
def apply(
    reason: ReasonOption,
    by: ByOption,
    lake: Annotated[
        bool,
        typer.Option(
            "--lake",
            help="Also build the lake anew and delete what older builds left in it: their values"
            " can then no longer be traced to rows.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove the personal data whose time is over; look at `status --due` first.

    Removed are landed files (once the store's lock has ended), corrections, validated and
    quarantined rows. Receipts, verdicts and lineage stay, and a tombstone in the signed log says
    what went, when and why. Backups keep the data until they are pruned.
    """
    from cityledger.operations.retention.hold import keep_held
    from cityledger.operations.retention.remove import remove_due

    settings = get_settings()
    keep_held(settings, Database.from_settings(settings))
    done = remove_due(settings, datetime.now(UTC), reason=reason, by=by)
    document: dict[str, object] = done.model_dump()
    if lake:
        from cityledger.operations.retention.lake import forget_past
        from cityledger.runner import Runner

        document["lake"] = forget_past(Runner(settings)).model_dump()
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        typer.echo(f"{len(done.deliveries)} deliveries, {done.objects:,} object versions removed")
        for one in done.deliveries:
            typer.echo(f"  {one}")
        if not lake and done.deliveries:
            typer.echo("the lake still holds their rows: cityledger retention apply --lake …")
    if done.locked:
        raise CityLedgerError(
            f"{len(done.locked)} object(s) are still locked by the object store",
            where=done.locked[0],
            fix="run again when their lock has ended",
            code="still_locked",
        )


@app.command()
def hold(
    dataset: DatasetArgument,
    reason: ReasonOption,
    by: ByOption,
    partition: Annotated[
        str | None,
        typer.Option("--partition", "-p", help="Only this period; all, also to come, without it."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Keep data beyond its retention, for a court or an inquiry; the object store enforces it."""
    from cityledger.operations.retention.hold import place_hold

    made = place_hold(get_settings(), dataset, partition, reason=reason, by=by)
    if as_json:
        typer.echo(made.model_dump_json(indent=2))
    else:
        typer.echo(f"hold {made.id} keeps {dataset} {partition or '(all partitions)'}")


@app.command()
def release(
    number: Annotated[int, typer.Argument(help="Number of the hold.", show_default=False)],
    reason: ReasonOption,
    by: ByOption,
    as_json: JsonOption = False,
) -> None:
    """End a legal hold; retention decides again, what another hold covers stays held."""
    from cityledger.operations.retention.hold import release_hold

    ended = release_hold(get_settings(), number, reason=reason, by=by)
    if as_json:
        typer.echo(ended.model_dump_json(indent=2))
    else:
        typer.echo(f"hold {ended.id} on {ended.dataset} is released")


def _row(one: Standing) -> dict[str, object]:
    place = one.receipt
    ended = one.ends_at <= datetime.now(UTC)
    held = f"held ({', '.join(map(str, one.holds))})" if one.holds else ""
    state = "removed" if one.removed else held or ("due" if one.due else "ended" if ended else "")
    return {
        "dataset": place.dataset,
        "partition": place.partition,
        "delivery": place.delivery,
        "personal": one.personal,
        "ends_at": one.ends_at.isoformat(),
        "holds": list(one.holds),
        "state": state or "kept",
    }
