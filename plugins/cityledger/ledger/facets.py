"""OpenLineage facets of our runs and datasets."""

from __future__ import annotations

import attr
from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    InputDatasetFacet,
    OutputDatasetFacet,
    RunFacet,
    data_quality_assertions_dataset,
    data_quality_metrics_input_dataset,
    dataset_version_dataset,
    error_message_run,
    input_statistics_input_dataset,
    output_statistics_output_dataset,
    schema_dataset,
)

from cityledger import __version__
from cityledger.contracts.model import Severity
from cityledger.errors import CityLedgerError
from cityledger.ledger.expectations import Declares, Pattern
from cityledger.ledger.identity import Data
from cityledger.masking import scrub
from cityledger.records import Release, RuleResult, RuleStatus

# URNs: they name, nothing is fetched from them.
PRODUCER = f"urn:cityledger:producer:{__version__}"
_STAGE_FACET = "urn:cityledger:facet:stage-run:1"
_DECLARES_FACET = "urn:cityledger:facet:declares:1"
_DECISION_FACET = "urn:cityledger:facet:decision-run:1"

_SEVERITY = {Severity.BLOCK: "error", Severity.WARN: "warn", Severity.INFO: "info"}


@attr.define
class StageRunFacet(RunFacet):
    """Which delivery a run worked on, under which contract (key ``cityledger_stage``)."""

    stage: str
    dataset: str
    partition: str
    delivery: str | None = attr.field(default=None)
    contract: dict[str, str] | None = attr.field(default=None)

    @staticmethod
    def _get_schema() -> str:
        return _STAGE_FACET


@attr.define
class DecisionRunFacet(RunFacet):
    """What a steward decided on a held batch (key ``cityledger_decision``).

    Attributes:
        objections: Why the gate held the batch.
        decided_at: ISO 8601 with an offset.
    """

    approved: bool
    decided_by: str
    decided_at: str
    reason: str
    channel: str
    objections: list[str]

    @staticmethod
    def _get_schema() -> str:
        return _DECISION_FACET


def decision_facet(verdict: Release) -> dict[str, RunFacet]:
    """The steward's decision of a verdict, under its key; nothing when the gate decided."""
    decision = verdict.decision
    if decision is None:
        return {}
    facet = DecisionRunFacet(
        approved=decision.approved,
        decided_by=decision.decided_by,
        decided_at=decision.decided_at.isoformat(),
        reason=decision.reason,
        channel=decision.channel.value,
        objections=list(verdict.reasons),
        producer=PRODUCER,
    )
    return {"cityledger_decision": facet}


@attr.define
class DeclaresRunFacet(RunFacet):
    """What a run said beforehand that it would touch (key ``cityledger_declares``)."""

    inputs: list[dict[str, str]]
    outputs: list[dict[str, str]]
    children: list[dict[str, str]]

    @staticmethod
    def _get_schema() -> str:
        return _DECLARES_FACET


def declares_facet(declares: Declares) -> DeclaresRunFacet:
    """The facet for what a run declares."""

    def named(patterns: tuple[Pattern, ...]) -> list[dict[str, str]]:
        return [{"namespace": namespace, "name": name} for namespace, name in patterns]

    return DeclaresRunFacet(
        inputs=named(declares.inputs),
        outputs=named(declares.outputs),
        children=named(declares.children),
        producer=PRODUCER,
    )


def input_dataset(data: Data) -> InputDataset:
    """A dataset that a run read."""
    facets: dict[str, InputDatasetFacet] = {}
    if data.rows is not None or data.size is not None:
        facets["inputStatistics"] = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
            rowCount=data.rows, size=data.size, producer=PRODUCER
        )
        facets["dataQualityMetrics"] = (
            data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(
                columnMetrics={}, rowCount=data.rows, bytes=data.size, producer=PRODUCER
            )
        )
    if data.results:
        facets["dataQualityAssertions"] = _assertions(data.results)
    return InputDataset(data.namespace, data.name, facets=_common(data), inputFacets=facets)


def output_dataset(data: Data) -> OutputDataset:
    """A dataset that a run wrote."""
    facets: dict[str, OutputDatasetFacet] = {}
    if data.rows is not None or data.size is not None:
        facets["outputStatistics"] = (
            output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=data.rows, size=data.size, producer=PRODUCER
            )
        )
    return OutputDataset(data.namespace, data.name, facets=_common(data), outputFacets=facets)


def error_facet(error: BaseException) -> error_message_run.ErrorMessageRunFacet:
    """Why a run failed; a foreign exception is named only, its text may hold values or secrets."""
    if isinstance(error, CityLedgerError):
        message = scrub(f"{error.code}: {error}")
    else:
        message = f"{type(error).__module__}.{type(error).__qualname__}"
    return error_message_run.ErrorMessageRunFacet(
        message=message, programmingLanguage="PYTHON", producer=PRODUCER
    )


def _common(data: Data) -> dict[str, DatasetFacet]:
    facets: dict[str, DatasetFacet] = {}
    if data.version is not None:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(
            datasetVersion=data.version, producer=PRODUCER
        )
    if data.fields:
        facets["schema"] = schema_dataset.SchemaDatasetFacet(
            fields=[
                schema_dataset.SchemaDatasetFacetFields(
                    name=field.name,
                    type=field.type,
                    description=field.description or None,
                    ordinal_position=position,
                )
                for position, field in enumerate(data.fields, start=1)
            ],
            producer=PRODUCER,
        )
    if data.columns is not None:
        facets["columnLineage"] = data.columns
    return facets


def _assertions(
    results: tuple[RuleResult, ...],
) -> data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet:
    return data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
        assertions=[_assertion(result) for result in results], producer=PRODUCER
    )


def _assertion(result: RuleResult) -> data_quality_assertions_dataset.Assertion:
    return data_quality_assertions_dataset.Assertion(
        assertion=result.rule,
        success=result.failed == 0 and result.status is not RuleStatus.ERROR,
        column=result.columns[0] if result.columns else None,
        severity=_SEVERITY[result.severity],
        name=result.key,
        expected=_expected(result),
        actual=f"{result.failed} of {result.evaluated} failed",
        params={
            "status": result.status.value,
            "dimension": result.dimension,
            "gbCode": result.gb_code,
        },
    )


def _expected(result: RuleResult) -> str:
    if result.threshold is None:
        return "0 failed"
    return f"at most {result.threshold:g} {result.threshold_unit or 'rows'} failed"
