"""`cityledger ledger …`: checkpoints, proofs, verification and keys of the transparency log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

from cityledger.errors import BadInputError, CityLedgerError
from cityledger.settings import get_settings
from cityledger.storage.database import Database

if TYPE_CHECKING:
    from cityledger.ledger.log.keyring import Keyring, TrustedKey
    from cityledger.ledger.log.notes import Verifier
    from cityledger.ledger.log.verify import Report

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
ByOption = Annotated[str, typer.Option(help="Who decides; recorded.", show_default=False)]
ReasonOption = Annotated[str, typer.Option(help="Why; recorded.", show_default=False)]


class LogDamagedError(CityLedgerError):
    """The check found something; what, has been printed."""

    def __init__(self, report: Report) -> None:
        kinds = ", ".join(sorted({finding.kind for finding in report.findings}))
        super().__init__(
            f"{len(report.findings)} finding(s): {kinds}",
            where=f"log {report.origin}, {report.tree_size} events",
            fix="keep database and bucket as they are; compare with a checkpoint that somebody else"
            " kept",
            code="log_damaged",
        )


def mount(app: typer.Typer) -> None:
    """Add the verbs to the group `cityledger ledger`."""
    app.command("checkpoint")(checkpoint)
    app.command("verify")(verify)
    app.command("prove")(prove)
    app.command("keys")(keys)
    app.command("rotate-key")(rotate_key)
    app.command("revoke-key")(revoke_key)
    app.command("new-key")(new_key)


def checkpoint(as_json: JsonOption = False) -> None:
    """Take all lineage events into the log and sign its root; without new events a no-op."""
    from cityledger.ledger.log import checkpoint as make_checkpoint

    made = make_checkpoint(get_settings())
    if as_json:
        typer.echo(made.model_dump_json(indent=2))
    else:
        typer.echo(f"{made.tree_size:,} events, root {made.root}, key {made.key_id}")


def verify(
    objects: Annotated[
        bool, typer.Option("--objects", help="Hash every landed object again, too.")
    ] = False,
    key: Annotated[
        list[str] | None,
        typer.Option(
            help="Believe this verifier key (name+id+key, or a file with it) instead of those in"
            " the database. Repeatable.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute the log from database and bucket; every difference is named. Exit code 1 if any."""
    from cityledger.ledger.log.examined import save_examination
    from cityledger.ledger.log.landed import verify_landed
    from cityledger.ledger.log.verify import verify as verify_log
    from cityledger.storage.objects import ObjectStore

    settings = get_settings()
    database, store = Database.from_settings(settings), ObjectStore.from_settings(settings)
    trusted = _trusted(key) if key else None
    with _progress() as tell:
        report = verify_log(settings, database=database, store=store, keys=trusted, progress=tell)
    save_examination(database, report)
    if objects:
        found = (*report.findings, *verify_landed(database, store))
        report = report.model_copy(update={"findings": found})
    _show(report, as_json=as_json)
    if not report.clean:
        raise LogDamagedError(report)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Bars on the error output, where somebody is looking."""
    with Progress(console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what)
            bars.update(tasks[what], completed=done, total=total)

        yield tell


def prove(
    event: Annotated[
        int | None, typer.Option(help="Prove that this event (id) is in the log.")
    ] = None,
    old: Annotated[
        int | None, typer.Option(help="Prove that this tree size is the newest tree's beginning.")
    ] = None,
) -> None:
    """Print a proof as JSON: inclusion of an event, or consistency since an older tree."""
    from cityledger.ledger.log import checkpoints
    from cityledger.ledger.log.proofs import Prover
    from cityledger.storage.objects import ObjectStore

    settings = get_settings()
    database, store = Database.from_settings(settings), ObjectStore.from_settings(settings)
    prover, signed = Prover(settings, database, store), checkpoints(database)
    if (event is None) == (old is None):
        raise BadInputError("ask for --event ID or for --old SIZE", code="usage")
    if event is not None:
        typer.echo(prover.inclusion(event).model_dump_json(indent=2))
        return
    size = signed[-1].tree_size if signed else 0
    hashes = prover.consistency(old or 0, size)
    typer.echo(json.dumps({"old": old, "new": size, "hashes": hashes}, indent=2))


def keys(as_json: JsonOption = False) -> None:
    """List the verifier keys, for auditors to keep where nobody of the city can change them."""
    listed = _keyring().keys()
    if as_json:
        rows = [
            {
                "verifier": str(key.verifier),
                "revoked": key.revoked,
                "trusted_size": key.trusted_size,
                "reason": key.reason,
            }
            for key in listed
        ]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    for key in listed:
        state = f"  revoked above size {key.trusted_size}: {key.reason}" if key.revoked else ""
        typer.echo(f"{key.verifier}{state}")


def rotate_key(reason: ReasonOption, by: ByOption) -> None:
    """Sign with a new key from now on (also after the key was lost) and sign the tree with it."""
    from cityledger.ledger.log import checkpoint as make_checkpoint

    keyring = _keyring()
    verifier = keyring.rotate(reason, by)
    make_checkpoint(get_settings())
    typer.echo(str(verifier))


def revoke_key(
    key_id: Annotated[str, typer.Argument(help="Eight hex digits.", show_default=False)],
    trusted_size: Annotated[
        int,
        typer.Option(
            min=0, help="Largest tree that the key surely signed for us.", show_default=False
        ),
    ],
    reason: ReasonOption,
    by: ByOption,
) -> None:
    """Take trust away from a stolen key; then make a new one with rotate-key."""
    key = _keyring().revoke(key_id, reason, trusted_size, by)
    typer.echo(f"{key.verifier.key_id} is trusted up to size {key.trusted_size} only")


def new_key() -> None:
    """Print a new signing key for CITYLEDGER_LEDGER_KEY; nothing is stored."""
    from cityledger.ledger.log.keyring import origin
    from cityledger.ledger.log.notes import Signer

    typer.echo(Signer.generate(origin(get_settings())).secret())


def _keyring() -> Keyring:
    from cityledger.ledger.log.files import LogFiles
    from cityledger.ledger.log.keyring import Keyring
    from cityledger.storage.objects import ObjectStore

    settings = get_settings()
    files = LogFiles(settings, ObjectStore.from_settings(settings))
    return Keyring(settings, Database.from_settings(settings), files)


def _trusted(texts: list[str]) -> list[TrustedKey]:
    """The keys given, with what the ledger knows of their revocation."""
    from cityledger.ledger.log.keyring import TrustedKey

    listed = _keyring().keys()
    known = {one.verifier: one for one in listed}
    return [known.get(one, TrustedKey(one)) for one in map(_verifier, texts)]


def _verifier(text: str) -> Verifier:
    from cityledger.ledger.log.notes import Verifier

    path = Path(text)
    return Verifier.parse(path.read_text("utf-8") if path.is_file() else text)


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
        return
    console = Console(highlight=False)
    for finding in report.findings:
        console.print(f"[red]✗[/] {finding.kind}", end=" ")
        console.print(f"{finding.subject}: {finding.what}", markup=False, soft_wrap=True)
    if report.clean:
        console.print(
            f"[green]✓[/] {report.tree_size:,} events, {report.checkpoints} checkpoint(s),"
            f" {report.objects:,} object(s) of the log; root {report.root[:16]}…",
            soft_wrap=True,
        )
    if report.pending:
        console.print(f"  {report.pending:,} newer event(s) wait for the next checkpoint")
