"""Parse: landed bytes → text by contract → typed batches, every record accounted for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import polars as pl

from cityledger.contracts.model import Contract
from cityledger.lifecycle.amendments import CorrectedRows
from cityledger.lifecycle.batches import Batch, ParseSummary
from cityledger.lifecycle.counts import ParseCounts
from cityledger.lifecycle.located import Located
from cityledger.lifecycle.pipeline import ahead
from cityledger.lifecycle.readers import read_chunks
from cityledger.records import Correction, LandedObject, Receipt

if TYPE_CHECKING:
    from cityledger.storage.copies import LandedCopies, Open
    from cityledger.storage.objects import ObjectStore
    from quality_checks.session import Tally
    from quality_checks.suite import Suite


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
        self._counts = ParseCounts()
        self._finished = False

    @property
    def judged(self) -> Mapping[str, Tally]:
        """Rules that are judged already: none."""
        return {}

    def __iter__(self) -> Iterator[Batch]:
        """Batches in file order; reading and decoding run ahead in a thread of their own.

        Raises:
            BadInputError: the delivery can't be used; nothing of it is kept.
        """
        for text, rejects in ahead(self._texts()):
            yield Batch(text, self._suite.read(text), rejects)
        self._counts.check_not_empty(self._receipt, self._contract)
        self._finished = True

    def summary(self) -> ParseSummary:
        """Where every record went; complete when all batches have been read."""
        if not self._finished:
            raise RuntimeError("read all batches before asking for the summary")
        return self._counts.summary(self._receipt, self._corrected.applied)

    def _texts(self) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        number = 0
        for landed in self._receipt.objects:
            with self._open(landed) as stream:
                for member in read_chunks(stream, landed.name, landed.size, self._contract):
                    number += 1
                    source = _source_uri(landed, member.name)
                    where = Located(self._receipt.delivery, number, source)
                    for chunk in member.chunks:
                        self._counts.take(chunk)
                        yield self._corrected.apply(where.text(chunk)), where.rejects(chunk)


def _source_uri(landed: LandedObject, member: str | None) -> str:
    return landed.uri if member is None else f"{landed.uri}#{member}"
