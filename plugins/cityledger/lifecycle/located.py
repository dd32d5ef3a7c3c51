"""Records with their place: the object they come from, their line in it, an id of their own."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from cityledger.lifecycle.readers.base import Chunk
from cityledger.lifecycle.row_ids import row_ids

REJECT_SCHEMA = {
    "_source_object": pl.String,
    "_source_row": pl.Int64,
    "_reason": pl.String,
    "_text": pl.String,
}


def shortened(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows without what :meth:`Located.restored` makes faster than it could be read."""
    return frame.drop("_source_object", "_row_id")


@dataclass(frozen=True, slots=True)
class Located:
    """One data file of a delivery.

    Attributes:
        delivery: The delivery's id.
        number: 1-based position among the delivery's data files.
        source: URI of the landed object, with ``#member`` inside an archive.
    """

    delivery: str
    number: int
    source: str

    def text(self, chunk: Chunk) -> pl.DataFrame:
        """The chunk's records with ``_source_object``, ``_source_row`` and ``_row_id``."""
        return self.restored(chunk.frame)

    def restored(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows with ``_source_row`` alone, and what follows from it (see :func:`shortened`)."""
        return frame.select(
            pl.exclude("_source_row"),
            pl.lit(self.source).alias("_source_object"),
            "_source_row",
            row_ids(f"{self.delivery}-{self.number}-", frame["_source_row"]),
        )

    def rejects(self, chunk: Chunk) -> pl.DataFrame:
        """What is no record, in line order."""
        ordered = sorted(chunk.rejects)
        return pl.DataFrame(
            {
                "_source_object": [self.source] * len(ordered),
                "_source_row": [entry.row for entry in ordered],
                "_reason": [entry.reason for entry in ordered],
                "_text": [entry.text for entry in ordered],
            },
            schema=REJECT_SCHEMA,
        )
