"""`cityledger quarantine`: see, download, correct, waive and replay what was held back."""

from __future__ import annotations

import getpass
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cityledger.cli.options import DatasetArgument, JsonOption, PartitionOption
from cityledger.errors import BadInputError
from cityledger.ledger.decisions import WaiverState
from cityledger.people import Person, Role
from cityledger.quarantine.kinds import FileKind

if TYPE_CHECKING:
    from cityledger.quarantine.browse import RejectPage, RowPage

app = typer.Typer(
    help="Rows that were held back: see why, have them corrected or waive a rule, replay.\n\n"
    "list → show → download (the department corrects) → correct → replay → release",
    no_args_is_help=True,
)

DeliveryOption = Annotated[
    str | None, typer.Option(help="Its id; the period's newest by default.", show_default=False)
]
DepartmentOption = Annotated[
    str | None,
    typer.Option(
        "--as-department",
        metavar="SLUG",
        help="Act as one of this department's people (e.g. [bold]health[/]) and not as a steward.",
        show_default=False,
    ),
]


@app.command("list")
def list_(as_department: DepartmentOption = None, as_json: JsonOption = False) -> None:
    """Show the newest deliveries of which something was held back."""
    from cityledger.quarantine.browse import Quarantine
    from cityledger.runner import Runner

    entries = Quarantine(Runner.from_settings()).list(_person(as_department))
    if as_json:
        _print(entries)
        return
    table = Table("dataset", "period", "delivery", "parsed", "quarantined", "rejected", "")
    for one in entries:
        note = f"{one.unused_corrections} correction(s) to replay" if one.unused_corrections else ""
        counts = (f"{n:,}" for n in (one.parsed, one.quarantined, one.rejected))
        table.add_row(one.dataset, one.partition, one.delivery, *counts, note)
    _console().print(table if entries else "Nothing is held back.")


