"""Publish: the indicator table of one snapshot as files that anybody can check."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl

from cityledger.errors import CityLedgerError
from cityledger.lifecycle.cells import guarded
from cityledger.lifecycle.content_digest import table_digest
from cityledger.records import (
    IndicatorStatus,
    IndicatorValue,
    ObjectRef,
    Publication,
    Standardisation,
)
from cityledger.settings import Settings
from cityledger.storage import duck
from cityledger.storage.objects import ObjectStore

TABLE = "indicators.fct_indicator_value"
CARDS = "indicators.dim_indicator"
_BUCKET = "published"
_PREFIX = "indicators"
_BOM = "\ufeff"
_JSON = "application/json"


def publish(
    standardisation: Standardisation, *, settings: Settings, store: ObjectStore
) -> Publication:
    """Export the indicator table at the snapshot of a build.

    Keys: ``indicators/<first 16 hex digits of the content digest>/indicator_values.parquet``,
    ``….csv`` and ``run_summary.json``; ``indicators/latest.json``, written last, points to them.
    The same content gives the same bytes, so publishing it again changes nothing.

    Args:
        standardisation: The build; its snapshot id pins the tables.
        settings: Where the lake is.
        store: Where the files go.

    Raises:
        CityLedgerError: the table's content is not what the build recorded, or the project has no
            indicators.
        UnavailableError: database or object store do not answer.
    """
    if TABLE not in standardisation.digests:
        raise CityLedgerError(
            "the dbt project builds no indicator table, so there is nothing to publish",
            where=str(settings.dbt_project_dir),
            fix=f"add the models {TABLE} and {CARDS}",
            code="no_indicators",
        )
    with duck.connect(settings, lake=True, read_only=True) as connection:
        content = table_digest(connection, TABLE, standardisation.snapshot_id)
        _check(content.sha256, standardisation)
        frame = _values(connection, standardisation.snapshot_id)
    folder = f"{_PREFIX}/{content.sha256[:16]}"
    files = {
        "indicator_values.parquet": (_parquet(frame), "application/vnd.apache.parquet"),
        "indicator_values.csv": (_csv(frame), "text/csv; charset=utf-8"),
    }
    objects = [
        store.put_bytes(_BUCKET, f"{folder}/{name}", data, content_type=kind)
        for name, (data, kind) in files.items()
    ]
    values = tuple(_city_values(frame))
    summary = _json(_summary(standardisation, content.sha256, objects, values))
    objects.append(
        store.put_bytes(_BUCKET, f"{folder}/run_summary.json", summary, content_type=_JSON)
    )
    pointer = _json(_pointer(standardisation.snapshot_id, content.sha256, objects))
    objects.append(store.put_bytes(_BUCKET, f"{_PREFIX}/latest.json", pointer, content_type=_JSON))
    return Publication(
        snapshot_id=standardisation.snapshot_id,
        objects=tuple(objects),
        rows=frame.height,
        content_sha256=content.sha256,
        values=values,
    )


def _check(found: str, standardisation: Standardisation) -> None:
    if standardisation.digests[TABLE] != found:
        raise CityLedgerError(
            "the indicator table is not what the build recorded",
            where=f"{TABLE} at snapshot {standardisation.snapshot_id}",
            fix="standardise again; if it repeats, somebody has changed files of the lake",
            code="content_changed",
        )


def _values(connection: duckdb.DuckDBPyConnection, snapshot: int) -> pl.DataFrame:
    at = f"AT (VERSION => {int(snapshot)})"
    result = connection.execute(
        "SELECT facts.indicator_code, cards.name, cards.name_en, facts.area_code,"
        " facts.area_level, facts.period, facts.period_start, facts.period_end, facts.value,"
        " facts.numerator, facts.denominator, facts.unit, facts.target, facts.baseline,"
        " facts.status, facts.definition_version"
        f" FROM (SELECT * FROM lake.{TABLE} {at}) AS facts"
        f" JOIN (SELECT * FROM lake.{CARDS} {at}) AS cards USING (indicator_code)"
        " ORDER BY facts.indicator_code, facts.area_code, facts.period"
    )
    return result.pl()


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", compression_level=3, statistics=True)
    return buffer.getvalue()


def _csv(frame: pl.DataFrame) -> bytes:
    """UTF-8 with a byte order mark, so that spreadsheets read Chinese text, and formula-safe."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(frame.columns)
    writer.writerows([_cell(value) for value in row] for row in frame.iter_rows())
    return (_BOM + buffer.getvalue()).encode()


def _cell(value: Any) -> str:
    """A cell's text, which no spreadsheet takes for a formula."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return value.isoformat()
    return guarded("" if value is None else str(value))


def _city_values(frame: pl.DataFrame) -> Iterator[IndicatorValue]:
    for row in frame.filter(pl.col("area_level") == "city").iter_rows(named=True):
        yield IndicatorValue(
            code=row["indicator_code"],
            name=row["name"],
            name_en=row["name_en"],
            area=row["area_code"],
            period=row["period"],
            value=_number(row["value"]),
            unit=row["unit"],
            target=_number(row["target"]),
            status=IndicatorStatus(row["status"]),
        )


def _number(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _summary(
    standardisation: Standardisation,
    content: str,
    objects: Sequence[ObjectRef],
    values: Sequence[IndicatorValue],
) -> dict[str, Any]:
    """What does not depend on when or how often the build ran: equal content, equal bytes."""
    return {
        "content_sha256": content,
        "files": {ref.key.rpartition("/")[2]: ref.sha256 for ref in objects},
        "staged": [
            staged.model_dump(mode="json")
            for staged in sorted(standardisation.staged, key=lambda s: (s.dataset, s.partition))
        ],
        "table_digests": dict(sorted(standardisation.digests.items())),
        "city_values": [value.model_dump(mode="json") for value in values],
    }


def _pointer(snapshot: int, content: str, objects: Sequence[ObjectRef]) -> dict[str, Any]:
    return {
        "snapshot_id": snapshot,
        "content_sha256": content,
        "objects": {ref.key: ref.sha256 for ref in objects},
    }


def _json(document: dict[str, Any]) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode()
