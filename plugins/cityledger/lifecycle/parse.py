"""Parse: landed bytes → text by contract → typed batches, every record accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError
from cityledger.lifecycle.amendments import CorrectedRows
from cityledger.lifecycle.batches import Batch, ParseSummary
from cityledger.lifecycle.pipeline import ahead
from cityledger.lifecycle.readers import read_chunks
from cityledger.lifecycle.readers.base import EXPECTED_REASONS, Chunk, Reject
from cityledger.lifecycle.row_ids import row_ids
from cityledger.records import Correction, LandedObject, Receipt

if TYPE_CHECKING:
    from cityledger.storage.copies import LandedCopies, Open
    from cityledger.storage.objects import ObjectStore
    from quality_checks.suite import Suite

_REJECT_SCHEMA = {
    "_source_object": pl.String,
    "_source_row": pl.Int64,
    "_reason": pl.String,
    "_text": pl.String,
}


def parse(
    receipt: Receipt,
    contract: Contract,
    suite: Suite,
    *,
    store: ObjectStore,
    copies: LandedCopies | None = None,
    corrections: tuple[Correction, ...] = (),
) -> Parse:
    """Read a landed delivery by its contract.

    Args:
        receipt: Says which object versions to read.
        contract: Columns, layout, header texts, drift policy.
        suite: Types the text (``Suite.read``).
        store: Where the objects are.
        copies: Of objects that this machine has just landed.
        corrections: Their rows take the place of the rows handed in, under the same row ids.

    Returns:
        Batches to iterate once; errors of the input are raised while iterating. Afterwards
        ``summary()`` tells where every record went.
    """
    opened = store.open if copies is None else partial(copies.open, otherwise=store.open)
    return Parse(receipt, contract, suite, opened, CorrectedRows(corrections, contract, store))


class Parse:
    """One pass over a delivery (see :func:`parse`)."""

    def __init__(
        self,
        receipt: Receipt,
        contract: Contract,
        suite: Suite,
        opened: Open,
        corrected: CorrectedRows,
    ) -> None:
        self._corrected = corrected
        self._receipt, self._contract = receipt, contract
        self._suite, self._open = suite, opened
        self._parsed = 0
        self._rejects: Counter[str] = Counter()
        self._totals: list[dict[str, str]] = []
        self._drift: list[str] = []
        self._finished = False

    def __iter__(self) -> Iterator[Batch]:
        """Batches in file order; reading and decoding run ahead in a thread of their own.

        Raises:
            BadInputError: the delivery can't be used; nothing of it is kept.
        """
        for text, rejects in ahead(self._texts()):
            yield Batch(text, self._suite.read(text), rejects)
        self._check_emptiness()
        self._finished = True

    def summary(self) -> ParseSummary:
        """Where every record went; complete when all batches have been read."""
        if not self._finished:
            raise RuntimeError("read all batches before asking for the summary")
        extracted = self._parsed + self._rejects.total()
        expected = sum(self._rejects[reason] for reason in EXPECTED_REASONS)
        declared = self._receipt.declared_rows
        drift = list(dict.fromkeys(self._drift))
        # A department may count its 合计 row or not; any other difference holds the batch.
        if declared not in (None, extracted, extracted - expected):
            drift.append(f"declared: {declared} rows, found {extracted}")
        return ParseSummary(
            declared=declared,
            extracted=extracted,
            rejects=dict(sorted(self._rejects.items())),
            expected_rejects=expected,
            control_totals=list(self._totals),
            drift=tuple(drift),
            corrected=self._corrected.applied,
        )

    def _texts(self) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        number = 0
        for landed in self._receipt.objects:
            with self._open(landed) as stream:
                for member in read_chunks(stream, landed.name, landed.size, self._contract):
                    number += 1
                    source = _source_uri(landed, member.name)
                    for chunk in member.chunks:
                        yield self._keep(chunk, source, number)

    def _keep(self, chunk: Chunk, source: str, number: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        self._parsed += chunk.frame.height
        self._rejects.update(entry.reason for entry in chunk.rejects)
        self._totals.extend(chunk.totals)
        self._drift.extend(chunk.drift)
        text = chunk.frame.select(
            pl.exclude("_source_row"),
            pl.lit(source).alias("_source_object"),
            "_source_row",
            row_ids(f"{self._receipt.delivery}-{number}-", chunk.frame["_source_row"]),
        )
        return self._corrected.apply(text), _reject_frame(chunk.rejects, source)

    def _check_emptiness(self) -> None:
        unexpected = self._rejects.keys() - EXPECTED_REASONS
        if self._parsed or unexpected or self._contract.gate.min_rows == 0:
            return
        raise BadInputError(
            "there is no record below the header",
            where="、".join(landed.name for landed in self._receipt.objects),
            fix="have it handed in again; if a period without records is normal, set minRows: 0",
            code="no_records",
        )


def _source_uri(landed: LandedObject, member: str | None) -> str:
    return landed.uri if member is None else f"{landed.uri}#{member}"


def _reject_frame(rejects: list[Reject], source: str) -> pl.DataFrame:
    ordered = sorted(rejects)
    return pl.DataFrame(
        {
            "_source_object": [source] * len(ordered),
            "_source_row": [entry.row for entry in ordered],
            "_reason": [entry.reason for entry in ordered],
            "_text": [entry.text for entry in ordered],
        },
        schema=_REJECT_SCHEMA,
    )
