"""The gate: held with every reason, passed at exactly the limit, and the steward's word counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import (
    Contract,
    Gate,
    Layout,
    Scope,
    ServiceLevel,
    Severity,
    SourceSpec,
)
from cityledger.errors import BadInputError
from cityledger.lifecycle.release import release, steward_decision
from cityledger.records import (
    Accounting,
    Channel,
    Decision,
    ObjectRef,
    RuleResult,
    RuleStatus,
    Validation,
)

REF = ObjectRef(bucket="validated", key="k", version_id=None, sha256="a", size=1)


def _contract(**gate: Any) -> Contract:
    return Contract(
        id=DatasetId("hotline", "tickets"),
        version="1.0.0",
        title="12345",
        path=Path("x"),
        sha256="c" * 64,
        columns=(),
        rules=(),
        source=SourceSpec("drop_folder", {}),
        layout=Layout(),
        service_level=ServiceLevel("day", timedelta(hours=8), timedelta(days=30)),
        gate=Gate(**gate),
    )


def _validation(
    *,
    validated: int = 100,
    quarantined: int = 0,
    rejected: int = 0,
    expected: int = 0,
    declared: int | None = None,
    results: tuple[RuleResult, ...] = (),
) -> Validation:
    parsed = validated + quarantined
    return Validation(
        dataset="hotline.tickets",
        partition="2026-03-31",
        delivery="d1",
        contract_version="1.0.0",
        contract_sha256="c" * 64,
        inputs=(),
        accounting=Accounting(
            declared=declared,
            extracted=parsed + rejected,
            rejected=rejected,
            expected_rejects=expected,
            parsed=parsed,
            quarantined=quarantined,
            validated=validated,
        ),
        results=results,
        validated=REF,
        quarantined=None,
        rejected=None,
        rejects={},
        quarantined_by_rule={},
    )


def _decision(**changes: Any) -> Decision:
    values: dict[str, Any] = {
        "approved": True,
        "decided_by": "steward",
        "reason": "checked by telephone",
        "decided_at": datetime(2026, 4, 1, tzinfo=UTC),
        "channel": Channel.AIRFLOW,
    }
    return Decision(**values | changes)


def _result(status: RuleStatus, severity: Severity = Severity.BLOCK, **more: Any) -> RuleResult:
    return RuleResult(
        key="hotline.tickets.phone.format",
        rule="phone",
        columns=("phone",),
        scope=Scope.ROW,
        severity=severity,
        gb_code="0302",
        dimension="accuracy",
        evaluated=100,
        failed=7,
        status=status,
        **more,
    )


def test_good_delivery_passes() -> None:
    """Prevents a steward from being asked about nothing."""
    made = release(_validation(declared=100), _contract())
    assert made.released
    assert made.reasons == ()
    assert (made.rows, made.validated, made.delivery) == (100, REF, "d1")


@pytest.mark.parametrize(
    ("validation", "gate", "reason"),
    [
        ({"validated": 94, "quarantined": 6}, {}, "6 of 100 rows quarantined (6.00 %)"),
        ({"validated": 98, "rejected": 2}, {}, "2 of 100 rows rejected (2.00 %)"),
        ({"validated": 0}, {}, "0 validated rows, at least 1 required"),
        ({"validated": 9}, {"min_rows": 10}, "9 validated rows, at least 10 required"),
        ({"validated": 100, "declared": 101}, {}, "101 rows declared, 100 extracted"),
        ({"quarantined": 1}, {"max_quarantined_percent": 0.0}, "1 of 101 rows quarantined"),
    ],
    ids=["quarantined", "rejected", "none", "few", "declared", "zero tolerance"],
)
def test_bad_delivery_is_held_with_its_reason(
    validation: dict[str, Any], gate: dict[str, Any], reason: str
) -> None:
    """Prevents bad rows from reaching indicators without anybody's word."""
    made = release(_validation(**validation), _contract(**gate))
    assert not made.released
    assert any(reason in one for one in made.reasons)


