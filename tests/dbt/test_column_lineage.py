"""Every column of our models resolves to sources outside the lake, or to a stated reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cityledger.ledger.columns import (
    SourceKind,
    TableLineage,
    column_lineage,
    column_lineage_facet,
    namer,
    origins,
)
from cityledger.lifecycle.standardise import standardise
from cityledger.settings import PROJECT_DIR, Settings

from tests.dbt.city import staged_columns
from tests.dbt.conftest import Built

PROJECT = PROJECT_DIR / "dbt_project"
REASONS = {"constant", "count of rows", "generated", "seed"}


@pytest.fixture(scope="session")
def traced(built: Built, target_dir: Path) -> list[TableLineage]:
    return column_lineage(target_dir, PROJECT)


def sources(traced: list[TableLineage], table: str, column: str) -> set[str]:
    return {
        f"{one.origins[0].source}.{one.origins[0].column}" if one.origins else str(one.reason)
        for one in origins(traced, table, column)
    }


def test_every_column_resolves(traced: list[TableLineage]) -> None:
    """Prevents a model whose numbers nobody can follow: 100 % or a reason."""
    assert {table.table: table.problem for table in traced if table.problem} == {}
    assert len(traced) > 40
    for table in traced:
        assert table.columns, table.table
        for column in table.columns:
            place = f"{table.table}.{column.column}"
            assert bool(column.origins) != (column.reason in REASONS), place
            ends = origins(traced, table.table, column.column)
            assert ends, place
            for end in ends:
                assert end.reason in REASONS or end.origins[0].kind is not SourceKind.TABLE, place


def test_columns_are_those_of_the_tables(built: Built, traced: list[TableLineage]) -> None:
    """Prevents lineage of a column that does not exist, or a column without lineage."""
    from cityledger.storage import duck

    with duck.connect(built.settings, lake=True, read_only=True) as connection:
        for table in traced:
            found = connection.execute(f"DESCRIBE lake.{table.table}").fetchall()
            assert [name for name, *_ in found] == [one.column for one in table.columns]


@pytest.mark.parametrize(
    ("table", "column", "expected"),
    [
        (
            "core.fct_service_case",
            "working_days",
            # the days only look up the numbers, which come from the calendar
            {"gov_services.service_cases.status", "seed"},
        ),
        ("core.dim_person", "person_key", {"health.outpatient_visits.citizen_id"}),
        ("indicators.ind_services__handling_time", "denominator", {"count of rows"}),
        (
            "core.fct_air_observation",
            "concentration",
            {
                f"environment.air_quality.{pollutant}"
                for pollutant in ("so2", "no2", "pm10", "pm25", "co", "o3")
            },
        ),
        ("core.dim_area", "population", {"areas.population"}),
    ],
)
def test_known_columns(
    traced: list[TableLineage], table: str, column: str, expected: set[str]
) -> None:
    """Prevents lineage that is complete and wrong; written down from the models by hand."""
    assert sources(traced, table, column) == expected


def test_staging_reads_the_validated_columns(traced: list[TableLineage]) -> None:
    """Prevents a gap between the contract's columns and the lake's."""
    by_name = {table.table: table for table in traced}
    for dataset in ("hotline.tickets", "education.schools"):
        table = by_name[f"staging.stg_{dataset.replace('.', '__')}"]
        for name in (*staged_columns(dataset), "_row_id", "_source_object", "_source_row"):
            (origin,) = table.column(name).origins
            assert (origin.kind, origin.source, origin.column) == ("validated", dataset, name)


def test_incremental_run_without_news_keeps_its_lineage(
    built: Built, traced: list[TableLineage], new_lake: Callable[[], Settings], target_dir: Path
) -> None:
    """Prevents lineage that vanishes on days on which a dataset has nothing new."""
    standardise(
        built.releases,
        settings=built.settings,
        target_dir=target_dir,
        validations=built.validations,
    )
    again = column_lineage(target_dir, PROJECT)
    assert {table.table: table for table in again} == {table.table: table for table in traced}


def test_facet_is_the_standard_one(traced: list[TableLineage]) -> None:
    """Prevents a facet that no other catalogue reads."""
    name = namer(tables="ducklake://h:1/d", validated="s3://validated", inputs="cityledger")
    table = next(one for one in traced if one.table == "staging.stg_hotline__tickets")
    facet = column_lineage_facet(table, name)
    assert facet is not None
    (field,) = facet.fields["ticket_no"].inputFields
    assert (field.namespace, field.name, field.field) == (
        "s3://validated",
        "hotline/tickets",
        "ticket_no",
    )
    assert field.transformations is not None
    assert (field.transformations[0].type, field.transformations[0].subtype) == (
        "DIRECT",
        "TRANSFORMATION",
    )
    assert facet.dataset
