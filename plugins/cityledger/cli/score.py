"""`cityledger score`: score cards on the terminal."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cityledger.cli.options import JsonOption, Language
from cityledger.contracts.identity import Partition
from cityledger.errors import BadInputError
from cityledger.ledger.quality import QualityStore
from cityledger.ledger.scores import ScoreBook
from cityledger.settings import get_settings
from cityledger.storage.database import Database
from quality_checks.scoring import DimensionScore, ScoreCard


def mount(app: typer.Typer) -> None:
    """Add the verb to the front door."""
    app.command("score", rich_help_panel="Quality")(score)


def score(
    dataset: Annotated[
        str | None,
        typer.Argument(
            help="Dataset id, e.g. [bold]transport.metro_trips[/]; without it the whole city.",
            show_default=False,
        ),
    ] = None,
    department: Annotated[
        str | None,
        typer.Option("--department", "-d", help="All datasets of a department, e.g. health."),
    ] = None,
    partition: Annotated[
        str | None,
        typer.Option("--partition", "-p", help="One period's newest delivery (with DATASET)."),
    ] = None,
    day: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="Last day of the window [dim](default: the newest scored day of the city)[/].",
            show_default=False,
        ),
    ] = None,
    language: Annotated[Language, typer.Option("--lang", help="Of names and formula.")] = (
        Language.ZH
    ),
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild",
            help="Score everything stored by the present scoring.yaml; former scores are kept.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a score card to GB/T 36344: six dimensions, total, grade, and the formula.

    A card of a dataset, a department or the city covers a window: about a month of daily
    deliveries, two periods of coarser ones. Of each partition the newest delivery counts, missing
    deliveries count as failed. [bold]Not assessed[/] means that no rule looked at it; it is left
    out, not taken for 100.

    Weights and grades come from contracts/scoring.yaml. After a change of that file run
    [bold]cityledger score --rebuild[/].

    Examples: [dim]cityledger score · cityledger score -d health --lang en ·
    cityledger score hotline.tickets -p 2026-03-31 --json[/]
    """
    _check(dataset, department, partition)
    settings = get_settings()
    database = Database.from_settings(settings)
    if rebuild:
        added = ScoreBook(database, settings.contracts_dir).rebuild()
        typer.echo(f"{added} scores added", err=as_json)
    store = QualityStore(database, settings.contracts_dir)
    last = day.date() if day else store.newest_day() or store.today()
    if dataset and partition:
        card, title = _of_partition(store, dataset, partition), f"{dataset} {partition}"
    else:
        card = store.card(dataset=dataset, department=department, day=last)
        title = f"{dataset or department or 'city'}, window up to {last}"
    if as_json:
        typer.echo(json.dumps(card.model_dump(mode="json"), ensure_ascii=False, indent=2))
    else:
        _print(card, title, chinese=language is Language.ZH)


def _check(dataset: str | None, department: str | None, partition: str | None) -> None:
    if dataset and department:
        raise BadInputError(
            "a dataset and a department are given", fix="give one of the two", code="bad_choice"
        )
    if partition and not dataset:
        raise BadInputError(
            "a partition belongs to a dataset",
            fix="cityledger score DATASET --partition PERIOD",
            code="bad_choice",
        )


def _of_partition(store: QualityStore, dataset: str, partition: str) -> ScoreCard:
    Partition.parse(partition)
    card = store.partition_card(dataset, partition)
    if card is None:
        raise BadInputError(
            "there is no score",
            where=f"{dataset}/{partition}",
            fix=f"cityledger run {dataset} --partition {partition}, or cityledger score --rebuild",
            code="no_score",
        )
    return card


def _print(card: ScoreCard, title: str, *, chinese: bool) -> None:
    console = Console(highlight=False)
    grade = card.grade_name if chinese else card.grade_name_en
    total = (
        f"{card.total:.2f} → {card.grade} {grade}"
        if card.total is not None
        else _unassessed(chinese=chinese)
    )
    console.print(f"[bold]{title}[/]  {total}")
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for header in (
        ("维度", "得分", "权重", "指标")
        if chinese
        else (
            "dimension",
            "score",
            "weight",
            "indicators",
        )
    ):
        table.add_column(header, overflow="fold")
    for dimension in card.dimensions:
        table.add_row(*_row(dimension, chinese=chinese))
    console.print(table)
    console.print(card.formula if chinese else card.formula_en, markup=False, soft_wrap=True)
    for one in card.unchecked:
        said = "未能检查，按未评估计" if chinese else "could not be checked, counts as not assessed"
        console.print(f"! {one.key} ({one.gb_code}): {said}: {one.message}", markup=False)


def _row(dimension: DimensionScore, *, chinese: bool) -> tuple[str, str, str, str]:
    assessed = [one for one in dimension.indicators if one.score is not None]
    return (
        f"{dimension.code} {dimension.name if chinese else dimension.name_en}",
        _unassessed(chinese=chinese) if dimension.score is None else f"{dimension.score:.2f}",
        f"{dimension.weight:g}",
        ", ".join(f"{one.code} {one.score:.2f}" for one in assessed),
    )


def _unassessed(*, chinese: bool) -> str:
    return "未评估" if chinese else "not assessed"
