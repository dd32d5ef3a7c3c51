"""Release: the gate between a validated delivery and standardisation.

A held delivery waits for its steward; what an earlier delivery of the partition released stays in
use until then.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cityledger.contracts.model import Contract, Gate, Severity
from cityledger.errors import BadInputError
from cityledger.records import (
    Accounting,
    Channel,
    Decision,
    Release,
    RuleResult,
    RuleStatus,
    Validation,
)


def release(
    validation: Validation, contract: Contract, *, decision: Decision | None = None
) -> Release:
    """Judge a validated delivery by the contract's gate, or apply the steward's decision.

    Without a decision the delivery is released when the gate has no objection. With one, the
    decision counts; the gate's reasons are kept beside it.
    """
    reasons = objections(validation, contract.gate)
    return Release(
        dataset=validation.dataset,
        partition=validation.partition,
        delivery=validation.delivery,
        contract_sha256=validation.contract_sha256,
        validated=validation.validated,
        rows=validation.accounting.validated,
        released=decision.approved if decision else not reasons,
        reasons=reasons,
        decision=decision,
    )


def objections(validation: Validation, gate: Gate) -> tuple[str, ...]:
    """Why the gate holds a delivery, in English and Chinese; empty when it lets it pass."""
    return tuple(_objections(validation, gate))


class AlreadyDecidedError(BadInputError):
    """Somebody else was quicker, or there is nothing to decide on.

    Attributes:
        standing: The verdict that stands.
    """

    def __init__(self, standing: Release) -> None:
        self.standing = standing
        first = standing.decision
        super().__init__(
            _standing(first) if first else "the gate let this batch pass by itself",
            where=f"{standing.dataset}/{standing.partition}, delivery {standing.delivery}",
            fix=f"talk to {first.decided_by}" if first else "there is nothing to decide",
            code="already_decided" if first else "not_held",
        )


def _standing(first: Decision) -> str:
    return (
        f"{first.decided_by} has {'approved' if first.approved else 'rejected'} this batch already "
        f"({first.decided_at:%Y-%m-%d %H:%M %Z}, {first.channel}): {first.reason}"
    )


def steward_decision(
    *, approved: bool, by: str, reason: str, at: datetime, channel: Channel
) -> Decision:
    """What a steward said, as a record.

    Personal numbers in the reason are hidden: it becomes part of lineage and evidence, which more
    people read than the data.

    Raises:
        BadInputError: who or why is missing (``reason_missing``).
    """
    from cityledger.masking import scrub  # brings polars along; most releases need no steward

    if not (by.strip() and reason.strip()):
        raise BadInputError(
            "a decision on a held batch needs a name and a reason",
            fix="say who decides and why; both are kept as evidence",
            code="reason_missing",
        )
    why = scrub(reason.replace("\0", "").strip())
    return Decision(
        approved=approved, decided_by=by.strip(), reason=why, decided_at=at, channel=channel
    )


def is_settled(standing: Release, validation: Validation, decision: Decision | None) -> bool:
    """Whether a verdict stands already, so that there is nothing to do.

    Args:
        standing: The newest verdict on the delivery.
        validation: What is to be judged; another one than the verdict's has to be judged anew.
        decision: What a steward has decided, if one has.

    Raises:
        AlreadyDecidedError: another decision stands, or the gate let the batch pass.
    """
    if standing.validated != validation.validated:
        return False
    if decision is None:
        return standing.released
    if standing.decision == decision:
        return True
    if standing.released or _by_person(standing.decision):
        raise AlreadyDecidedError(standing)
    return False


def _by_person(decision: Decision | None) -> bool:
    return decision is not None and decision.channel is not Channel.TIMEOUT


def _objections(validation: Validation, gate: Gate) -> Iterator[str]:
    accounting = validation.accounting
    yield from _declared(accounting)
    yield from _share(
        accounting.quarantined,
        accounting.parsed,
        gate.max_quarantined_percent,
        "quarantined",
        "隔离行",
    )
    yield from _share(
        accounting.rejected - accounting.expected_rejects,
        accounting.extracted,
        gate.max_rejected_percent,
        "rejected",
        "拒收行",
    )
    if accounting.validated < gate.min_rows:
        yield (
            f"{accounting.validated} validated rows, at least {gate.min_rows} required"
            f"（合格行 {accounting.validated} 少于下限 {gate.min_rows}）"
        )
    for result in validation.results:
        yield from _rule(result, validation.waived_by_rule.get(result.key, 0))


def _declared(accounting: Accounting) -> Iterator[str]:
    # A department that declares a count may or may not count its own 合计 rows and notes.
    extracted, foreseen = accounting.extracted, accounting.expected_rejects
    if accounting.declared not in {None, extracted, extracted - foreseen}:
        yield (
            f"{accounting.declared} rows declared, {extracted} extracted"
            f"（申报 {accounting.declared} 行，实收 {extracted} 行）"
        )


def _share(part: int, whole: int, limit: float, what: str, chinese: str) -> Iterator[str]:
    # Compared without division, so that exactly the limit passes whatever the float rounding.
    if part * 100 > limit * whole:
        percent = f"{100 * part / whole:.2f}" if whole else "100"
        yield (
            f"{part} of {whole} rows {what} ({percent} %), at most {limit:g} % allowed"
            f"（{chinese} {part}/{whole}，占 {percent}%，上限 {limit:g}%）"
        )


def _rule(result: RuleResult, waived: int) -> Iterator[str]:
    if result.severity is Severity.INFO or _excused(result, waived):
        return
    if result.status is RuleStatus.ERROR:
        yield f"rule {result.key} could not be checked（规则未能执行）"
    elif result.status is RuleStatus.FAILED:
        yield (
            f"rule {result.key}: {result.failed} of {result.evaluated} failed, "
            f"{_limit(result)}（规则不合格 {result.failed}/{result.evaluated}）"
        )


def _excused(result: RuleResult, waived: int) -> bool:
    """Whether what failed without a steward's leave stays within the limit."""
    if result.status is not RuleStatus.FAILED or not waived:
        return False
    left = result.failed - waived
    if result.threshold is None:
        return left == 0
    if result.threshold_unit == "percent":
        return left * 100 <= result.threshold * result.evaluated
    return left <= result.threshold


def _limit(result: RuleResult) -> str:
    if result.threshold is not None:
        sign = " %" if result.threshold_unit == "percent" else ""
        return f"at most {result.threshold:g}{sign} allowed"
    return f"{result.threshold_text} required" if result.threshold_text else "at most 0 allowed"