@pytest.mark.parametrize(
    ("validation", "gate"),
    [
        ({"validated": 95, "quarantined": 5}, {}),
        ({"validated": 99, "rejected": 1}, {}),
        ({"validated": 10}, {"min_rows": 10}),
        ({"validated": 997, "quarantined": 3}, {"max_quarantined_percent": 0.3}),
        ({"validated": 20, "rejected": 9, "expected": 9}, {}),
        ({"validated": 20, "rejected": 2, "expected": 2, "declared": 20}, {}),
        ({"validated": 20, "rejected": 2, "expected": 2, "declared": 22}, {}),
    ],
    ids=["quarantined", "rejected", "rows", "float", "foreseen", "declared net", "declared gross"],
)
def test_exactly_the_limit_passes(validation: dict[str, Any], gate: dict[str, Any]) -> None:
    """Prevents a batch that keeps to the contract from being held (合计 rows are foreseen)."""
    assert release(_validation(**validation), _contract(**gate)).released


@pytest.mark.parametrize(
    ("result", "held"),
    [
        (_result(RuleStatus.FAILED, threshold=5.0, threshold_unit="percent"), "at most 5 %"),
        (_result(RuleStatus.FAILED, Severity.WARN, threshold=3.0), "7 of 100 failed, at most 3"),
        (_result(RuleStatus.ERROR), "could not be checked"),
        (_result(RuleStatus.WARNING), None),
        (_result(RuleStatus.PASSED), None),
        (_result(RuleStatus.FAILED, Severity.INFO, threshold=1.0), None),
    ],
    ids=["percent", "rows", "error", "warning", "passed", "info"],
)
def test_rules_hold_beyond_their_threshold(result: RuleResult, held: str | None) -> None:
    """Prevents a rule that failed, or was never checked, from being overlooked."""
    made = release(_validation(results=(result,)), _contract())
    assert made.released is (held is None)
    assert [one for one in made.reasons if held and held in one and result.key in one] == list(
        made.reasons
    )


def test_all_reasons_are_told_at_once() -> None:
    """Prevents a department from repairing one thing after another."""
    bad = _validation(
        validated=1,
        quarantined=9,
        rejected=10,
        declared=99,
        results=(_result(RuleStatus.ERROR),),
    )
    assert len(release(bad, _contract(min_rows=5)).reasons) == 5


@pytest.mark.parametrize("approved", [True, False])
@pytest.mark.parametrize("quarantined", [0, 50])
def test_stewards_decision_counts(approved: bool, quarantined: int) -> None:
    """Prevents the gate from overruling the person who is responsible, or hiding its reasons."""
    decision = _decision(approved=approved)
    made = release(_validation(quarantined=quarantined), _contract(), decision=decision)
    assert made.released is approved
    assert made.decision == decision
    assert bool(made.reasons) is bool(quarantined)


def test_silence_can_never_be_an_approval() -> None:
    """Prevents a default answer after the time-out from releasing a batch."""
    with pytest.raises(ValueError, match="silence"):
        _decision(channel=Channel.TIMEOUT)
    assert not _decision(channel=Channel.TIMEOUT, approved=False).approved


@pytest.mark.parametrize("missing", [{"reason": " "}, {"decided_by": ""}])
def test_a_decision_names_somebody_and_a_reason(missing: dict[str, str]) -> None:
    """Prevents a decision record that explains nothing."""
    with pytest.raises(ValueError, match="reason"):
        _decision(**missing)


def test_a_stewards_words_hold_no_personal_number() -> None:
    """Prevents a phone number in lineage, which more people read than the data."""
    said = {"approved": True, "at": datetime(2026, 4, 1, tzinfo=UTC), "channel": Channel.AIRFLOW}
    made = steward_decision(by=" steward ", reason="asked 13800138000, all is well", **said)
    assert "13800138000" not in made.reason
    assert "all is well" in made.reason
    assert made.decided_by == "steward"
    with pytest.raises(BadInputError) as caught:
        steward_decision(by="steward", reason="\n", **said)
    assert caught.value.code == "reason_missing"
