"""Where everything stands: datasets × partitions × stages, for ``cityledger status``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from cityledger.records import Outcome, Record, Stage


class Cell(Record):
    """The latest attempt of one stage.

    Attributes:
        rows: Rows that the stage left, as far as it counts rows.
        seconds: How long the attempt took; None where no attempt of its own was recorded.
    """

    status: str
    at: datetime
    rows: int | None = None
    seconds: float | None = None
    delivery: str | None = None
    error_code: str | None = None


class MatrixRow(Record):
    """One partition of one dataset; a stage that was never tried is missing."""

    dataset: str
    partition: str
    stages: dict[Stage, Cell]


def build_matrix(
    latest: Iterable[Outcome], done: Iterable[Outcome], staged: Iterable[Mapping[str, Any]]
) -> list[MatrixRow]:
    """Arrange the latest outcomes, and what the newest builds staged, by dataset and partition.

    A stage that was skipped, because it was done already, shows the attempt that did it.
    Standardisation serves all datasets in one attempt, so a dataset's own cell for it comes from
    the rows that arrived in its staging table.

    Args:
        latest: The latest outcome of every dataset, partition and stage.
        done: The latest among those that did something.
        staged: The newest staged delivery of every dataset and partition.
    """
    did = {(one.dataset, one.partition, one.stage): one for one in done}
    cells: dict[tuple[str, str], dict[Stage, Cell]] = {}
    for outcome in latest:
        place = cells.setdefault((outcome.dataset, outcome.partition), {})
        key = (outcome.dataset, outcome.partition, outcome.stage)
        place[outcome.stage] = _cell(did.get(key, outcome) if _skipped(outcome) else outcome)
    for row in staged:
        place = cells.setdefault((row["dataset"], row["partition"]), {})
        place.setdefault(
            Stage.STANDARDISE,
            Cell(
                status="success",
                at=row["saved_at"],
                rows=row["rows"],
                delivery=row["delivery"],
            ),
        )
    return [
        MatrixRow(dataset=dataset, partition=partition, stages=_in_order(stages))
        for (dataset, partition), stages in sorted(cells.items())
    ]


def _skipped(outcome: Outcome) -> bool:
    return outcome.status == "skipped"


def _cell(outcome: Outcome) -> Cell:
    return Cell(
        status=outcome.status,
        at=outcome.ended_at,
        rows=_rows(outcome),
        seconds=(outcome.ended_at - outcome.started_at).total_seconds(),
        delivery=outcome.delivery,
        error_code=outcome.error_code,
    )


def _rows(outcome: Outcome) -> int | None:
    """Rows by the outcome's own record: its accounting, or its ``rows``."""
    accounting = outcome.detail.get("accounting")
    if isinstance(accounting, dict):
        stage = "parsed" if outcome.stage is Stage.PARSE else "validated"
        value = accounting.get(stage)
    else:
        value = outcome.detail.get("rows")
    return value if isinstance(value, int) else None


def _in_order(stages: Mapping[Stage, Cell]) -> dict[Stage, Cell]:
    return {stage: stages[stage] for stage in Stage if stage in stages}
