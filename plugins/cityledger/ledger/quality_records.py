"""What pages get: how good the data is, of the city, a department, a dataset, a run.

Scores here follow one rule: newest score of each partition in the window, sums of A and B over
them, and missing deliveries counted as failed batches (0202) and late ones (0502).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from cityledger.contracts.model import Severity
from cityledger.records import (
    Accounting,
    Outcome,
    Receipt,
    Record,
    Release,
    RuleResult,
    RuleStatus,
    Validation,
)
from quality_checks.scoring import ScoreCard as ScoreCard
from quality_checks.scoring import Scores as Scores


class DeliveryState(StrEnum):
    """How one expected delivery stands."""

    ON_TIME = "on_time"
    LATE = "late"
    MISSING = "missing"
    NOT_DUE = "not_due"
    HELD = "held"


class Delivery(Record):
    """One partition that the contract promises, and what came.

    Attributes:
        period_end: Last day of the partition.
        due_at: End of the promise, with zone Asia/Shanghai.
        state: ``held`` wins over on time and late: its newest delivery waits for a steward.
        late: The first delivery came after ``due_at``, whatever became of it; or none came by now.
        first_at: When the first delivery landed; None when none has.
        newest_at: When the newest delivery landed.
        delivery: Id of the newest delivery.
        deliveries: How often it was delivered; more than 1 means repeated.
        certain: False when the due date is in working days of a year whose holidays have not been
            announced.
    """

    dataset: str
    partition: str
    period_end: date
    due_at: datetime
    state: DeliveryState
    late: bool = False
    first_at: datetime | None = None
    newest_at: datetime | None = None
    delivery: str | None = None
    deliveries: int = 0
    certain: bool = True


class DeliveryCounts(Record):
    """Expected deliveries of a window, by state; ``repeated`` counts deliveries after the first."""

    on_time: int = 0
    late: int = 0
    missing: int = 0
    not_due: int = 0
    held: int = 0
    repeated: int = 0

    @property
    def expected(self) -> int:
        """Deliveries that have fallen due or have come."""
        return self.on_time + self.late + self.missing + self.held


class TrendPoint(Record):
    """The scores of the data of one window, as known today.

    Attributes:
        day: Last day of the window.
    """

    day: date
    scores: Scores


class DatasetStanding(Record):
    """One row of the heat map.

    Attributes:
        title: The contract's name of the dataset.
        newest_partition: Newest partition with a score; None when there is none.
        scored_at: When the newest score was stored.
        broken_rules: Rules that are failed or in error in the newest run.
    """

    dataset: str
    department: str
    title: str
    scores: Scores
    deliveries: DeliveryCounts
    newest_partition: str | None = None
    scored_at: datetime | None = None
    broken_rules: int = 0


class DepartmentStanding(Record):
    """A department, all its datasets together."""

    department: str
    name: str
    name_en: str
    scores: Scores
    deliveries: DeliveryCounts
    datasets: int


class GradeChange(Record):
    """A dataset whose grade is another one than before."""

    dataset: str
    before: Scores
    after: Scores

    @property
    def better(self) -> bool:
        """Whether the total went up (no total counts as lowest)."""
        return (self.after.total or -1) > (self.before.total or -1)


class BrokenRule(Record):
    """A rule that is failed or in error now and was not in the run before.

    Attributes:
        run: Id of the run that broke it.
        before: Its status in the run before; None when there was none.
    """

    dataset: str
    partition: str
    run: int
    key: str
    gb_code: str
    severity: Severity
    status: RuleStatus
    evaluated: int
    failed: int
    before: RuleStatus | None = None


class Changes(Record):
    """What changed between two moments.

    Attributes:
        late: Deliveries that became late or missing within them.
    """

    since: datetime
    until: datetime
    grades: tuple[GradeChange, ...] = ()
    broken: tuple[BrokenRule, ...] = ()
    late: tuple[Delivery, ...] = ()


class TableStanding(Record):
    """A table of the shared schema (core, indicators), by the newest build's checks."""

    table: str
    scores: Scores
    snapshot_id: int
    checked_at: datetime
    broken_rules: int = 0


class CityView(Record):
    """The city overview.

    Attributes:
        day: Last day of the window.
        card: All datasets together, with formula.
        trend: Oldest first, one point a day.
    """

    day: date
    card: ScoreCard
    departments: tuple[DepartmentStanding, ...]
    datasets: tuple[DatasetStanding, ...]
    tables: tuple[TableStanding, ...]
    trend: tuple[TrendPoint, ...]
    changes: Changes


class DepartmentView(Record):
    """One department's page."""

    day: date
    department: str
    name: str
    name_en: str
    card: ScoreCard
    datasets: tuple[DatasetStanding, ...]
    trend: tuple[TrendPoint, ...]
    changes: Changes
    deliveries: tuple[Delivery, ...]


class RunSummary(Record):
    """One validation in a list.

    Attributes:
        run: Id of the validation in the journal; the run page's address.
        sequence: 1 for the partition's first delivery, then 2, 3, …; None when unknown.
        released: The newest verdict of gate or steward; None when there is none yet.
    """

    run: int
    dataset: str
    partition: str
    delivery: str
    sequence: int | None
    at: datetime
    scores: Scores
    accounting: Accounting
    released: bool | None
    contract_sha256: str


@dataclass(frozen=True, slots=True)
class RulePoint:
    """One verdict in a rule's history.

    No model: a page of 300 rules keeps thousands, and each model is three objects that the garbage
    collector visits.
    """

    run: int
    partition: str
    at: datetime
    status: RuleStatus
    evaluated: int
    failed: int


class RuleStanding(Record):
    """A rule with its newest result.

    Attributes:
        history: Its verdicts, oldest first, the newest included.
    """

    result: RuleResult
    history: tuple[RulePoint, ...] = ()


class TableResult(Record):
    """A verdict of a rule over all partitions, from the newest build.

    Attributes:
        snapshot_id: The version of the lake that it saw.
    """

    table: str
    snapshot_id: int
    at: datetime
    result: RuleResult


class DatasetView(Record):
    """One dataset's page.

    Attributes:
        card: Over the window, with formula.
        runs: Newest first.
        rules: In the contract's order, of the newest run.
        table_rules: Rules over all partitions, of the newest build.
        deliveries: The calendar of the window, oldest first.
    """

    day: date
    dataset: str
    department: str
    title: str
    card: ScoreCard
    counts: DeliveryCounts
    runs: tuple[RunSummary, ...]
    rules: tuple[RuleStanding, ...]
    table_rules: tuple[TableResult, ...]
    deliveries: tuple[Delivery, ...]
    trend: tuple[TrendPoint, ...]


class RunView(Record):
    """One validation with everything that it left.

    Attributes:
        card: As it was stored with the run, by the configuration of that time.
        facts: Verdicts on the delivery itself (readable, complete, on time) that the card counts
            beside the rules.
        outcomes: Attempts of all stages for this delivery, newest first.
    """

    run: int
    at: datetime
    validation: Validation
    card: ScoreCard | None
    facts: tuple[RuleResult, ...]
    receipt: Receipt | None
    release: Release | None
    outcomes: tuple[Outcome, ...]
