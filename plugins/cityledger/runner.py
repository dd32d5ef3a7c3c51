"""Does one stage at a time: skips what is done, records the outcome, emits lineage.

The command line, Airflow tasks, tests and notebooks all come through here, so a stage leaves the
same trail whoever starts it. Stage modules are imported when their stage runs: a task process
pays only for its own.
"""

from __future__ import annotations

import difflib
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from cityledger.contracts.identity import DatasetId, Partition
from cityledger.contracts.model import Contract
from cityledger.contracts.registry import load_contract
from cityledger.errors import BadInputError, CityLedgerError
from cityledger.ledger.decisions import DecisionStore
from cityledger.ledger.expectations import Declares, stage_declares
from cityledger.ledger.facets import decision_facet
from cityledger.ledger.identity import (
    Data,
    Field,
    contract_fields,
    file_data,
    object_data,
    table_data,
)
from cityledger.ledger.journal import Journal
from cityledger.ledger.lineage import Emitter, Origin, Parent, StageRun
from cityledger.ledger.scores import ScoreBook
from cityledger.masking import scrub
from cityledger.observability import stages as observed
from cityledger.observability import traces
from cityledger.orders import OrderBook, OrderDesk
from cityledger.records import (
    Decision,
    Outcome,
    Publication,
    Receipt,
    Release,
    Stage,
    Standardisation,
    Validation,
)
from cityledger.settings import Settings, get_settings
from cityledger.storage.copies import LandedCopies
from cityledger.storage.database import Database
from cityledger.storage.objects import LANDING, VALIDATED, ObjectStore
from cityledger.storage.outages import explained
from cityledger.storage.patience import Patience, patiently

if TYPE_CHECKING:
    from cityledger.lifecycle.amendments import Amendments
    from cityledger.lifecycle.batches import Batches
    from cityledger.lifecycle.parts.plan import PartMark, PartShelf
    from quality_checks.suite import Suite

_log = logging.getLogger("cityledger.stage")

#: What the outcomes of standardise and publish are about: they serve all datasets at once.
CITY, ALL = "city", "all"

Progress = Callable[[int], None]
#: What an outcome tells of the decisions that a verdict rests on.
_DECIDED = ("corrected", "corrections", "waived_by_rule", "waivers")


@dataclass
class _Attempt:
    """What a stage attempt has to tell when it ends."""

    run: StageRun
    status: str = "success"
    delivery: str | None = None
    inputs: Sequence[Data] = ()
    outputs: Sequence[Data] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)
    facets: Mapping[str, Any] = field(default_factory=dict)