@app.command()
def show(
    dataset: DatasetArgument,
    partition: PartitionOption,
    delivery: DeliveryOption = None,
    rule: Annotated[
        str | None, typer.Option(help="Only rows that broke this rule (its key).")
    ] = None,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="Records that could not be read as rows at all.")
    ] = False,
    offset: Annotated[int, typer.Option(help="Rows to leave out.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="Rows to show.", min=1, max=500)] = 20,
    as_department: DepartmentOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show rows with the reasons why they were held back.

    Values are masked by their classification, whoever asks; the department gets them whole with
    [bold]cityledger quarantine download[/].
    """
    from cityledger.quarantine.browse import Quarantine
    from cityledger.runner import Runner

    quarantine, person = Quarantine(Runner.from_settings()), _person(as_department)
    place = (dataset, partition, delivery)
    page: RowPage | RejectPage
    if rejected:
        page = quarantine.rejected(*place, person=person, offset=offset, limit=limit)
    else:
        page = quarantine.rows(*place, person=person, rule=rule, offset=offset, limit=limit)
    if as_json:
        _print(page)
        return
    console = _console()
    for table in _tables(page):
        console.print(table)
    first = page.offset + 1 if page.rows else 0
    console.print(f"{first}-{page.offset + len(page.rows)} of {page.total:,}")


@app.command()
def download(
    dataset: DatasetArgument,
    partition: PartitionOption,
    reason: Annotated[
        str, typer.Option(help="Why the rows are needed; recorded.", show_default=False)
    ],
    delivery: DeliveryOption = None,
    to: Annotated[Path, typer.Option(help="Folder for the file.")] = Path(),
    kind: Annotated[
        FileKind, typer.Option("--format", help="Workbook with instructions, or CSV.")
    ] = FileKind.XLSX,
    rule: Annotated[
        str | None, typer.Option(help="Only rows that broke this rule (its key).")
    ] = None,
    due: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="When corrections are expected.",
            show_default="in 5 working days",
        ),
    ] = None,
    as_department: DepartmentOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write held-back rows to a file for the department: whole, with reasons, to be corrected.

    The file may hold personal data. Who wrote it and why is recorded for good.
    """
    from cityledger.quarantine.download import download as write_download
    from cityledger.runner import Runner

    made = write_download(
        Runner.from_settings(),
        dataset,
        partition,
        delivery,
        person=_person(as_department),
        reason=reason,
        folder=to,
        kind=kind,
        rule=rule,
        due=due.date() if due else None,
    )
    if as_json:
        _print(made)
        return
    _console().print(f"[green]✓[/] {made.rows:,} rows, due {made.due}: {made.path}", soft_wrap=True)


@app.command()
def correct(
    dataset: DatasetArgument,
    partition: PartitionOption,
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="The downloaded file, edited.")
    ],
    delivery: DeliveryOption = None,
    as_department: DepartmentOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept a corrected file. It is kept under lock; rows change with the next replay.

    A file that does not fit the delivery is refused whole. The same file twice is one correction.
    """
    from cityledger.quarantine.corrections import correct as accept
    from cityledger.runner import Runner

    accepted = accept(
        Runner.from_settings(),
        dataset,
        partition,
        delivery,
        name=file.name,
        data=file.read_bytes(),
        by=_person(as_department),
    )
    if as_json:
        _print(accepted)
        return
    state = "accepted" if accepted.fresh else "had been accepted before"
    _console().print(
        f"[green]✓[/] {state}: {len(accepted.correction.row_ids):,} rows changed, "
        f"{accepted.unchanged:,} as they were\n"
        f"  to do: cityledger quarantine replay {dataset} -p {partition}",
        soft_wrap=True,
    )


@app.command()
def waive(
    dataset: DatasetArgument,
    rule: Annotated[
        str | None, typer.Option(help="Key of the rule that rows may break.", show_default=False)
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; recorded.")] = "",
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The last day it works.", show_default=False),
    ] = None,
    partition: Annotated[
        str | None, typer.Option("--partition", "-p", help="Only this period.", show_default=False)
    ] = None,
    delivery: Annotated[
        str | None, typer.Option(help="Only this delivery (with -p).", show_default=False)
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(help="Only this row (_row_id); may be repeated.", show_default=False),
    ] = None,
    revoke_number: Annotated[
        int | None,
        typer.Option("--revoke", metavar="NUMBER", help="End this waiver.", show_default=False),
    ] = None,
    as_department: DepartmentOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let rows pass that break a rule, until a day; or end that; or list what was decided.

    With [bold]--rule --reason --until[/] a waiver is approved, with [bold]--revoke NUMBER
    --reason[/] one is ended, with neither all waivers of the dataset are listed. Waived rows are
    still counted as failures. Rules that guard the dataset's key can't be waived.
    """
    from cityledger.quarantine.waivers import approve, revoke, waivers
    from cityledger.runner import Runner

    runner, person = Runner.from_settings(), _person(as_department)
    if revoke_number is not None:
        state = revoke(runner, revoke_number, by=person, reason=reason)
        _show_waivers([state], as_json=as_json, single=state)
        return
    if rule is None:
        runner.contract(dataset)
        states = waivers(runner, person, dataset)
        _show_waivers(states, as_json=as_json)
        return
    made = approve(
        runner,
        dataset,
        rule,
        by=person,
        reason=reason,
        until=_required_day(until),
        partition=partition,
        delivery=delivery,
        row_ids=row or (),
    )
    _show_waivers([WaiverState(waiver=made)], as_json=as_json, single=made)


@app.command()
def replay(
    dataset: DatasetArgument,
    partition: PartitionOption,
    delivery: DeliveryOption = None,
    as_department: DepartmentOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge a delivery again with the accepted corrections and the waivers in force.

    The same rules, the same landed bytes; the accounting adds up as before. Afterwards run
    [bold]cityledger run … --from-stage release[/]. Without new decisions nothing is done.
    """
    from cityledger.quarantine.replay import replay_batch
    from cityledger.runner import Runner

    done = replay_batch(
        Runner.from_settings(), dataset, partition, delivery, by=_person(as_department)
    )
    if as_json:
        _print(done)
        return
    _console().print(f"[green]✓[/] {done.note}", soft_wrap=True)
    if done.fresh:
        _console().print(
            f"  to do: cityledger run {dataset} -p {partition} --from-stage release",
            soft_wrap=True,
        )


def _person(department: str | None) -> Person:
    """Whoever is logged in: a steward, or one of a department's people if asked for."""
    name = getpass.getuser()
    if department is None:
        return Person(name, frozenset({Role.STEWARD}))
    return Person(name, frozenset({Role.DEPARTMENT}), frozenset({department}))


def _required_day(until: datetime | None) -> date:
    if until is None:
        raise BadInputError(
            "a waiver needs a last day",
            fix=f"add --until, e.g. --until {datetime.now(UTC).year}-12-31",
            code="bad_until",
        )
    return until.date()


def _console() -> Console:
    return Console(highlight=False)


def _print(what: BaseModel | Sequence[BaseModel]) -> None:
    if isinstance(what, BaseModel):
        typer.echo(what.model_dump_json(indent=2))
        return
    records = [one.model_dump(mode="json") for one in what]
    typer.echo(json.dumps(records, ensure_ascii=False, indent=2))


def _tables(page: RowPage | RejectPage) -> list[Table]:
    from cityledger.quarantine.browse import RejectPage

    if isinstance(page, RejectPage):
        table = Table("file", "line", "reason", "text", box=None)
        for one in page.rows:
            why = f"{one.zh} ({one.reason})"
            table.add_row(*map(escape, (one.file, str(one.source_row), why, one.text)))
        return [table]
    rules = Table("rule", "rows", box=None)
    for key, count in sorted(page.by_rule.items(), key=lambda item: -item[1]):
        rules.add_row(key, f"{count:,}")
    rows = Table("line", "reasons", "values", box=None)
    for shown in page.rows:
        values = "  ".join(f"{page.columns.get(k, k)}={v}" for k, v in shown.values.items() if v)
        reasons = "；".join(one.zh for one in shown.reasons)
        rows.add_row(str(shown.source_row), escape(reasons), escape(values))
    return [rules, rows]


def _show_waivers(
    states: Sequence[WaiverState], *, as_json: bool, single: BaseModel | None = None
) -> None:
    if as_json:
        _print(single or list(states))
        return
    table = Table("no.", "rule", "where", "until", "by", "why", "state")
    today = datetime.now(UTC).date()
    for state in states:
        one = state.waiver
        where = "/".join(filter(None, (one.partition, one.delivery))) or "everywhere"
        rows = f" {len(one.row_ids)} row(s)" if one.row_ids else ""
        table.add_row(
            str(one.id),
            one.rule,
            where + rows,
            str(one.valid_until),
            one.approved_by,
            escape(one.reason),
            escape(_state(state, today)),
        )
    _console().print(table if states else "Nothing has been waived.")


def _state(state: WaiverState, today: date) -> str:
    if state.revoked_by is not None:
        return f"revoked by {state.revoked_by}: {state.revoked_reason}"
    return "in force" if state.in_force(today) else "ended"
