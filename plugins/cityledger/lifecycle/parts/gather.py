"""Gather: the parts of a delivery as one pass over it, for validate."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, cast

import polars as pl
import pyarrow.parquet as pq

from cityledger.contracts.model import Contract
from cityledger.lifecycle.batches import ParseSummary
from cityledger.lifecycle.counts import ParseCounts
from cityledger.lifecycle.located import REJECT_SCHEMA, Located
from cityledger.lifecycle.parts.plan import PartMark
from cityledger.lifecycle.pipeline import ahead
from cityledger.records import ObjectRef, Receipt
from quality_checks.session import Tally

if TYPE_CHECKING:
    from cityledger.storage.objects import ObjectStore
    from quality_checks.suite import Suite


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch of a part (see :class:`~cityledger.lifecycle.batches.Judgeable`)."""

    typed: pl.DataFrame
    rejects: pl.DataFrame
    known: Mapping[str, pl.Series]
    text: _Group | None
    place: Located

    def held(self, blocked: pl.Series) -> pl.DataFrame:
        """The text of the rows where ``blocked`` is True."""
        if self.text is None:
            raise RuntimeError("a row is held back of which the part has kept no text")
        text = self.text.read()
        wanted = self.typed["_source_row"].filter(blocked)
        return self.place.restored(text.filter(pl.col("_source_row").is_in(wanted.implode())))


class Gathered:
    """One pass over a delivery that was parsed in parts.

    Args:
        receipt: Of the delivery.
        contract: The rules' contract.
        suite: The same contract, compiled.
        marks: Of all parts, in file order.
        store: Has the parts' files.
        scratch_dir: Local space for the files of one part at a time.
    """

    def __init__(
        self,
        receipt: Receipt,
        contract: Contract,
        suite: Suite,
        marks: Sequence[PartMark],
        *,
        store: ObjectStore,
        scratch_dir: Path,
    ) -> None:
        self._receipt, self._contract = receipt, contract
        self._marks, self._store, self._scratch = marks, store, scratch_dir
        self._counts = ParseCounts.of(map(_counts, marks))
        self._nothing = _empty(suite)

    @property
    def judged(self) -> Mapping[str, Tally]:
        """What was counted of the row rules, over all parts."""
        total: dict[str, Tally] = {}
        for mark in self._marks:
            for key, tally in mark.tallies.items():
                sum_ = total.setdefault(key, Tally())
                sum_.evaluated += tally.evaluated
                sum_.failed += tally.failed
                sum_.undecided += tally.undecided
                sum_.error = tally.error or sum_.error
        return total

    def __iter__(self) -> Iterator[StoredBatch]:
        """Batches in file order; fetching and unpacking run ahead in a thread of their own.

        Raises:
            BadInputError: the delivery has no record (``no_records``).
        """
        yield from ahead(self._batches())
        self._counts.check_not_empty(self._receipt, self._contract)

    def summary(self) -> ParseSummary:
        """Where every record went."""
        return self._counts.summary(self._receipt)

    def _batches(self) -> Iterator[StoredBatch]:
        for mark in self._marks:
            landed = self._receipt.objects[mark.part.object]
            place = Located(self._receipt.delivery, mark.part.object + 1, landed.uri)
            files = _Files(mark, self._store, self._scratch)
            for stretch in mark.stretches:
                rows, held = files.rows.next(stretch.rows), files.held.next(stretch.held)
                broken = files.broken.next(stretch.broken)
                rejects = files.rejects.next(stretch.rejects)
                typed = self._nothing if rows is None else place.restored(rows.read())
                yield StoredBatch(
                    typed=typed.cast(self._nothing.schema),
                    rejects=pl.DataFrame(schema=REJECT_SCHEMA)
                    if rejects is None
                    else rejects.read(),
                    known={} if broken is None else _masks(broken.read(), typed.height),
                    text=held,
                    place=place,
                )


def _counts(mark: PartMark) -> ParseCounts:
    return ParseCounts(mark.parsed, Counter(mark.reasons), list(mark.totals), list(mark.drift))


def _empty(suite: Suite) -> pl.DataFrame:
    """Typed rows of the suite: none of them."""
    columns = {column.name: pl.String() for column in suite.contract.columns}
    place = {"_source_object": pl.String(), "_source_row": pl.Int64(), "_row_id": pl.String()}
    return suite.read(pl.DataFrame(schema={**columns, **place})).select(
        pl.exclude("^__reason__.*$")
    )


def _masks(broken: pl.DataFrame, rows: int) -> dict[str, pl.Series]:
    """Per rule, True where a row breaks it."""
    at = pl.int_range(rows, dtype=pl.UInt32, eager=True)
    return {
        str(key): at.is_in(pairs["row"].implode())
        for (key,), pairs in broken.group_by("key", maintain_order=True)
    }


class _Files:
    """The stored files of a part."""

    def __init__(self, mark: PartMark, store: ObjectStore, scratch: Path) -> None:
        self.rows = _Groups(mark.rows, store, scratch)
        self.broken = _Groups(mark.broken, store, scratch)
        self.held = _Groups(mark.held, store, scratch)
        self.rejects = _Groups(mark.rejects, store, scratch)


class _Groups:
    """Row groups of one stored Parquet file, handed out in order; fetched when one is read."""

    def __init__(self, ref: ObjectRef | None, store: ObjectStore, scratch: Path) -> None:
        self._ref, self._store, self._scratch = ref, store, scratch
        self._file: pq.ParquetFile | None = None
        self._handed_out = 0

    def next(self, rows: int) -> _Group | None:
        """The next group; None where there are no rows, hence no group."""
        if not rows:
            return None
        self._handed_out += 1
        return _Group(self, self._handed_out - 1)

    def read(self, number: int) -> pl.DataFrame:
        """One group."""
        if self._file is None:
            self._file = pq.ParquetFile(self._fetched())
        return cast(pl.DataFrame, pl.from_arrow(self._file.read_row_group(number)))

    def _fetched(self) -> BinaryIO:
        if self._ref is None:
            raise RuntimeError("a part has kept no rows of this kind")
        self._scratch.mkdir(parents=True, exist_ok=True)
        # Without a name, so nothing is left of it when the last batch is gone, or the process.
        local = cast(BinaryIO, TemporaryFile(dir=self._scratch))  # noqa: SIM115 - lives on
        with self._store.open(self._ref) as stream:
            shutil.copyfileobj(stream, local, 1 << 20)
        local.seek(0)
        return local


@dataclass(frozen=True, slots=True)
class _Group:
    groups: _Groups
    number: int

    def read(self) -> pl.DataFrame:
        """Its rows."""
        return self.groups.read(self.number)
