"""`cityledger contract`: check, show, infer and scaffold datasets' contracts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cityledger.cli.options import DatasetArgument, JsonOption
from cityledger.contracts.catalogue import RuleCatalogue, ValueTypeFacts
from cityledger.contracts.glossary import examine_glossary
from cityledger.contracts.identity import DatasetId
from cityledger.contracts.infer import People, draft_contract, vocabulary_of
from cityledger.contracts.lint import CODES, Report, examine
from cityledger.contracts.model import Column, ColumnType, Contract, RuleSpec
from cityledger.contracts.node import nearest
from cityledger.contracts.registry import load_contracts
from cityledger.contracts.resolve import SUFFIX
from cityledger.contracts.scaffold import enlist, model_name, scaffold, scaffold_properties
from cityledger.contracts.violations import Violation
from cityledger.errors import BadInputError, Exit
from cityledger.settings import get_settings

# Columns and rules of a suite do not depend on the day that its values are judged by.
_ANY_DAY = date(2000, 1, 1)

app = typer.Typer(
    help="Datasets' contracts: check, show, infer from a sample, scaffold.", no_args_is_help=True
)


# --- lint --------------------------------------------------------------------------------------


@app.command()
def lint(
    path: Annotated[
        Path | None,
        typer.Argument(help="A contracts folder or one contract file. Default: contracts/"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Report every violation of every file, as file:line:column: message → fix.

    Exit code 4 when anything is wrong.
    """
    target = path or get_settings().contracts_dir
    directory = target.parent.parent if target.is_file() else target
    report = examine(directory, house_catalogue())
    report.violations.extend(_uncompilable(report, directory))
    if target.is_file():
        kept = [violation for violation in report.violations if violation.file == target]
        report = Report(report.contracts, kept, report.files)
    _print_report(report, as_json=as_json)
    if report.violations:
        raise typer.Exit(Exit.BAD_INPUT)


def _uncompilable(report: Report, directory: Path) -> Iterator[Violation]:
    """What only binding the rules to the columns shows, e.g. a date compared with a number."""
    from quality_checks.compiler import compile_suite

    wrong = {violation.file for violation in report.violations}
    for contract in report.contracts.values():
        if contract.path in wrong:
            continue
        try:
            compile_suite(contract, codes_dir=directory / CODES, as_of=_ANY_DAY).session()
        except BadInputError as error:
            key = error.where.rpartition(" ")[2]
            line = next((rule.line for rule in contract.rules if rule.key == key), 1) or 1
            yield Violation(contract.path, line, 1, f"{key}: {error.what}", error.fix)


def _print_report(report: Report, *, as_json: bool) -> None:
    contracts = report.contracts.values()
    counts = {
        "files": report.files,
        "contracts": len(report.contracts),
        "columns": sum(len(contract.columns) for contract in contracts),
        "rules": sum(len(contract.rules) for contract in contracts),
    }
    if as_json:
        found = [violation.as_dict() for violation in report.violations]
        typer.echo(json.dumps({**counts, "violations": found}, ensure_ascii=False, indent=2))
        return
    for violation in report.violations:
        typer.echo(str(violation))
    looked_at = ", ".join(f"{count} {name}" for name, count in counts.items())
    typer.echo(f"{looked_at}: {len(report.violations)} violations")


# --- show --------------------------------------------------------------------------------------


@app.command()
def show(dataset: DatasetArgument, as_json: JsonOption = False) -> None:
    """Show a contract as the rest of the house reads it: columns, rules, promises."""
    contract = find_contract(dataset)
    if as_json:
        typer.echo(json.dumps(_as_json(contract), ensure_ascii=False, indent=2, default=str))
        return
    console = Console(highlight=False)
    console.print(f"[bold]{contract.id}[/] {contract.version} · {contract.title}")
    for label, text in _promises(contract).items():
        console.print(f"  {label:<10} {text}", markup=False, soft_wrap=True)
    console.print(_columns_table(contract.columns))
    console.print(_rules_table(contract.rules, str(contract.id)))


