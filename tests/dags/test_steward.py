"""The steward's answer on Airflow's page: carried out once, with its reason, not by silence."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput
from cityledger.airflow.operators import ReleaseOperator
from cityledger.lifecycle.release import AlreadyDecidedError
from cityledger.records import Channel, Decision, ObjectRef, Release

ANSWERED = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)
STEWARD = {"id": "7", "name": "steward.wang"}
REF = ObjectRef(bucket="validated", key="k", version_id=None, sha256="a", size=1)


class Gate:
    """Stands in for the runner: holds the batch until a decision comes; the first one counts."""

    def __init__(self, standing: Decision | None = None) -> None:
        self.decisions: list[Decision | None] = []
        self.standing = standing

    def release(self, *asked: Any) -> Release:
        decision = asked[-1]
        self.decisions.append(decision)
        if decision is not None and self.standing is not None:
            raise AlreadyDecidedError(verdict(self.standing))
        return verdict(decision)


def verdict(decision: Decision | None) -> Release:
    return Release(
        dataset="hotline.tickets",
        partition="2026-03-31",
        delivery="d1",
        contract_sha256="c",
        validated=REF,
        rows=8,
        released=bool(decision and decision.approved),
        reasons=("20 of 100 rows quarantined",),
        decision=decision,
    )


def said(approved: bool) -> Decision:
    return Decision(
        approved=approved,
        decided_by="steward.li",
        reason="decided first",
        decided_at=ANSWERED,
        channel=Channel.COMMAND_LINE,
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What Airflow was told to ask."""
    questions: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "airflow.providers.standard.operators.hitl.upsert_hitl_detail",
        lambda **question: questions.append(question),
    )
    return questions


def answer(gate: Gate, monkeypatch: pytest.MonkeyPatch, **event: Any) -> dict[str, Any]:
    monkeypatch.setattr("cityledger.airflow.operators._runner", lambda _context: gate)
    task = ReleaseOperator(task_id="release", dataset="hotline.tickets", delivery="d1")
    instance = SimpleNamespace(id="1")
    context: Any = {"partition_key": "2026-03-31", "ti": instance, "task_instance": instance}
    if "error" not in event:
        event = {
            "chosen_options": ["Approve"],
            "params_input": {"reason": "recounted"},
            "responded_at": ANSWERED,
            "responded_by_user": STEWARD,
        } | event
    return task.execute_complete(context, event)


def test_an_approval_is_carried_out_with_who_why_and_when(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Prevents a release that nobody can be asked about."""
    gate = Gate()
    summary = answer(gate, monkeypatch)
    assert summary["decided_by"] == "steward.wang"
    assert gate.decisions == [
        Decision(
            approved=True,
            decided_by="steward.wang",
            reason="recounted",
            decided_at=ANSWERED,
            channel=Channel.AIRFLOW,
        )
    ]


def test_a_rejection_fails_the_task_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a rejected batch from looking like a finished one."""
    gate = Gate()
    with pytest.raises(AirflowFailException, match=r"steward\.wang rejected .* \(recounted\)"):
        answer(gate, monkeypatch, chosen_options=["Reject"])
    assert gate.decisions[0] is not None
    assert not gate.decisions[0].approved


@pytest.mark.parametrize("reason", ["", "   ", None])
@pytest.mark.parametrize("option", ["Approve", "Reject"])
def test_an_answer_without_a_reason_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
    asked: list[dict[str, Any]],
    reason: str | None,
    option: str,
) -> None:
    """Prevents an unexplained decision, and a task that dies of a forgotten field."""
    gate = Gate()
    with pytest.raises(TaskAwaitingInput):
        answer(gate, monkeypatch, chosen_options=[option], params_input={"reason": reason or ""})
    assert gate.decisions == [None]
    (question,) = asked
    assert "quarantined" in question["body"]


@pytest.mark.parametrize(
    "event",
    [
        {"error": "too late", "error_type": "timeout"},
        {"responded_by_user": None, "chosen_options": ["Approve"]},
    ],
    ids=["no default", "default taken"],
)
def test_silence_is_recorded_and_releases_nothing(
    monkeypatch: pytest.MonkeyPatch, event: dict[str, Any]
) -> None:
    """Prevents a held batch from passing because its steward was on leave."""
    gate = Gate()
    with pytest.raises(AirflowFailException, match="no steward decided within 30 days"):
        answer(gate, monkeypatch, **event)
    (decision,) = gate.decisions
    assert decision is not None
    assert (decision.approved, decision.channel) == (False, Channel.TIMEOUT)


@pytest.mark.parametrize("first", [True, False])
def test_the_second_of_two_stewards_is_told(monkeypatch: pytest.MonkeyPatch, first: bool) -> None:
    """Prevents an answer on Airflow's page from undoing what was decided elsewhere meanwhile."""
    other = "Reject" if first else "Approve"
    with pytest.raises(AirflowFailException, match=r"steward\.li has .* already"):
        answer(Gate(said(first)), monkeypatch, chosen_options=[other])


def test_the_same_answer_from_both_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevents a red task, and indicators that wait, although everybody agrees."""
    summary = answer(Gate(said(True)), monkeypatch)
    assert summary["decided_by"] == "steward.li"
