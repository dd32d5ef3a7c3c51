"""`cityledger audit`: evidence packs: make, verify, re-derive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cityledger.cli.options import JsonOption
from cityledger.errors import BadInputError, CityLedgerError
from cityledger.settings import get_settings

app = typer.Typer(help="Evidence packs: make one, verify it offline, re-derive its number.")
PackArgument = Annotated[Path, typer.Argument(help="The pack (.zip).", show_default=False)]
KeyOption = Annotated[
    str | None,
    typer.Option(
        help="The city's verifier key, or a file with it; without it the pack's own.",
        show_default=False,
    ),
]

TrustedSizeOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Of a key that was revoked: the largest tree that it surely signed, as"
        " [bold]ledger keys[/] says.",
        show_default=False,
    ),
]


@app.command()
def pack(
    subject: Annotated[
        str,
        typer.Argument(
            help="Code of an indicator (SVC-01), or a table (core.dim_area).", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where the pack goes.", show_default=False)],
    area: Annotated[str | None, typer.Option(help="Area code of the value.")] = None,
    period: Annotated[str | None, typer.Option(help="Period of the value.")] = None,
    snapshot: Annotated[int | None, typer.Option(help="Of an older build.")] = None,
    with_inputs: Annotated[
        bool, typer.Option(help="Add the departments' files: they hold personal data.")
    ] = False,
) -> None:
    """Make an evidence pack for one published value, or for one table of a build."""
    from cityledger.audit.gather import gather_indicator, gather_table
    from cityledger.audit.pack import make_pack
    from cityledger.runner import Runner

    runner = Runner.from_settings()
    if "." in subject:
        evidence = gather_table(runner, subject, snapshot_id=snapshot)
    elif area and period:
        evidence = gather_indicator(runner, subject, area=area, period=period, snapshot_id=snapshot)
    else:
        raise BadInputError("a value has --area and --period", where=subject, code="usage")
    data = make_pack(runner, evidence, with_inputs=with_inputs)
    draft = out.with_name(f"{out.name}.draft")
    draft.write_bytes(data)
    draft.replace(out)
    typer.echo(f"{out}: {len(data):,} bytes, {evidence.name}")


@app.command()
def verify(
    pack: PackArgument,
    key: KeyOption = None,
    trusted_size: TrustedSizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a pack offline: signature, every byte, and the proofs of the transparency log."""
    from cityledger.audit.pack import open_pack

    statement, files = open_pack(pack, _key(key), trusted_size)
    predicate = statement["predicate"]
    if as_json:
        typer.echo(json.dumps(statement, ensure_ascii=False, indent=2))
        return
    trust = "the key given" if key else "the key that it brings: compare it with the city's own"
    typer.echo(f"verified by {trust}")
    typer.echo(f"  pack {predicate['id']}: {statement['subject'][0]['name']}")
    typer.echo(f"  value {predicate['subject'].get('value')}, {len(files)} files,")
    typer.echo(f"  {len(predicate['inputs'])} deliveries, {len(predicate['log']['events'])} events")


@app.command()
def rederive(
    pack: PackArgument,
    key: Annotated[
        str,
        typer.Option(
            help="The city's verifier key, or a file with it: a pack brings the SQL that is run.",
            show_default=False,
        ),
    ],
    trusted_size: TrustedSizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute the pack's number again from the original bytes; exit code 1 when it differs."""
    from cityledger.audit.rederive import Comparison, rederive_pack

    result = rederive_pack(pack, get_settings(), verifier=_key(key), trusted_size=trusted_size)
    if as_json:
        typer.echo(result.model_dump_json(indent=2))
    else:
        console = Console(highlight=False)
        for check in result.checks:
            console.print(f"{check.result:<18} {check.what}", markup=False, soft_wrap=True)
        for note in result.notes:
            console.print(f"note: {note}", markup=False, soft_wrap=True)
        console.print(f"[bold]{result.result}[/]")
    if result.result is Comparison.DIFFERENT:
        raise CityLedgerError(
            f"the re-derived number differs: {result.first_difference}",
            where=str(pack),
            code="rederived_different",
        )


@app.command()
def lint() -> None:
    """Look in the dbt models for what differs from run to run, or from engine to engine."""
    from cityledger.audit.lint import lint_models, lint_portability

    found = [*lint_models(get_settings()), *lint_portability(get_settings())]
    for doubt in found:
        typer.echo(f"{doubt.model}: {doubt.kind}: {doubt.sql}")
    if found:
        raise CityLedgerError(
            f"{len(found)} place(s) whose result may differ from run to run, or between engines",
            fix="see docs/evidence.md, determinism, and docs/scale.md, portable SQL",
            code="not_reproducible",
        )
    typer.echo("every model is reproducible, and portable to Spark")


def _key(text: str | None) -> str | None:
    if text is None:
        return None
    path = Path(text)
    return path.read_text("utf-8").split("\n")[0] if path.is_file() else text
