"""Waivers: a steward lets rows pass that break a rule, for a reason and until a day.

Approvals and revocations are only added. A waiver works from the next judgement on: a replay, or a
delivery that comes later; after its last day, or once revoked, it no longer does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Final

from cityledger.contracts.identity import Partition
from cityledger.contracts.model import Contract, RuleSpec, Scope, Severity
from cityledger.contracts.node import nearest
from cityledger.errors import BadInputError
from cityledger.ledger.decisions import DecisionStore, WaiverState
from cityledger.masking import scrub
from cityledger.people import Person, Role
from cityledger.quarantine.access import require_reason, require_steward
from cityledger.quarantine.batches import department_of
from cityledger.quarantine.corrections import PATIENCE_SECONDS
from cityledger.records import Waiver
from cityledger.runner import Runner

#: Without a key nobody knows whose row it is, and a key twice counts a thing twice.
_KEY_RULES: Final = frozenset({"type", "not_null", "unique"})


def approve(
    runner: Runner,
    dataset: str,
    rule: str,
    *,
    by: Person,
    reason: str,
    until: date,
    partition: str | None = None,
    delivery: str | None = None,
    row_ids: Sequence[str] = (),
    today: date | None = None,
) -> Waiver:
    """Let rows pass that break a rule.

    Args:
        runner: Of the installation.
        dataset: Its id.
        rule: Key of one of its blocking rules.
        by: A steward.
        reason: Why; recorded.
        until: The last day that the waiver works.
        partition: Only this period's rows.
        delivery: Only this delivery's rows.
        row_ids: Only these rows (``_row_id``); they name their delivery themselves.
        today: For tests; by default the present day.

    Raises:
        BadInputError: ``not_allowed``, ``reason_missing``, ``unknown_rule``, ``not_waivable``,
            ``bad_until``, ``bad_scope``, or ``already_waived``: another steward was first.
    """
    require_steward(by)
    contract = runner.contract(dataset)
    spec = _rule(contract, rule)
    _check_waivable(spec, contract)
    reason = scrub(require_reason(reason, "a waiver"))
    day = today or _today()
    if until < day:
        raise BadInputError(
            f"the last day {until} has passed",
            where=rule,
            fix="name a day to come",
            code="bad_until",
        )
    _check_scope(partition, delivery, row_ids)
    store = DecisionStore(runner.database)
    with runner.database.lock(f"waivers/{dataset}", timeout=PATIENCE_SECONDS):
        scope = (rule, partition, delivery, tuple(sorted(row_ids)))
        for state in store.waivers(dataset):
            if state.in_force(day) and _scope(state.waiver) == scope:
                raise _already(state.waiver)
        return store.add_waiver(
            dataset=dataset,
            rule=rule,
            partition=partition,
            delivery=delivery,
            row_ids=scope[3],
            approved_by=by.name,
            reason=reason,
            valid_until=until,
        )


def revoke(runner: Runner, number: int, *, by: Person, reason: str) -> WaiverState:
    """End a waiver before its last day; its rows are back in quarantine with the next replay.

    Raises:
        BadInputError: ``not_allowed``, ``reason_missing``, ``unknown_waiver``, or
            ``already_revoked``: another steward was first.
    """
    require_steward(by)
    reason = scrub(require_reason(reason, "a revocation"))
    store = DecisionStore(runner.database)
    state = store.find_waiver(number)
    if state is None:
        raise BadInputError(
            f"there is no waiver {number}",
            fix="cityledger quarantine waive DATASET lists them",
            code="unknown_waiver",
        )
    if not store.revoke_waiver(number, revoked_by=by.name, reason=reason):
        before = store.find_waiver(number) or state
        raise BadInputError(
            f"waiver {number} was revoked before, by {before.revoked_by}",
            where=state.waiver.rule,
            fix="nothing is left to do",
            code="already_revoked",
        )
    return store.find_waiver(number) or state


def waivers(runner: Runner, person: Person, dataset: str | None = None) -> tuple[WaiverState, ...]:
    """All waivers that the person may see, oldest first, with their last days; history included."""
    if not person.has(Role.DEPARTMENT, Role.STEWARD, Role.AUDITOR, Role.ENGINEER):
        return ()
    return tuple(
        state
        for state in DecisionStore(runner.database).waivers(dataset)
        if person.sees(department_of(state.waiver.dataset))
    )


def waivable(contract: Contract, rules: Iterable[str]) -> tuple[str, ...]:
    """Those of some rules (keys) that a waiver can be for, in their order."""
    specs = {spec.key: spec for spec in contract.rules}
    return tuple(key for key in rules if key in specs and not _unwaivable(specs[key], contract))


def _rule(contract: Contract, key: str) -> RuleSpec:
    rules = {spec.key: spec for spec in contract.rules}
    if key not in rules:
        raise BadInputError(
            f"{contract.id} has no rule {key}",
            where=str(contract.path),
            fix=nearest(key, rules),
            code="unknown_rule",
        )
    return rules[key]


def _check_waivable(spec: RuleSpec, contract: Contract) -> None:
    why = _unwaivable(spec, contract)
    if why:
        raise BadInputError(
            f"rule {spec.key} can't be waived: {why}",
            where=str(contract.path),
            fix="have the rows corrected; a held batch is decided with cityledger release",
            code="not_waivable",
        )


def _unwaivable(spec: RuleSpec, contract: Contract) -> str:
    # Late: the library imports whatever packages add rules.
    from quality_checks.rules import all_rules
    from quality_checks.rules.base import Form

    if spec.severity is not Severity.BLOCK or spec.scope is Scope.HISTORY:
        return "it keeps no row out"
    rule = all_rules().get(spec.rule)
    if rule is not None and rule.form is Form.TOTAL:
        return "it judges the delivery, not its rows"
    if spec.rule in _KEY_RULES and set(spec.columns) & set(contract.primary_key):
        return "it guards the key of the dataset"
    return ""


def _check_scope(partition: str | None, delivery: str | None, row_ids: Sequence[str]) -> None:
    if partition is not None:
        Partition.parse(partition)
    foreign = [
        one for one in row_ids if delivery is not None and not one.startswith(f"{delivery}-")
    ]
    if foreign or (delivery is not None and partition is None):
        raise BadInputError(
            f"row {foreign[0]} is not of delivery {delivery}"
            if foreign
            else "a delivery is named without its partition",
            fix="name the partition and the delivery that the rows belong to",
            code="bad_scope",
        )


def _scope(waiver: Waiver) -> tuple[str, str | None, str | None, tuple[str, ...]]:
    return (waiver.rule, waiver.partition, waiver.delivery, tuple(sorted(waiver.row_ids)))


def _already(waiver: Waiver) -> BadInputError:
    return BadInputError(
        f"waiver {waiver.id} by {waiver.approved_by} does the same until {waiver.valid_until}",
        where=waiver.rule,
        fix=f"leave it, or: cityledger quarantine waive {waiver.dataset} --revoke {waiver.id}",
        code="already_waived",
    )


def _today() -> date:
    return datetime.now(UTC).date()
