"""The lake as a build left it: every table at the build's snapshot, whatever happened since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb

from cityledger.errors import BadInputError
from cityledger.ledger.builds import Build
from cityledger.ledger.journal import Journal
from cityledger.records import Publication
from cityledger.settings import Settings
from cityledger.storage import duck


@contextmanager
def pinned_lake(settings: Settings, build: Build) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only session with one view a table, named by :func:`view`.

    Raises:
        UnavailableError: the lake's catalogue or the object store does not answer.
    """
    with duck.connect(settings, lake=True, read_only=True) as connection:
        for model in build.models:
            connection.execute(
                f"CREATE TEMP VIEW {view(model.table)} AS SELECT * FROM lake.{model.table}"
                f" AT (VERSION => {build.snapshot_id})"
            )
        yield connection


def view(table: str) -> str:
    """Name of the view of ``schema.table``."""
    return "pinned_" + table.replace(".", "__")


def rows(
    connection: duckdb.DuckDBPyConnection, query: str, values: Sequence[Any] = ()
) -> list[dict[str, Any]]:
    """Result rows by column name."""
    result = connection.execute(query, list(values))
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def published(journal: Journal, snapshot_id: int | None = None) -> Publication:
    """A publication: the newest, or that of a snapshot.

    Raises:
        BadInputError: there is none.
    """
    newest = journal.latest_standardisation()
    if snapshot_id is None and newest is not None:
        wanted: int | None = newest.snapshot_id
    else:
        wanted = snapshot_id
    found = None if wanted is None else journal.find_publication(wanted)
    if found is None:
        raise BadInputError(
            "nothing was published"
            + ("" if snapshot_id is None else f" from snapshot {snapshot_id}"),
            fix="cityledger run DATASET --partition PARTITION",
            code="not_published",
        )
    return found
