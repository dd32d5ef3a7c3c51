"""Small reads of the journals that only pages need."""

from __future__ import annotations

from sqlalchemy import select

from cityledger.records import IndicatorValue, Publication
from cityledger.storage import tables
from cityledger.storage.database import Database


def latest_publication(database: Database) -> Publication | None:
    """What was published last."""
    table = tables.publication
    query = select(table.c.record).order_by(table.c.id.desc()).limit(1)
    with database.begin() as connection:
        record = connection.scalar(query)
    return None if record is None else Publication.model_validate(record)


def newest_values(publication: Publication | None) -> list[IndicatorValue]:
    """The newest value of every indicator, in order of the codes."""
    found: dict[str, IndicatorValue] = {}
    for value in publication.values if publication else ():
        if value.code not in found or value.period > found[value.code].period:
            found[value.code] = value
    return [found[code] for code in sorted(found)]


def staged_rows(database: Database, dataset: str, partition: str, delivery: str) -> int | None:
    """Rows of a delivery that arrived in its staging table; None before it was standardised."""
    table = tables.staged
    query = (
        select(table.c.rows)
        .where(
            table.c.dataset == dataset,
            table.c.partition == partition,
            table.c.delivery == delivery,
        )
        .order_by(table.c.id.desc())
        .limit(1)
    )
    with database.begin() as connection:
        rows: int | None = connection.scalar(query)
    return rows
