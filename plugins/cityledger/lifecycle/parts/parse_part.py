"""Parse one part: typed rows, judged by the rules that look at each row by itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import polars as pl

from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError
from cityledger.lifecycle.counts import ParseCounts
from cityledger.lifecycle.located import Located, shortened
from cityledger.lifecycle.parquet import ParquetFile
from cityledger.lifecycle.parts.plan import Part, PartMark, PartShelf, RowTally, Stretch
from cityledger.lifecycle.parts.read import read_part
from cityledger.lifecycle.pipeline import Worker, ahead
from cityledger.records import ObjectRef, Receipt
from cityledger.storage.buckets import LAKE

if TYPE_CHECKING:
    from cityledger.storage.objects import ObjectStore
    from quality_checks.session import Session, Verdict
    from quality_checks.suite import Suite

BROKEN_SCHEMA = {"row": pl.UInt32, "key": pl.String}
_FILES = ("rows", "broken", "held", "rejects")
_Judged = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, "Verdict"]


def parse_part(
    part: Part,
    receipt: Receipt,
    contract: Contract,
    suite: Suite,
    *,
    store: ObjectStore,
    scratch_dir: Path,
    progress: Callable[[int], None] | None = None,
) -> PartMark:
    """Parse one part and store what the gathering task needs of it; its mark comes last.

    Args:
        part: Of the delivery's plan.
        receipt: Of the delivery.
        contract: The rules' contract.
        suite: The same contract, compiled.
        store: Has the landed object and takes the part's files.
        scratch_dir: Local space of about the size of the part; what is written is removed.
        progress: Called with the number of rows judged since the last call.

    Returns:
        The mark. An input that cannot be used is no error here: the mark says so, and the delivery
        is judged as a whole, which tells what is wrong with it.
    """
    shelf = PartShelf(store, receipt, contract)
    scratch_dir.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix=f"part-{part.number}-", dir=scratch_dir))
    counts, files = ParseCounts(), _PartFiles(folder, whole_text=suite.blocks_by_other_rows)
    session = suite.row_session()
    try:
        with Worker(files.write) as writer:
            for text, rejects in ahead(_texts(part, receipt, contract, counts, store)):
                typed = suite.read(text)
                writer.put((text, typed, rejects, session.check(typed)))
                if progress is not None:
                    progress(text.height)
        stored = files.upload(shelf, part.number, store)
    except BadInputError as error:
        mark = PartMark(part=part, unusable=error.code)
    else:
        mark = PartMark(
            part=part,
            **stored,
            stretches=tuple(files.stretches),
            tallies=_tallies(session),
            parsed=counts.parsed,
            reasons=dict(counts.rejects),
            totals=tuple(counts.totals),
            drift=tuple(counts.drift),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    shelf.save_mark(mark)
    return mark


def _texts(
    part: Part, receipt: Receipt, contract: Contract, counts: ParseCounts, store: ObjectStore
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    landed = receipt.objects[part.object]
    # Only objects that are one data file each are split, so positions are file numbers.
    where = Located(receipt.delivery, part.object + 1, landed.uri)
    with store.open(landed) as stream:
        for chunk in read_part(stream, part, contract, landed.name):
            counts.take(chunk)
            yield where.text(chunk), where.rejects(chunk)


def _tallies(session: Session) -> dict[str, RowTally]:
    return {
        key: RowTally(
            evaluated=tally.evaluated,
            failed=tally.failed,
            undecided=tally.undecided,
            error=tally.error,
        )
        for key, tally in session.tallies.items()
    }


class _PartFiles:
    """The Parquet files of a part; written in a thread of their own."""

    def __init__(self, folder: Path, *, whole_text: bool) -> None:
        self.stretches: list[Stretch] = []
        self._folder, self._whole_text = folder, whole_text
        self._files = {name: ParquetFile(folder / name) for name in _FILES}

    def write(self, judged: _Judged) -> None:
        """Keep one batch: a row group in each file that gets rows."""
        text, typed, rejects, verdict = judged
        frames = {
            "rows": shortened(typed.select(pl.exclude("^__reason__.*$"))),
            "broken": _broken(verdict),
            "held": shortened(text if self._whole_text else text.filter(verdict.blocked)),
            "rejects": rejects,
        }
        for name, frame in frames.items():
            if frame.height:
                self._files[name].append(frame)
        self.stretches.append(Stretch(**{name: frame.height for name, frame in frames.items()}))

    def upload(
        self, shelf: PartShelf, number: int, store: ObjectStore
    ) -> dict[str, ObjectRef | None]:
        """Finish and store the files; None for a file without rows."""
        stored: dict[str, ObjectRef | None] = {}
        for name, file in self._files.items():
            file.close()
            key = shelf.key(f"{number:05d}-{name}.parquet")
            stored[name] = store.put_file(LAKE, key, self._folder / name) if file.rows else None
        return stored


def _broken(verdict: Verdict) -> pl.DataFrame:
    frames = [
        pl.DataFrame({"row": mask.arg_true(), "key": key}, schema=BROKEN_SCHEMA)
        for key, mask in verdict.failing.items()
    ]
    return pl.concat([pl.DataFrame(schema=BROKEN_SCHEMA), *frames])
