"""Airflow operators: each calls one or two stages of the runner and returns a small summary.

Everything heavy is imported inside ``execute``: a DAG file that only declares these must stay
cheap to parse, and a task's process pays for its own stage alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import BaseOperator, Param
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from cityledger.airflow.lineage import (
    LineageMixin,
    delivered_files,
    lake_tables,
    parent_of_stages,
    stored_objects,
)
from cityledger.contracts.identity import Partition
from cityledger.errors import BadInputError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from cityledger.records import Decision, ModelResult, Release
    from cityledger.runner import Runner

STEWARD_TIME = timedelta(days=30)
_INDICATOR_TABLE = "indicators.fct_indicator_value"


class ExtractLandOperator(LineageMixin, BaseOperator):
    """Fetch one partition's files and land them; the receipt is the commit mark.

    Args:
        dataset: ``<department>.<dataset>``.
    """

    def __init__(self, *, dataset: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset

    def execute(self, context: Context) -> dict[str, Any]:
        """Extract and land.

        Raises:
            BadInputError: the run has no partition key, or there is nothing to fetch.
        """
        receipt = _runner(context).extract_land(self.dataset, _partition(context))
        self.read = delivered_files(receipt.objects)
        self.written = stored_objects(receipt.objects)
        return {
            "delivery": receipt.delivery,
            "files": len(receipt.objects),
            "bytes": sum(item.size for item in receipt.objects),
            "declared_rows": receipt.declared_rows,
        }


class SplitOperator(BaseOperator):
    """Plan the parts of a large delivery; none for one that is judged as a whole.

    Args:
        dataset: ``<department>.<dataset>``.
        delivery: The landed delivery; the partition's newest when None.
    """

    template_fields: Sequence[str] = ("delivery",)

    def __init__(self, *, dataset: str, delivery: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.delivery = delivery

    def execute(self, context: Context) -> list[int]:
        """The numbers of the parts."""
        return list(_runner(context).split(self.dataset, _partition(context), self.delivery))


class ParsePartOperator(BaseOperator):
    """Parse one part of a large delivery; its mark, written last, is the commit mark.

    Args:
        dataset: ``<department>.<dataset>``.
        number: Of the part.
        delivery: The landed delivery; the partition's newest when None.
    """

    template_fields: Sequence[str] = ("delivery",)

    def __init__(
        self, *, dataset: str, number: int, delivery: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.number = number
        self.delivery = delivery

    def execute(self, context: Context) -> dict[str, Any]:
        """Parse the part."""
        mark = _runner(context).parse_part(
            self.dataset, _partition(context), self.number, self.delivery
        )
        return {"part": self.number, "parsed": mark.parsed, "unusable": mark.unusable}


class ParseValidateOperator(LineageMixin, BaseOperator):
    """Account for every record of a delivery: validated, quarantined or rejected.

    Args:
        dataset: ``<department>.<dataset>``.
        delivery: The landed delivery; the partition's newest when None.
        in_parts: Gather it from its parts, if it has any.
    """

    template_fields: Sequence[str] = ("delivery",)

    def __init__(
        self, *, dataset: str, delivery: str | None = None, in_parts: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.delivery = delivery
        self.in_parts = in_parts

    def execute(self, context: Context) -> dict[str, Any]:
        """Parse and validate in one pass."""
        validation = _runner(context).parse_validate(
            self.dataset, _partition(context), self.delivery, in_parts=self.in_parts
        )
        self.read = stored_objects(validation.inputs)
        self.written = stored_objects(
            (validation.validated, validation.quarantined, validation.rejected)
        )
        broken = {result.key: result.failed for result in validation.results if result.failed}
        return {
            "delivery": validation.delivery,
            **validation.accounting.model_dump(),
            "broken_rules": broken,
            "drift": list(validation.drift),
        }


class ReleaseOperator(LineageMixin, ApprovalOperator):
    """Let a validated delivery through the gate, or wait until a steward decides.

    While the gate holds, the task waits without a process; the steward finds the reasons on
    Airflow's page under *Required Actions*. Nobody is asked when the gate is open.

    Args:
        dataset: ``<department>.<dataset>``.
        delivery: The validated delivery; the partition's newest when None.
    """

    template_fields: Sequence[str] = ("delivery",)

    def __init__(self, *, dataset: str, delivery: str | None = None, **kwargs: Any) -> None:
        reason = Param(
            "",
            type="string",
            title="理由 Reason",
            description="必填 Required; kept with the decision and part of the evidence.",
        )
        super().__init__(
            subject=f"{dataset}: 数据批次待裁决 a held batch needs your decision",
            params={"reason": reason},
            response_timeout=STEWARD_TIME,
            **kwargs,
        )
        self.dataset = dataset
        self.delivery = delivery

    def execute(self, context: Context) -> dict[str, Any]:
        """Release, or ask the steward."""
        release = self._release(context, None)
        if not release.released:
            self.subject = f"{self.subject} ({release.partition})"
            self.body = _reasons(release)
            super().execute(context)  # leaves by an exception; execute_complete takes over
        return self._done(context, release)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Carry out what the steward decided; ask again if the reason is missing.

        Raises:
            AirflowFailException: the steward rejected the batch, another steward had decided
                otherwise before, or nobody decided in time.
        """
        from cityledger.lifecycle.release import AlreadyDecidedError

        if event.get("error_type") == "timeout":
            return self._carry_out(context, _silence())
        answer = super().execute_complete(context, event)
        try:
            decision = _decision(answer, approved=answer["chosen_options"] == [self.APPROVE])
        except BadInputError as error:
            self.log.warning("%s; asking again", error)
            return self.execute(context)
        try:
            return self._carry_out(context, decision)
        except AlreadyDecidedError as error:
            if error.standing.released != decision.approved:
                raise AirflowFailException(str(error)) from error
            self.log.warning("%s", error)
            return self._done(context, error.standing)

    def _carry_out(self, context: Context, decision: Decision) -> dict[str, Any]:
        release = self._release(context, decision)
        if not release.released:
            raise AirflowFailException(
                f"{self.dataset} {release.partition}: {_rejection(decision)}"
            )
        return self._done(context, release)

    def _release(self, context: Context, decision: Decision | None) -> Release:
        return _runner(context).release(self.dataset, _partition(context), self.delivery, decision)

    def _done(self, context: Context, release: Release) -> dict[str, Any]:
        self.read = self.written = stored_objects([release.validated])
        summary: dict[str, Any] = {
            "delivery": release.delivery,
            "rows": release.rows,
            "reasons": list(release.reasons),
            "decided_by": release.decision.decided_by if release.decision else None,
        }
        for asset in self.outlets:
            context["outlet_events"][asset].extra = summary
        return summary


