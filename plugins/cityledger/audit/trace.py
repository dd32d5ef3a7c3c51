"""Trace: from a published value to the lines of the departments' files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from cityledger.audit.pinned import pinned_lake, published, rows, view
from cityledger.audit.rowpath import NoPathError, Relation, RowPath, Step
from cityledger.errors import BadInputError
from cityledger.ledger.builds import Build, BuiltModel, find_build
from cityledger.lifecycle.readers import read_chunks
from cityledger.masking import mask_frame
from cityledger.records import LandedObject, Record
from cityledger.runner import Runner

VALUES = "indicators.fct_indicator_value"


class SourceRow(Record):
    """One row of a department's file.

    Attributes:
        line: 1-based line (text) or row (workbook) of the file.
        member: Its name inside the archive.
        cells: Column → text as handed in, masked by the contract; empty when the file could not
            be read (``note`` says why).
    """

    row_id: str
    dataset: str
    partition: str
    delivery: str
    file: str
    object: str
    version_id: str | None
    sha256: str
    line: int
    member: str | None
    cells: dict[str, str | None]
    note: str = ""


class Trace(Record):
    """Where a value comes from.

    Attributes:
        steps: Tables on the way down, each with the number of rows that went into the value.
        sources: Some of the source rows.
        total: How many there are.
        gaps: What the trace cannot tell.
    """

    code: str
    area: str
    period: str
    value: str | None
    numerator: str | None
    denominator: str | None
    status: str
    snapshot_id: int
    steps: tuple[Step, ...]
    sources: tuple[SourceRow, ...]
    total: int
    gaps: tuple[str, ...]


def trace_indicator(
    runner: Runner,
    code: str,
    *,
    area: str,
    period: str,
    limit: int = 5,
    snapshot_id: int | None = None,
) -> Trace:
    """Follow one published value down to the lines of the original files.

    Args:
        runner: Of the installation.
        code: Of the indicator, e.g. ``SVC-01``.
        area: Area code of the value.
        period: ISO key of the value's period.
        limit: How many source rows to show; all are counted.
        snapshot_id: Of an older publication; the newest unless given.

    Raises:
        BadInputError: nothing was published, or there is no such value.
        CityLedgerError: the build's record is not there (code ``object_missing``).
    """
    publication = published(runner.journal, snapshot_id)
    build, _ = find_build(runner.store, publication.snapshot_id)
    with pinned_lake(runner.settings, build) as connection:
        value = find_value(connection, code, area, period)
        path = RowPath(build, connection)
        relations, steps, gaps = _walk(path, build, code, value)
        staged = [relation for relation in relations if relation.table.startswith("staging.")]
        counts = [path.count(relation) for relation in staged]
        found = [
            row | {"dataset": _dataset(build, relation.table)}
            for relation in staged
            for row in rows(
                connection,
                "SELECT _row_id, _source_object, _source_row, _partition, _delivery FROM"
                f" ({relation.sql}) ORDER BY _partition, _source_object, _source_row LIMIT {limit}",
            )
        ][:limit]
    return Trace(
        code=code,
        area=area,
        period=period,
        value=_text(value["value"]),
        numerator=_text(value["numerator"]),
        denominator=_text(value["denominator"]),
        status=value["status"],
        snapshot_id=build.snapshot_id,
        steps=tuple(steps),
        sources=tuple(_source_rows(runner, found)),
        total=sum(counts),
        gaps=tuple(gaps),
    )


def find_value(connection: Any, code: str, area: str, period: str) -> dict[str, Any]:
    """The row of the indicator table.

    Raises:
        BadInputError: there is none; the message says what there is.
    """
    found = rows(
        connection,
        f"SELECT * FROM {view(VALUES)} WHERE indicator_code = ? AND area_code = ? AND period = ?",
        (code, area, period),
    )
    if found:
        return found[0]
    near = rows(
        connection,
        "SELECT string_agg(DISTINCT period, ', ' ORDER BY period) AS periods,"
        " string_agg(DISTINCT area_code, ', ' ORDER BY area_code) AS areas"
        f" FROM {view(VALUES)} WHERE indicator_code = ?",
        (code,),
    )[0]
    known = rows(
        connection,
        "SELECT string_agg(DISTINCT indicator_code, ', ' ORDER BY indicator_code) AS codes"
        f" FROM {view(VALUES)}",
        (),
    )[0]
    raise BadInputError(
        f"there is no value of {code} for area {area} in {period}",
        fix=f"areas: {near['areas']}; periods: {near['periods']}"
        if near["periods"]
        else f"indicators: {known['codes']}",
        code="unknown_value",
    )


def indicator_model(build: Build, code: str) -> BuiltModel:
    """The model that computes an indicator.

    Raises:
        BadInputError: the build has no such indicator.
    """
    for model in build.models:
        if model.meta.get("indicator", {}).get("code") == code:
            return model
    raise BadInputError(f"there is no indicator {code}", code="unknown_indicator")


def _walk(
    path: RowPath, build: Build, code: str, value: dict[str, Any]
) -> tuple[list[Relation], list[Step], list[str]]:
    steps, gaps, reached = [], [], []
    try:
        relation = path.facts(indicator_model(build, code), value)
        steps.append(_step(path, relation, "counted by the indicator"))
        for below, how in path.down(relation):
            steps.append(_step(path, below, how))
            relation = below
        for staged in path.staged(relation):
            step = _step(path, staged, "same _row_id")
            if step.rows:
                steps.append(step)
                reached.append(staged)
            else:
                gaps.append(
                    f"{relation.table} also joins {staged.table}; which of its rows is told by"
                    " the model, not by a row id"
                )
    except NoPathError as error:
        gaps.append(error.what)
    return reached, steps, gaps


def _step(path: RowPath, relation: Relation, how: str) -> Step:
    return Step(table=relation.table, rows=path.count(relation), how=how)


def _source_rows(runner: Runner, found: Sequence[dict[str, Any]]) -> Iterator[SourceRow]:
    for row in found:
        uri, _, member = row["_source_object"].partition("#")
        landed = _landed(runner, row, uri)
        if landed is None:
            continue
        cells, note = _cells(runner, row, landed, member or None)
        yield SourceRow(
            row_id=row["_row_id"],
            dataset=row["dataset"],
            partition=row["_partition"],
            delivery=row["_delivery"],
            file=landed.name,
            object=landed.uri,
            version_id=landed.version_id,
            sha256=landed.sha256,
            line=row["_source_row"],
            member=member or None,
            cells=cells,
            note=note,
        )


def _landed(runner: Runner, row: dict[str, Any], uri: str) -> LandedObject | None:
    for receipt in runner.journal.receipts(row["dataset"], row["_partition"]):
        for landed in receipt.objects:
            if receipt.delivery == row["_delivery"] and landed.uri == uri:
                return landed
    return None


def _cells(
    runner: Runner, row: dict[str, Any], landed: LandedObject, member: str | None
) -> tuple[dict[str, str | None], str]:
    contract = runner.contract(row["dataset"])
    with runner.store.open(landed) as stream:
        for part in read_chunks(stream, landed.name, landed.size, contract):
            for chunk in part.chunks:
                if part.name != member:
                    continue
                hit = chunk.frame.filter(pl.col("_source_row") == row["_source_row"])
                if hit.height:
                    shown = mask_frame(hit.drop("_source_row"), contract).row(0, named=True)
                    return dict(shown), ""
    return {}, "the line is not a record under the present contract"


def _dataset(build: Build, table: str) -> str:
    return str(build.model(table).meta.get("dataset", ""))


def _text(number: object) -> str | None:
    return None if number is None else f"{number:f}" if hasattr(number, "as_tuple") else str(number)