class Runner:
    """Runs stages of one installation.

    Args:
        settings: Where things are.
        parent: The run that asked for ours (Airflow's task), for lineage.
        patience: Seconds that a stage waits for a service that is away, before it fails.
    """

    def __init__(
        self, settings: Settings, parent: Parent | None = None, patience: float = 0.0
    ) -> None:
        self.settings, self.parent, self._patience = settings, parent, patience
        traces.configure(settings)
        self.database = Database.from_settings(settings)
        self.journal = Journal(self.database)
        self.scores = ScoreBook(self.database, settings.contracts_dir)
        self.store = ObjectStore.from_settings(settings)
        self._copies = LandedCopies(settings.spool_dir / "landed")
        self.emitter = Emitter.from_settings(settings)
        self._contracts: dict[str, Contract] = {}

    @cached_property
    def orders(self) -> OrderBook:
        """The rectification orders that verdicts open and settle."""
        return OrderBook.from_settings(self.settings, self.database)

    @cached_property
    def _order_desk(self) -> OrderDesk:
        return OrderDesk(self.orders, self.journal)

    @classmethod
    def from_settings(cls, settings: Settings | None = None, parent: Parent | None = None) -> Self:
        """A runner by the process's settings, which waits for services that are away.

        The parent run may come from the environment.
        """
        settings = settings or get_settings()
        return cls(settings, parent or Parent.from_environment(), settings.patience_seconds)

    def patience(self) -> Patience:
        """How long an action waits for the database and the object store."""
        return Patience(self._patience, self._answers)

    def _answers(self) -> None:
        with self.database.begin():
            self.store.find(LANDING, "is-the-store-there")

    def contract(self, dataset: str) -> Contract:
        """The contract of a dataset; read once, and no other contract with it.

        Raises:
            BadInputError: there is none by that name (the nearest is suggested), or it is broken.
        """
        if dataset not in self._contracts:
            folder = self.settings.contracts_dir
            path = folder / f"{DatasetId.parse(dataset).prefix}.odcs.yaml"
            if not path.exists():
                raise _unknown(dataset, folder)
            self._contracts[dataset] = load_contract(path)
        return self._contracts[dataset]

    @patiently
    def extract_land(self, dataset: str, partition: str) -> Receipt:
        """Bring a delivery's bytes into the landing bucket.

        Raises:
            BadInputError: nothing was delivered, or it can't be taken; nothing is landed.
            UnavailableError: a service does not answer; run again.
        """
        from cityledger.lifecycle.extract import extract
        from cityledger.lifecycle.land import land

        contract = self.contract(dataset)
        period = _period(contract, partition)
        spool = self.settings.spool_dir / uuid4().hex
        try:
            with self._alone(dataset, partition):
                with self._stage(Stage.EXTRACT, dataset, partition, contract) as attempt:
                    extraction = extract(
                        contract, period, spool_dir=spool, drop_dir=self.settings.drop_dir
                    )
                    attempt.inputs = [file_data(file) for file in extraction.files]
                    attempt.detail = extraction.model_dump(mode="json", include={"declared_rows"})
                with self._stage(Stage.LAND, dataset, partition, contract) as attempt:
                    attempt.inputs = [file_data(file) for file in extraction.files]
                    known = {one.delivery for one in self.journal.receipts(dataset, partition)}
                    receipt = land(extraction, contract, store=self.store)
                    self.journal.save_receipt(receipt)
                    attempt.status = "skipped" if receipt.delivery in known else "success"
                    if receipt.delivery not in known:
                        for file in extraction.files:
                            self._copies.keep(file.path, file.sha256)
                    attempt.delivery = receipt.delivery
                    attempt.outputs = [object_data(one) for one in receipt.objects]
                    attempt.detail = receipt.model_dump(mode="json", include={"sequence"})
                self._order_desk.landed(receipt)
                return receipt
        finally:
            shutil.rmtree(spool, ignore_errors=True)

    @patiently
    def split(
        self,
        dataset: str,
        partition: str,
        delivery: str | None = None,
        part_bytes: int | None = None,
    ) -> tuple[int, ...]:
        """Plan the parts of a large landed delivery.

        Args:
            dataset: ``<department>.<dataset>``.
            partition: Its key.
            delivery: The partition's newest when None.
            part_bytes: Least size of a part; what the contract says when None.

        Returns:
            The parts' numbers for :meth:`parse_part`; none when the delivery is to be judged as a
            whole, or has been judged.

        Raises:
            BadInputError: nothing has landed.
            UnavailableError: a service does not answer; run again.
        """
        from cityledger.lifecycle.parts.split import split

        contract = self.contract(dataset)
        receipt = self._receipt(dataset, partition, delivery)
        part_bytes = part_bytes or contract.layout.part_bytes
        if part_bytes is None or self._verdict(receipt, contract) is not None:
            return ()
        with self._stage(Stage.PARSE, dataset, partition, contract) as attempt:
            attempt.status, attempt.delivery = "partial", receipt.delivery
            attempt.inputs = [object_data(one) for one in receipt.objects]
            opened = partial(self._copies.open, otherwise=self.store.open)
            plan = split(receipt, contract, opened, part_bytes)
            self._shelf(receipt, contract).save_plan(plan)
            attempt.detail = {"parts": len(plan.parts), "whole": plan.whole}
        if plan.whole:
            _log.info("%s/%s is judged as a whole: %s", dataset, partition, plan.whole)
        return tuple(part.number for part in plan.parts)

    @patiently
    def parse_part(
        self,
        dataset: str,
        partition: str,
        number: int,
        delivery: str | None = None,
        progress: Progress | None = None,
    ) -> PartMark:
        """Parse one part of a delivery that :meth:`split` has planned; parts run side by side.

        Raises:
            CityLedgerError: there is no such part (``no_such_part``).
            UnavailableError: a service does not answer; run again.
        """
        from cityledger.lifecycle.parts.parse_part import parse_part

        contract = self.contract(dataset)
        receipt = self._receipt(dataset, partition, delivery)
        # A task that was given up and still runs must not write beside the one that replaced it.
        with (
            self.database.lock(f"{dataset}/{partition}/part-{number}"),
            self._stage(Stage.PARSE, dataset, partition, contract) as attempt,
        ):
            part = self._shelf(receipt, contract).part(number)
            attempt.status, attempt.delivery = "partial", receipt.delivery
            attempt.inputs = [object_data(receipt.objects[part.object])]
            mark = parse_part(
                part,
                receipt,
                contract,
                self._suite(receipt, contract),
                store=self.store,
                scratch_dir=self.settings.spool_dir,
                progress=progress,
            )
            attempt.detail = {"part": number, "part_parsed": mark.parsed}
            return mark

    @patiently
    def parse_validate(
        self,
        dataset: str,
        partition: str,
        delivery: str | None = None,
        progress: Progress | None = None,
        *,
        in_parts: bool = False,
    ) -> Validation:
        """Judge a landed delivery (the partition's newest, unless one is named).

        With ``in_parts`` it is gathered from what :meth:`parse_part` has left; a delivery without
        parts is read as a whole. The verdict is the same.

        Raises:
            BadInputError: nothing has landed, or the files can't be read at all.
            UnavailableError: a service does not answer; run again.
        """
        contract = self.contract(dataset)
        with self._alone(dataset, partition):
            receipt = self._receipt(dataset, partition, delivery)
            done = self._verdict(receipt, contract)
            if done is not None:
                self.scores.save_validation(done)
                self._skip((Stage.PARSE, Stage.VALIDATE), dataset, partition, receipt.delivery)
            else:
                amendments = self._amendments(receipt)
                done = self._judge(receipt, contract, amendments, progress, in_parts=in_parts)
            if in_parts:
                self._shelf(receipt, contract).clear()
            self.settle_order(receipt, done)
            return done

    def replay(
        self,
        dataset: str,
        partition: str,
        delivery: str | None = None,
        *,
        by: str,
        patience: float = 30.0,
    ) -> tuple[Validation, bool]:
        """Judge a landed delivery again, with the corrections and waivers of today.

        Args:
            dataset: ``<department>.<dataset>``.
            partition: Its key.
            delivery: The partition's newest when None.
            by: Who asks; recorded.
            patience: Seconds to wait for somebody else who works on the partition.

        Returns:
            The verdict, and False when the newest one has used the very same decisions already:
            then nothing was done.

        Raises:
            BadInputError: nothing has landed.
            UnavailableError: somebody else is working on the partition (``locked``), or a service
                does not answer.
        """
        contract = self.contract(dataset)
        with self.database.lock(f"{dataset}/{partition}", timeout=patience):
            receipt = self._receipt(dataset, partition, delivery)
            amendments = self._amendments(receipt)
            done = self._verdict(receipt, contract)
            if done is not None and amendments.used_by(done):
                self._skip((Stage.PARSE, Stage.VALIDATE), dataset, partition, receipt.delivery)
                return done, False
            validation = self._judge(receipt, contract, amendments, by=by)
            self.settle_order(receipt, validation)
            return validation, True

    def landed(self, dataset: str, partition: str) -> Receipt:
        """The receipt of a partition's newest delivery.

        Raises:
            BadInputError: nothing has landed (``not_landed``).
        """
        return self._receipt(dataset, partition, None)

    def settle_order(self, receipt: Receipt, validation: Validation) -> None:
        """Open, reopen or verify the partition's rectification order by a verdict."""
        from cityledger.lifecycle.release import objections

        contract = self.contract(receipt.dataset)
        held = objections(validation, contract.gate)
        self._order_desk.judged(receipt, validation, contract, held)

    def _amendments(self, receipt: Receipt) -> Amendments:
        """What people have decided about the rows of a delivery, as of today."""
        from cityledger.lifecycle.amendments import Amendments

        place = (receipt.dataset, receipt.partition, receipt.delivery)
        decisions = DecisionStore(self.database)
        today = datetime.now(UTC).date()
        return Amendments(decisions.corrections(*place), decisions.waivers_in_force(*place, today))

    def _judge(
        self,
        receipt: Receipt,
        contract: Contract,
        amendments: Amendments,
        progress: Progress | None = None,
        by: str | None = None,
        *,
        in_parts: bool = False,
    ) -> Validation:
        from cityledger.lifecycle.validate import validate

        where = (receipt.dataset, receipt.partition, contract)
        landed = [object_data(one) for one in (*receipt.objects, *amendments.files)]
        with (
            self._order_reopened_if_unreadable(receipt),
            self._stage(Stage.PARSE, *where) as parsing,
            self._stage(Stage.VALIDATE, *where) as validating,
        ):
            parsing.delivery = validating.delivery = receipt.delivery
            parsing.inputs = validating.inputs = landed
            suite = self._suite(receipt, contract)
            marks = self._marks(receipt, contract, amendments) if in_parts else []
            validation = validate(
                receipt,
                contract,
                suite,
                self._batches(receipt, contract, suite, amendments, marks),
                store=self.store,
                scratch_dir=self.settings.spool_dir,
                progress=progress,
                amendments=amendments,
            )
            self.journal.save_validation(validation)
            self.scores.save_validation(validation)
            parsing.detail = validation.model_dump(
                mode="json", include={"accounting", "rejects", "drift"}
            )
            if marks:
                parsing.detail = {**parsing.detail, "gathered": len(marks)}
            validating.detail = validation.model_dump(
                mode="json", include={"accounting", "quarantined_by_rule", *_DECIDED}
            )
            if by is not None:
                validating.detail = {**validating.detail, "replayed_by": by}
            validating.outputs = _validated(validation, contract)
        for one in receipt.objects:
            self._copies.drop(one.sha256)
        return validation

    def _suite(self, receipt: Receipt, contract: Contract) -> Suite:
        from quality_checks.suite import compile_suite

        return compile_suite(
            contract,
            codes_dir=self.settings.contracts_dir / "codes",
            as_of=Partition.parse(receipt.partition).end,
        )

    def _shelf(self, receipt: Receipt, contract: Contract) -> PartShelf:
        from cityledger.lifecycle.parts.plan import PartShelf

        return PartShelf(self.store, receipt, contract)

    def _marks(
        self, receipt: Receipt, contract: Contract, amendments: Amendments
    ) -> list[PartMark]:
        """The marks of all parts; none when the delivery is to be read as a whole."""
        from cityledger.lifecycle.parts.choose import usable_marks

        marks, whole = usable_marks(self._shelf(receipt, contract), amendments)
        if whole:
            _log.info("%s/%s is judged as a whole: %s", contract.id, receipt.partition, whole)
        return marks

    def _batches(
        self,
        receipt: Receipt,
        contract: Contract,
        suite: Suite,
        amendments: Amendments,
        marks: list[PartMark],
    ) -> Batches:
        """The delivery's records: from its parts, or read as a whole."""
        from cityledger.lifecycle.parse import parse
        from cityledger.lifecycle.parts.gather import Gathered

        if marks:
            scratch = self.settings.spool_dir
            return Gathered(receipt, contract, suite, marks, store=self.store, scratch_dir=scratch)
        return parse(
            receipt,
            contract,
            suite,
            store=self.store,
            copies=self._copies,
            corrections=amendments.corrections,
        )

    @patiently
    def release(
        self,
        dataset: str,
        partition: str,
        delivery: str | None = None,
        decision: Decision | None = None,
    ) -> Release:
        """Let a validated delivery through the gate, or hold it (``released`` is False).

        Args:
            dataset: ``<department>.<dataset>``.
            partition: Its key.
            delivery: The validated delivery; the partition's newest when None.
            decision: What a steward said about the held batch.

        Raises:
            BadInputError: the delivery has not been validated under the present contract.
            AlreadyDecidedError: another steward was quicker, or the gate let the batch pass.
        """
        from cityledger.lifecycle.release import is_settled, release

        contract = self.contract(dataset)
        with self._alone(dataset, partition):
            receipt = self._receipt(dataset, partition, delivery)
            validation = self._validation(receipt, contract)
            done = self.journal.find_release(dataset, partition, receipt.delivery)
            if done and is_settled(done, validation, decision):
                self._skip((Stage.RELEASE,), dataset, partition, receipt.delivery)
                return done
            with self._stage(Stage.RELEASE, dataset, partition, contract) as attempt:
                attempt.delivery = receipt.delivery
                verdict = release(validation, contract, decision=decision)
                self.journal.save_release(verdict)
                attempt.status = "success" if verdict.released else "held"
                attempt.inputs = [object_data(verdict.validated, results=validation.results)]
                attempt.detail = verdict.model_dump(
                    mode="json", include={"rows", "reasons", "decision"}
                )
                attempt.facets = decision_facet(verdict)
            self._order_desk.decided(receipt, validation, contract, verdict)
            return verdict

    @patiently
    def standardise(self, full_refresh: bool = False) -> Standardisation | None:
        """Bring released deliveries into the shared schema and the indicators.

        Args:
            full_refresh: Build even when nothing is waiting, the staging tables anew.

        Returns:
            None when nothing was waiting.
        """
        from cityledger.ledger.builds import keep_build
        from cityledger.lifecycle.standardise import standardise

        with self.database.lock("standardise"):
            if not full_refresh and not self.journal.pending():
                self._skip((Stage.STANDARDISE,), CITY, ALL, None)
                return None
            releases, target = self.journal.released(), self.settings.home / "dbt"
            before = self.journal.latest_standardisation()
            traced = self._traced_releases()
            with self._stage(Stage.STANDARDISE, CITY, ALL, links=traced) as attempt:
                attempt.inputs = [object_data(one.validated, rows=one.rows) for one in releases]
                with observed.told_nodes(target):
                    result = standardise(
                        releases,
                        settings=self.settings,
                        target_dir=target,
                        full_refresh=full_refresh,
                    )
                attempt.run = self._emit_models(attempt.run, result, releases, target)
                kept = keep_build(
                    self.settings,
                    self.store,
                    run_id=attempt.run.run_id,
                    target_dir=target,
                    result=result,
                    releases=releases,
                    previous=before.snapshot_id if before else None,
                )
                attempt.facets = {"cityledger_build": kept}
                self.journal.save_standardisation(result, releases)
                self.scores.save_standardisation(result)
                attempt.detail = {
                    "snapshot_id": result.snapshot_id,
                    "models": len(result.models),
                    "broken_rules": {one.key: one.failed for one in result.results if one.failed},
                }
            return result

    @patiently
    def publish(self) -> Publication | None:
        """Publish the indicators of the newest standardisation, then sign the ledger's log.

        Returns:
            None when nothing has been standardised yet.
        """
        from cityledger.ledger.log import checkpoint

        publication = self._publish()
        if publication is not None:
            checkpoint(self.settings, database=self.database, store=self.store)
        return publication

    def _publish(self) -> Publication | None:
        from cityledger.lifecycle.publish import publish

        with self.database.lock("publish"):
            newest = self.journal.latest_standardisation()
            done = self.journal.find_publication(newest.snapshot_id) if newest else None
            if newest is None or done is not None:
                self._skip((Stage.PUBLISH,), CITY, ALL, None)
                return done
            with self._stage(Stage.PUBLISH, CITY, ALL) as attempt:
                attempt.inputs = [self._table("indicators.fct_indicator_value", newest)]
                publication = publish(newest, settings=self.settings, store=self.store)
                self.journal.save_publication(publication)
                attempt.outputs = [object_data(one) for one in publication.objects]
                attempt.detail = publication.model_dump(
                    mode="json", include={"snapshot_id", "rows", "content_sha256"}
                )
            return publication

    def _emit_models(
        self, run: StageRun, result: Standardisation, releases: Sequence[Release], target: Path
    ) -> StageRun:
        """Tell the ledger what each table and column was built from: one run per model.

        Returns:
            The run, which now declares the runs of its models.
        """
        from cityledger.lifecycle.standardise import model_lineage

        columns = self._columns(target)
        build = Origin(self.settings.lineage_namespace, run.job_name, run.run_id)
        root = (self.parent.root or self.parent.job) if self.parent else None
        parent = Parent(build, root)
        children = []
        with self.emitter.together():
            for model in model_lineage(target):
                objects = [
                    object_data(r.validated) for r in releases if r.dataset in model.datasets
                ]
                read = [*objects, *(self._table(name, result) for name in model.inputs)]
                made = replace(self._table(model.output, result), **columns[model.output])
                declares = Declares(
                    inputs=tuple((one.namespace, one.name) for one in read),
                    outputs=((made.namespace, made.name),),
                )
                child = StageRun(
                    Stage.STANDARDISE, model.output, ALL, parent=parent, declares=declares
                )
                self.emitter.start(child)
                self.emitter.complete(child, inputs=read, outputs=[made])
                children.append((self.settings.lineage_namespace, child.job_name))
        return replace(run, declares=replace(run.declares, children=tuple(children)))

    def _columns(self, target: Path) -> Mapping[str, Mapping[str, Any]]:
        """What a table's columns are and where they come from, for lineage."""
        from cityledger.ledger.columns import column_lineage, column_lineage_facet, namer

        cache = self.settings.home / "cache" / "column-lineage.json"
        name = namer(
            tables=table_data(self.database.address, "", 0).namespace,
            validated=f"s3://{self.store.bucket(VALIDATED)}",
            inputs=self.settings.lineage_namespace,
        )
        return {
            lineage.table: {
                "fields": tuple(Field(one.column, one.type or "") for one in lineage.columns),
                "columns": column_lineage_facet(lineage, name),
            }
            for lineage in column_lineage(target, self.settings.dbt_project_dir, cache=cache)
        }

    def _table(self, name: str, build: Standardisation) -> Data:
        rows = {f"{model.layer}.{model.name}": model.rows for model in build.models}
        return table_data(self.database.address, name, build.snapshot_id, rows=rows.get(name))

    def _receipt(self, dataset: str, partition: str, delivery: str | None) -> Receipt:
        for receipt in reversed(self.journal.receipts(dataset, partition)):
            if delivery in (None, receipt.delivery):
                return receipt
        raise BadInputError(
            "nothing has landed" if delivery is None else f"delivery {delivery} has not landed",
            where=f"{dataset}/{partition}",
            fix=f"cityledger run {dataset} --partition {partition}",
            code="not_landed",
        )

    def _verdict(self, receipt: Receipt, contract: Contract) -> Validation | None:
        place = (receipt.dataset, receipt.partition, receipt.delivery)
        return self.journal.find_validation(*place, contract.sha256)

    def _validation(self, receipt: Receipt, contract: Contract) -> Validation:
        place = (receipt.dataset, receipt.partition, receipt.delivery)
        validation = self._verdict(receipt, contract)
        if validation is None:
            raise BadInputError(
                "the delivery has not been validated under the present contract",
                where="/".join(place),
                fix=f"cityledger run {place[0]} --partition {place[1]} --from-stage parse",
                code="not_validated",
            )
        return validation

    def _alone(self, dataset: str, partition: str) -> AbstractContextManager[None]:
        """Keep two processes from working on the same partition at once."""
        return self.database.lock(f"{dataset}/{partition}")

    @contextmanager
    def _order_reopened_if_unreadable(self, receipt: Receipt) -> Iterator[None]:
        try:
            yield
        except BadInputError as error:
            self._order_desk.unreadable(receipt, error.code)
            raise

    @property
    def _root(self) -> str | None:
        """The run at the root of it all: what its processes have in common."""
        return self.parent.root.run_id if self.parent and self.parent.root else None

    def _traced_releases(self) -> list[str]:
        """The traces of the releases that wait, for a build that continues them."""
        if not traces.is_on():
            return []
        newest = (
            self.journal.outcomes(one.dataset, one.partition, Stage.RELEASE, limit=1)
            for one in self.journal.pending()
        )
        return observed.contexts([outcome for found in newest for outcome in found])

    @contextmanager
    def _stage(
        self,
        stage: Stage,
        dataset: str,
        partition: str,
        contract: Contract | None = None,
        links: Sequence[str] = (),
    ) -> Iterator[_Attempt]:
        declares = stage_declares(stage, dataset, partition, self.store.bucket)
        run = StageRun(
            stage, dataset, partition, contract=contract, parent=self.parent, declares=declares
        )
        attempt, started = _Attempt(run), datetime.now(UTC)
        with observed.telling(run, root=self._root, links=links) as told:
            self.emitter.start(run)
            try:
                with self._told_as_ours():
                    yield attempt
            except BaseException as error:
                self.emitter.fail(run, error, inputs=attempt.inputs)
                self._record_failure(attempt, started, error)
                raise
            self.emitter.complete(
                attempt.run, inputs=attempt.inputs, outputs=attempt.outputs, facets=attempt.facets
            )
            outcome = _outcome(attempt, started)
            # Done is done: a database that goes away now must not turn it into a failure.
            self.patience().keep_trying(lambda: self.journal.record(outcome))
            told.ended(outcome)

    @contextmanager
    def _told_as_ours(self) -> Iterator[None]:
        """Turn what libraries raise about a full disk or a lost service into one message."""
        try:
            yield
        except Exception as error:
            outage = explained(error, str(self.settings.spool_dir))
            if outage is None:
                raise
            raise outage from error

    def _record_failure(self, attempt: _Attempt, started: datetime, error: BaseException) -> None:
        attempt.status = "failure"
        if isinstance(error, CityLedgerError):
            reason = {"error_code": error.code, "error": scrub(str(error))}
        else:  # a foreign exception's text may hold values of rows or secrets
            name = type(error).__name__
            reason = {"error_code": name, "error": f"unexpected {name}"}
        outcome = _outcome(attempt, started).model_copy(update=reason)
        try:
            self.journal.record(outcome)
        except CityLedgerError as second:
            error.add_note(f"The failure could not be recorded either: {second}")

    def _skip(
        self, stages: Sequence[Stage], dataset: str, partition: str, delivery: str | None
    ) -> None:
        for stage in stages:
            run = StageRun(stage, dataset, partition)
            attempt = _Attempt(run, status="skipped", delivery=delivery)
            self.journal.record(_outcome(attempt, datetime.now(UTC)))


