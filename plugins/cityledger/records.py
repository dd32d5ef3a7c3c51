"""What each stage hands to the next, and what it leaves behind: immutable, JSON-able records.

The accounting identity lives here (:class:`Accounting`), so no stage can leave a record that
breaks it.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cityledger.contracts.model import Scope, Severity


class Stage(StrEnum):
    """The vocabulary of the whole project (docs/architecture.md)."""

    EXTRACT = "extract"
    LAND = "land"
    PARSE = "parse"
    VALIDATE = "validate"
    RELEASE = "release"
    STANDARDISE = "standardise"
    PUBLISH = "publish"


class Record(BaseModel):
    """Base of all records: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ObjectRef(Record):
    """One version of one object in the store.

    Attributes:
        sha256: Of the object's bytes, hex.
        size: In bytes.
    """

    bucket: str
    key: str
    version_id: str | None
    sha256: str
    size: int

    @property
    def uri(self) -> str:
        """``s3://bucket/key``."""
        return f"s3://{self.bucket}/{self.key}"


class SpooledFile(Record):
    """A file copied untouched from its source into the spool.

    Attributes:
        name: File name as the department wrote it.
        source_uri: Where it was read, without credentials.
    """

    path: Path
    name: str
    sha256: str
    size: int
    source_uri: str
    modified_at: datetime | None = None


class Extraction(Record):
    """The files of one delivery, in the spool, in name order.

    Attributes:
        declared_rows: Rows that the department says it handed in, if it says so.
    """

    dataset: str
    partition: str
    files: tuple[SpooledFile, ...]
    declared_rows: int | None = None


class LandedObject(ObjectRef):
    """One landed file: the object and where it came from."""

    name: str
    source_uri: str
    modified_at: datetime | None = None


class Receipt(Record):
    """Proof that a delivery has landed whole; written after its objects, in the landing bucket.

    Attributes:
        delivery: First 16 hex digits of the SHA-256 over the sorted ``name:sha256`` lines.
        sequence: 1 for the partition's first delivery, then 2, 3, …
        retain_until: Until when the store refuses to delete the objects.
    """

    dataset: str
    partition: str
    delivery: str
    sequence: int
    objects: tuple[LandedObject, ...]
    landed_at: datetime
    retain_until: datetime
    contract_version: str
    contract_sha256: str
    declared_rows: int | None = None


class Accounting(Record):
    """Where every record of a delivery went.

    Attributes:
        declared: What the department said; None when it said nothing.
        extracted: Records found below the header, blank lines apart.
        rejected: Not a record of the contract's shape (total rows and notes included).
        expected_rejects: Those of ``rejected`` that layouts foresee: totals, notes, headings.
        parsed: ``extracted - rejected``.
        quarantined: Parsed, but broke a blocking rule.
        validated: ``parsed - quarantined``.
    """

    declared: int | None
    extracted: int
    rejected: int
    expected_rejects: int
    parsed: int
    quarantined: int
    validated: int

    @model_validator(mode="after")
    def _identity(self) -> Self:
        if self.extracted != self.parsed + self.rejected:
            raise ValueError(f"extracted {self.extracted} ≠ parsed + rejected: {self}")
        if self.parsed != self.validated + self.quarantined:
            raise ValueError(f"parsed {self.parsed} ≠ validated + quarantined: {self}")
        return self


class RuleStatus(StrEnum):
    """``error`` (could not check) is not ``failed`` (checked, and too bad)."""

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"
    ERROR = "error"


class RuleResult(Record):
    """The verdict of one rule on one delivery (or table), as data.

    Attributes:
        evaluated: Elements looked at (B of GB/T 36344).
        failed: Elements that broke the rule.
        status: ``passed`` nothing failed; ``warning`` some failed, within the threshold or without
            one; ``failed`` above the threshold; ``error`` could not be checked.
        message: For ``error`` only; holds no values of the data.
        direction: ``higher`` or ``lower`` is better, by the indicator of GB/T 36344.
        threshold: Largest number allowed; None without a threshold or without such a bound.
        threshold_text: The whole condition for readers: ``≤ 2 %``, ``within 1 … 5 rows``.
        threshold_reason: Why this figure, as the contract says.
        measured: The figure judged (rows, a query's value), where anybody may see it.
        contract_sha256: Of the contract that the rule came from; empty for suites of tables.
        object_version: What was judged: a delivery's digest, or ``snapshot:<id>`` of the lake.
    """

    key: str
    rule: str
    columns: tuple[str, ...]
    scope: Scope
    severity: Severity
    gb_code: str
    dimension: str
    evaluated: int
    failed: int
    status: RuleStatus
    threshold: float | None = None
    threshold_unit: str | None = None
    message: str = ""
    direction: str = "higher"
    threshold_text: str = ""
    threshold_reason: str = ""
    measured: float | None = None
    contract_sha256: str = ""
    object_version: str = ""


class Correction(Record):
    """A file of corrected rows that a department handed in for a delivery.

    Attributes:
        file: In the landing bucket, locked like the delivery itself.
        row_ids: The rows that it changes (``_row_id``), in the file's order.
    """

    dataset: str
    partition: str
    delivery: str
    file: LandedObject
    row_ids: tuple[str, ...]
    submitted_by: str
    submitted_at: datetime