class StandardiseOperator(LineageMixin, BaseOperator):
    """One dbt build over all released deliveries that are not yet in the tables."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Standardise.

        Raises:
            AirflowSkipException: nothing has been released since the last build.
        """
        runner = _runner(context)
        built = runner.standardise()
        if built is None:
            raise AirflowSkipException("nothing has been released since the last build")
        self.read = stored_objects(release.validated for release in runner.journal.released())
        self.written = lake_tables(runner.settings, built.digests, built.snapshot_id)
        self.log.info("%s", _model_table(built.models))
        broken = {result.key: result.failed for result in built.results if result.failed}
        return {
            "snapshot_id": built.snapshot_id,
            "broken_rules": broken,
            "staged": [staged.model_dump() for staged in built.staged],
            "models": [
                model.model_dump(include={"name", "layer", "status", "rows", "seconds"})
                for model in built.models
            ],
        }


class PublishOperator(LineageMixin, BaseOperator):
    """Publish the indicator table of the newest build, if that has not been done."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Publish.

        Raises:
            AirflowSkipException: the newest build is published already.
        """
        runner = _runner(context)
        newest = runner.journal.latest_standardisation()
        if newest is None or runner.journal.find_publication(newest.snapshot_id) is not None:
            raise AirflowSkipException("the newest build is published already")
        published = runner.publish()
        if published is None:
            raise AirflowSkipException("nothing has been built yet")
        self.read = lake_tables(runner.settings, [_INDICATOR_TABLE], published.snapshot_id)
        self.written = stored_objects(published.objects)
        return {
            "snapshot_id": published.snapshot_id,
            "rows": published.rows,
            "content_sha256": published.content_sha256,
            "objects": [ref.uri for ref in published.objects],
        }


def _runner(context: Context) -> Runner:
    from cityledger.runner import Runner

    return Runner.from_settings(parent=parent_of_stages(context["ti"]))


def _partition(context: Context) -> str:
    key = context.get("partition_key")
    if not key:
        raise BadInputError(
            "this run has no partition key, so it is not clear which period to fetch",
            where=f"run {context['run_id']}",
            fix="trigger the DAG with a partition key such as 2026-03-31, or run a backfill",
            code="no_partition_key",
        )
    return str(Partition.parse(key))


def _decision(answer: Any, *, approved: bool) -> Decision:
    from cityledger.lifecycle.release import steward_decision
    from cityledger.records import Channel

    user = answer["responded_by_user"]
    if user is None:  # Airflow answers with the default itself when time runs out
        return _silence()
    return steward_decision(
        approved=approved,
        by=user["name"],
        reason=str(answer["params_input"].get("reason") or ""),
        at=answer["responded_at"],
        channel=Channel.AIRFLOW,
    )


def _silence() -> Decision:
    from cityledger.records import Channel, Decision

    return Decision(
        approved=False,
        decided_by="cityledger",
        reason=f"no steward decided within {STEWARD_TIME.days} days",
        decided_at=datetime.now(UTC),
        channel=Channel.TIMEOUT,
    )


def _rejection(decision: Decision) -> str:
    from cityledger.records import Channel

    if decision.channel is Channel.TIMEOUT:
        return f"{decision.reason}; the batch stays held → clear this task to ask again"
    return (
        f"{decision.decided_by} rejected the batch ({decision.reason}) → "
        "have the department deliver again, then clear this run's extract_land"
    )


def _reasons(release: Release) -> str:
    reasons = "\n".join(f"* {reason}" for reason in release.reasons)
    return (
        f"**{release.dataset}**, partition **{release.partition}**, {release.rows} good rows, "
        f"delivery `{release.delivery}`.\n\n门禁未通过 The gate holds this batch because:\n\n"
        f"{reasons}\n\n"
        "* **Approve** 放行: the good rows are used; quarantined rows stay in quarantine\n"
        "* **Reject** 退回: nothing of this delivery is used; the department delivers again\n"
    )


def _model_table(models: Sequence[ModelResult]) -> str:
    lines = [f"{len(models)} dbt nodes: status, seconds, rows, layer, name"]
    for model in models:
        rows = "" if model.rows is None else f"{model.rows:,}"
        why = f": {model.message}" if model.message and model.status != "success" else ""
        lines.append(
            f"  {model.status:8} {model.seconds:7.2f} {rows:>12}  {model.layer:10} "
            f"{model.name}{why}"
        )
    return "\n".join(lines)
