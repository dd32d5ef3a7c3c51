"""Validate: typed batches → good rows, quarantined rows, rule results; everything accounted for."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from io import RawIOBase
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import polars as pl

from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import Contract
from cityledger.lifecycle.amendments import NOTHING, Amendments, Leave
from cityledger.lifecycle.batches import Batches, Judgeable, ParseSummary
from cityledger.lifecycle.parquet import ParquetFile
from cityledger.lifecycle.pipeline import Worker
from cityledger.records import Accounting, ObjectRef, Receipt, Validation
from cityledger.storage.keys import quarantine_key, validated_key

if TYPE_CHECKING:
    from cityledger.storage.objects import ObjectStore
    from quality_checks.suite import Suite, Verdict

Progress = Callable[[int], None]
Place = tuple[DatasetId, str, str, str]
"""What keys are made of: dataset, partition, delivery, the contract's hash."""


def validate(
    receipt: Receipt,
    contract: Contract,
    suite: Suite,
    batches: Batches,
    *,
    store: ObjectStore,
    scratch_dir: Path,
    progress: Progress | None = None,
    amendments: Amendments = NOTHING,
) -> Validation:
    """Judge a delivery and store what became of it.

    Good rows, which are most of it, are sent while they are judged; what is held back is written to
    ``scratch_dir`` first. Only when the whole delivery has been read do the objects appear:
    quarantined, then rejected, then validated. A delivery that turns out unusable half-way leaves
    none.

    Args:
        receipt: Of the delivery.
        contract: The rules' contract.
        suite: The same contract, compiled.
        batches: One pass of parse over the delivery.
        store: Takes the Parquet files.
        scratch_dir: Local space for what is held back, at worst of about the size of the delivery;
            what is written is removed.
        progress: Called with the number of rows judged since the last call.
        amendments: The waivers let rows pass; ``batches`` has the corrections in it already. What
            comes out has keys of its own, so what was judged without them stays.

    Raises:
        BadInputError: raised by parse while the batches are read.
    """
    scratch_dir.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix=f"{receipt.delivery}-", dir=scratch_dir))
    place = (contract.id, receipt.partition, receipt.delivery, contract.sha256)
    try:
        with store.writer("validated", validated_key(*place, tag=amendments.tag)) as sending:
            outputs = _Outputs(sending, folder, Leave(amendments.waivers, contract))
            session = suite.session(batches.judged)
            with Worker(outputs.write) as writer:
                for batch in batches:
                    writer.put((batch, session.check(batch.typed, batch.known)))
                    if progress is not None:
                        progress(batch.typed.height)
            outputs.close()
            summary = batches.summary()
            accounting = _accounting(summary, outputs)
            results = tuple(
                result.model_copy(
                    update={"contract_sha256": contract.sha256, "object_version": receipt.delivery}
                )
                for result in session.finish(summary.control_totals)
            )
            quarantined, rejected = outputs.upload(place, amendments.tag, store)
            validated = sending.commit()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Validation(
        dataset=receipt.dataset,
        partition=receipt.partition,
        delivery=receipt.delivery,
        contract_version=contract.version,
        contract_sha256=contract.sha256,
        inputs=receipt.objects,
        accounting=accounting,
        results=results,
        validated=validated,
        quarantined=quarantined,
        rejected=rejected,
        rejects=summary.rejects,
        quarantined_by_rule=dict(sorted(outputs.by_rule.items())),
        drift=summary.drift,
        corrections=amendments.files,
        corrected=summary.corrected,
        waivers=amendments.waivers,
        waived_by_rule=dict(sorted(outputs.leave.waived.items())),
    )


def _accounting(summary: ParseSummary, outputs: _Outputs) -> Accounting:
    rejected = sum(summary.rejects.values())
    return Accounting(
        declared=summary.declared,
        extracted=summary.extracted,
        rejected=rejected,
        expected_rejects=summary.expected_rejects,
        parsed=summary.extracted - rejected,
        quarantined=outputs.quarantined.rows,
        validated=outputs.validated.rows,
    )


class _Outputs:
    """The three Parquet files of a delivery; written in a thread of their own."""

    def __init__(self, sending: RawIOBase, folder: Path, leave: Leave) -> None:
        self.leave = leave
        self.validated = ParquetFile(sending)
        self.quarantined = ParquetFile(folder / "quarantined")
        self.rejected = ParquetFile(folder / "rejected")
        self.by_rule: Counter[str] = Counter()
        self._folder = folder

    def write(self, judged: tuple[Judgeable, Verdict]) -> None:
        """Split a judged batch."""
        batch, verdict = judged
        typed = batch.typed.select(pl.exclude("^__reason__.*$"))
        blocked = self.leave.blocked(verdict, batch.typed["_row_id"])
        if blocked.any():
            typed = typed.filter(~blocked)
            self._quarantine(batch, verdict.rules.filter(blocked), blocked)
        self.validated.append(typed)
        if batch.rejects.height:
            self.rejected.append(batch.rejects)

    def close(self) -> None:
        """Finish the files."""
        for file in (self.validated, self.quarantined, self.rejected):
            file.close()

    def upload(
        self, place: Place, tag: str, store: ObjectStore
    ) -> tuple[ObjectRef | None, ObjectRef | None]:
        """Store quarantined and rejected rows, in this order."""
        quarantined, rejected = (
            store.put_file("quarantine", quarantine_key(*place, name, tag), self._folder / name)
            if file.rows
            else None
            for name, file in (("quarantined", self.quarantined), ("rejected", self.rejected))
        )
        return quarantined, rejected

    def _quarantine(self, batch: Judgeable, rules: pl.Series, blocked: pl.Series) -> None:
        self.by_rule.update(rules.explode().drop_nulls().to_list())
        self.quarantined.append(batch.held(blocked).with_columns(rules.alias("_rules")))