class Waiver(Record):
    """A steward's word that rows may pass although they break a rule.

    Attributes:
        rule: The rule's key.
        partition, delivery: Where it holds; None for everywhere.
        row_ids: The rows (``_row_id``) that it is for; empty for all.
        valid_until: The last day that it holds.
    """

    id: int
    dataset: str
    rule: str
    partition: str | None
    delivery: str | None
    row_ids: tuple[str, ...]
    approved_by: str
    approved_at: datetime
    reason: str
    valid_until: date

    def covers(self, partition: str, delivery: str) -> bool:
        """Whether it may let rows of that delivery pass."""
        return self.partition in (None, partition) and self.delivery in (None, delivery)


class Validation(Record):
    """The result of parse and validate for one delivery.

    Attributes:
        inputs: The landed objects that were read.
        validated: Parquet of good rows. ``quarantined``/``rejected``: None when there are none.
        rejects: Reason code → count.
        quarantined_by_rule: Rule key → quarantined rows that broke it.
        drift: Notes on columns renamed, missing or added.
        contract_sha256: Of the contract that the rules came from.
        corrections: Files whose rows replaced rows of ``inputs``, in the order of acceptance.
        corrected: Rows so replaced.
        waivers: In force when the delivery was judged.
        waived_by_rule: Rule key → validated rows that broke it by leave of a waiver.
    """

    dataset: str
    partition: str
    delivery: str
    contract_version: str
    contract_sha256: str
    inputs: tuple[LandedObject, ...]
    accounting: Accounting
    results: tuple[RuleResult, ...]
    validated: ObjectRef
    quarantined: ObjectRef | None
    rejected: ObjectRef | None
    rejects: dict[str, int]
    quarantined_by_rule: dict[str, int]
    drift: tuple[str, ...] = ()
    corrections: tuple[LandedObject, ...] = ()
    corrected: int = 0
    waivers: tuple[Waiver, ...] = ()
    waived_by_rule: dict[str, int] = Field(default_factory=dict)


class Channel(StrEnum):
    """How a decision on a held batch came about."""

    AIRFLOW = "airflow"
    CONSOLE = "console"
    COMMAND_LINE = "cli"
    TIMEOUT = "timeout"


class Decision(Record):
    """What a steward said about a held batch; kept, and part of the evidence.

    Attributes:
        decided_by: Login name.
        reason: Why; never blank.
        channel: Where it was said. ``timeout``: nobody said anything in time, which never is an
            approval and leaves the batch open for a decision.
    """

    approved: bool
    decided_by: str
    reason: str
    decided_at: datetime
    channel: Channel

    @model_validator(mode="after")
    def _accountable(self) -> Self:
        if not (self.decided_by.strip() and self.reason.strip()):
            raise ValueError("a decision needs somebody who takes it and a reason")
        if self.approved and self.channel is Channel.TIMEOUT:
            raise ValueError("silence is not an approval")
        return self


class Release(Record):
    """A validated delivery that standardisation may use, or one that is held.

    Attributes:
        released: False while held.
        reasons: Why the gate holds it (kept when a steward lets it pass).
    """

    dataset: str
    partition: str
    delivery: str
    contract_sha256: str
    validated: ObjectRef
    rows: int
    released: bool
    reasons: tuple[str, ...] = ()
    decision: Decision | None = None


class ModelResult(Record):
    """What became of one dbt node."""

    name: str
    layer: str
    status: str
    rows: int | None
    seconds: float
    message: str = ""


class Staged(Record):
    """Rows of one delivery that arrived in its staging table."""

    dataset: str
    partition: str
    delivery: str
    rows: int


class Standardisation(Record):
    """One dbt build over the released deliveries.

    Attributes:
        snapshot_id: DuckLake snapshot after the build: the version of every table.
        digests: Table → order-insensitive content digest, hex.
    """

    snapshot_id: int
    models: tuple[ModelResult, ...]
    staged: tuple[Staged, ...]
    digests: dict[str, str]
    results: tuple[RuleResult, ...] = ()


class IndicatorStatus(StrEnum):
    """How a value stands against its target; never NULL."""

    MET = "met"
    AT_RISK = "at_risk"
    MISSED = "missed"
    NOT_APPLICABLE = "not_applicable"
    NOT_YET_DUE = "not_yet_due"
    INSUFFICIENT_DATA = "insufficient_data"


class IndicatorValue(Record):
    """One published value (city-wide rows of ``fct_indicator_value``)."""

    code: str
    name: str
    name_en: str
    area: str
    period: str
    value: str | None
    unit: str
    target: str | None
    status: IndicatorStatus


class Publication(Record):
    """What was published from one standardisation.

    Attributes:
        content_sha256: Order-insensitive digest of the indicator table.
    """

    snapshot_id: int
    objects: tuple[ObjectRef, ...]
    rows: int
    content_sha256: str
    values: tuple[IndicatorValue, ...]


class Outcome(Record):
    """One outcome per stage attempt, failures included: "what did we not get, and why?".

    Attributes:
        run_id: UUID of the OpenLineage run of this stage.
        status: ``success``, ``failure``, ``held``, ``skipped`` (was already done) or ``partial`` (a
            step of the stage, which another attempt brings to its end).
        detail: The stage's record as JSON, or the error's where and fix.
    """

    run_id: str
    stage: Stage
    dataset: str
    partition: str
    status: str
    started_at: datetime
    ended_at: datetime
    delivery: str | None = None
    error_code: str | None = None
    error: str | None = None
    detail: dict[str, Any] = Field(default_factory=dict)