def _unknown(dataset: str, folder: Path) -> BadInputError:
    names = [
        f"{path.parent.name}.{path.name.removesuffix('.odcs.yaml')}"
        for path in folder.glob("*/*.odcs.yaml")
    ]
    near = difflib.get_close_matches(dataset, names, n=1)
    return BadInputError(
        f"there is no contract for '{dataset}'",
        where=str(folder),
        fix=f"did you mean {near[0]}?" if near else f"one of: {', '.join(sorted(names))}",
        code="unknown_dataset",
    )


def _period(contract: Contract, partition: str) -> Partition:
    period = Partition.parse(partition)
    grain = contract.service_level.grain
    if period.grain != grain:
        example = Partition.covering(period.start, grain).key
        raise BadInputError(
            f"{contract.id} is delivered by {grain}, '{partition}' is a {period.grain}",
            fix=f"use e.g. --partition {example}",
            code="wrong_grain",
        )
    return period


def _validated(validation: Validation, contract: Contract) -> list[Data]:
    counts = validation.accounting
    good = object_data(
        validation.validated,
        fields=contract_fields(contract),
        rows=counts.validated,
        results=validation.results,
    )
    aside = [
        object_data(ref, rows=rows)
        for ref, rows in (
            (validation.quarantined, counts.quarantined),
            (validation.rejected, counts.rejected),
        )
        if ref is not None
    ]
    return [good, *aside]


def _outcome(attempt: _Attempt, started: datetime) -> Outcome:
    return Outcome(
        run_id=attempt.run.run_id,
        stage=attempt.run.stage,
        dataset=attempt.run.dataset,
        partition=attempt.run.partition,
        status=attempt.status,
        started_at=started,
        ended_at=datetime.now(UTC),
        delivery=attempt.delivery,
        detail={**attempt.detail, **observed.context()},
    )