def find_contract(dataset: str) -> Contract:
    """The contract of a dataset.

    Raises:
        BadInputError: there is none of that name.
    """
    contracts = load_contracts(get_settings().contracts_dir)
    if dataset not in contracts:
        raise BadInputError(
            f"no contract for '{dataset}'",
            where=str(get_settings().contracts_dir),
            fix=nearest(dataset, contracts),
            code="unknown_dataset",
        )
    return contracts[dataset]


def _promises(contract: Contract) -> dict[str, str]:
    level, gate = contract.service_level, contract.gate
    sharing = " ".join(str(value) for value in contract.sharing.values())
    return {
        "source": f"{contract.source.connector} {contract.source.options.get('path', '')}",
        "layout": f"{contract.layout.format}, encoding {contract.layout.encoding}",
        "every": f"{level.grain}; due {level.latency} after its end; kept {level.retention.days} d",
        "schedule": level.schedule or "triggered only",
        "gate": f"holds above {gate.max_quarantined_percent:g} % quarantined, "
        f"{gate.max_rejected_percent:g} % rejected, or below {gate.min_rows} rows",
        "people": f"owner {contract.owner}, steward {contract.steward}, {contract.contact}",
        "sharing": sharing,
    }


def _table(title: str, *names: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def _columns_table(columns: tuple[Column, ...]) -> Table:
    table = _table("Columns", "column", "type", "business name", "headers", "class")
    for column in columns:
        kind = f"decimal{column.precision}" if column.precision else column.type.value
        kind = f"{kind} · {column.semantic_type}" if column.semantic_type else kind
        mark = "*" if column.primary_key else ""
        headers = ", ".join(column.headers[1:])
        table.add_row(
            column.name + mark, kind, column.business_name, headers, column.classification
        )
    table.caption = "* part of the key"
    return table


def _rules_table(rules: tuple[RuleSpec, ...], dataset: str) -> Table:
    table = _table("Rules", "rule", "severity", "GB/T 36344", "scope", "holds unless")
    for rule in rules:
        limit = rule.threshold
        bound = str(limit) if limit else ""
        table.add_row(
            rule.key.removeprefix(f"{dataset}."),
            rule.severity.value,
            f"{rule.gb_code} {rule.dimension}",
            rule.scope.value,
            bound,
        )
    return table


def _as_json(contract: Contract) -> dict[str, Any]:
    level = contract.service_level
    return {
        "id": str(contract.id),
        "version": contract.version,
        "title": contract.title,
        "sha256": contract.sha256,
        "columns": [_fields(column) for column in contract.columns],
        "rules": [_fields(rule) for rule in contract.rules],
        "source": _fields(contract.source),
        "layout": _fields(contract.layout),
        "service_level": {
            "grain": level.grain,
            "latency_hours": level.latency.total_seconds() / 3600,
            "retention_days": level.retention.days,
            "schedule": level.schedule,
        },
        "gate": _fields(contract.gate),
        "drift": contract.drift.value,
        "null_tokens": contract.null_tokens,
        "owner": contract.owner,
        "steward": contract.steward,
        "contact": contract.contact,
        "sharing": dict(contract.sharing),
        "quality_notes": [_fields(note) for note in contract.quality_notes],
    }


def _fields(record: Any) -> dict[str, Any]:
    return {
        name: _fields(value) if hasattr(value, "__dataclass_fields__") else value
        for name, value in ((name, getattr(record, name)) for name in record.__dataclass_fields__)
    }


# --- infer -------------------------------------------------------------------------------------


@app.command()
def infer(
    file: Annotated[Path, typer.Argument(help="A sample: CSV, Excel, JSON, also gzip or zip.")],
    dataset: Annotated[str, typer.Option(help="Its id: department.dataset", show_default=False)],
    owner: Annotated[str, typer.Option(help="Who answers for the data.")] = "",
    steward: Annotated[str, typer.Option(help="Who decides when a batch is held.")] = "",
    contact: Annotated[str, typer.Option(help="Where problems are reported.")] = "",
    condition: Annotated[str, typer.Option(help="Under which condition it is shared.")] = "",
    force: Annotated[bool, typer.Option(help="Overwrite the contract that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Draft a contract from a sample of the department's file; the lint says what is missing."""
    from cityledger.cli.sample import read_sample

    identity = DatasetId.parse(dataset)
    directory = get_settings().contracts_dir
    path = directory / f"{identity.prefix}{SUFFIX}"
    if path.exists() and not force:
        raise BadInputError(
            "there is a contract already",
            where=str(path),
            fix="say --force to overwrite",
            code="contract_exists",
        )
    people = People(owner, steward, contact, condition)
    text = draft_contract(identity, read_sample(file), people, _vocabulary(directory))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if as_json:
        typer.echo(json.dumps({"written": str(path)}, ensure_ascii=False))
    else:
        typer.echo(f"wrote {path}\nnext: cityledger contract lint {path}")


def _vocabulary(directory: Path) -> dict[str, str]:
    """Header texts that mean the same column everywhere: from the glossary and all contracts."""
    headers: dict[str, list[str]] = {}
    for contract in examine(directory).contracts.values():
        for column in contract.columns:
            headers.setdefault(column.name, []).extend(column.headers)
    glossary = directory / "columns.yaml"
    for name, term in (examine_glossary(glossary)[0] if glossary.exists() else {}).items():
        headers.setdefault(name, []).append(term.zh)
    return vocabulary_of(headers)


# --- scaffold ----------------------------------------------------------------------------------


@app.command("scaffold")
def scaffold_command(
    dataset: DatasetArgument,
    force: Annotated[bool, typer.Option(help="Overwrite files that are there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the dataset's dbt staging model with its description, and enlist it for the audit."""
    contract = find_contract(dataset)
    models = get_settings().dbt_project_dir / "models"
    folder, audit = models / "staging", models / "audit" / "aud_accounting_identity.sql"
    columns = _output_columns(contract)
    texts = {
        folder / f"{model_name(contract)}.sql": scaffold(contract, columns),
        folder / f"{model_name(contract)}.yml": scaffold_properties(contract, columns),
    }
    present = [str(path) for path in texts if path.exists()]
    if present and not force:
        raise BadInputError(
            f"there already: {', '.join(present)}",
            fix="say --force to overwrite",
            code="scaffold_exists",
        )
    if audit.exists():
        texts[audit] = enlist(audit.read_text(encoding="utf-8"), model_name(contract))
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    if as_json:
        typer.echo(json.dumps({"written": [str(path) for path in texts]}, ensure_ascii=False))
    else:
        typer.echo("\n".join(f"wrote {path}" for path in texts))


def _output_columns(contract: Contract) -> list[tuple[str, ColumnType, tuple[int, int] | None]]:
    from quality_checks.compiler import compile_suite

    codes_dir = get_settings().contracts_dir / CODES
    suite = compile_suite(contract, codes_dir=codes_dir, as_of=_ANY_DAY)
    return suite.output_columns


# --- what the layers below can't know ----------------------------------------------------------


def house_catalogue() -> RuleCatalogue:
    """The rules, value types and connectors that are installed here."""
    from quality_checks.rules import catalogue
    from quality_checks.values import all_value_types

    connectors = {entry.name: None for entry in entry_points(group="cityledger.sources")}
    return RuleCatalogue(
        rules=catalogue(),
        value_types={
            name: ValueTypeFacts(
                allowed=frozenset(kind.options),
                types=frozenset(kind.logical_types),
                suffixes=frozenset(kind.extra_columns),
            )
            for name, kind in all_value_types().items()
        },
        connectors=connectors,
    )
