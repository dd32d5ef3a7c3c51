"""Scores as they are stored: one card for each validation, and for each table of a build.

A card belongs to the configuration that made it (``config_sha256``). A changed configuration adds
cards beside the old ones; nothing is rewritten, so a score that somebody was shown can be found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, and_, func, insert, select

from cityledger.contracts.identity import Partition
from cityledger.contracts.model import Scope, ServiceLevel, Severity
from cityledger.contracts.working_days import WorkingDays
from cityledger.ledger.deliveries import ZONE, due_at
from cityledger.ledger.house import House
from cityledger.records import (
    RuleResult,
    RuleStatus,
    Standardisation,
    Validation,
)
from cityledger.storage import tables
from cityledger.storage.database import Database
from quality_checks.scoring import ScoreCard, score

_BROKEN = (RuleStatus.FAILED, RuleStatus.ERROR)


@dataclass(frozen=True, slots=True)
class _Landing:
    """When the deliveries of a partition landed.

    Attributes:
        sequence: Of the delivery that is scored; 0 when it is not known to have landed.
        first_at: Landing of the partition's first delivery.
    """

    sequence: int = 0
    first_at: datetime | None = None


class ScoreBook:
    """Computes scores and keeps them.

    Args:
        database: Holds the journals.
        contracts_dir: For ``scoring.yaml``, working days and promises of delivery.
    """

    def __init__(self, database: Database, contracts_dir: Path) -> None:
        self._database = database
        self._house = House(contracts_dir)

    def save_validation(self, validation: Validation) -> ScoreCard | None:
        """Score the newest stored validation of a delivery; the same score twice is kept once.

        Returns:
            The card; None when no such validation has been stored.

        Raises:
            ContractError: ``scoring.yaml`` or ``working_days.yaml`` is wrong.
        """
        with self._database.begin() as connection:
            run = connection.scalar(_newest_validation(validation))
            if run is None:
                return None
            return self._score_run(connection, run, validation)

    def save_standardisation(self, standardisation: Standardisation) -> None:
        """Score the tables that the newest stored build of this snapshot has checked."""
        table = tables.standardisation
        query = select(func.max(table.c.id)).where(
            table.c.snapshot_id == standardisation.snapshot_id
        )
        with self._database.begin() as connection:
            build = connection.scalar(query)
            if build is not None:
                self._score_build(connection, build)

    def rebuild(self) -> int:
        """Score everything that has no score under the present configuration; how many that were.

        One transaction each, so that a large journal can be interrupted and taken up again.
        """
        added = 0
        with self._database.begin() as connection:
            config = self._house.scoring().sha256
            runs = _ids(connection, tables.validation, "validation_id", config)
            builds = _ids(connection, tables.standardisation, "standardisation_id", config)
        for run in runs:
            with self._database.begin() as connection:
                record = connection.scalar(
                    select(tables.validation.c.record).where(tables.validation.c.id == run)
                )
                self._score_run(connection, run, Validation.model_validate(record))
                added += 1
        for build in builds:
            with self._database.begin() as connection:
                added += self._score_build(connection, build)
        return added

    def _score_run(self, connection: Connection, run: int, validation: Validation) -> ScoreCard:
        contract = self._house.contract(validation.dataset)
        landing = _landing(connection, validation)
        facts = tuple(
            delivery_facts(
                validation,
                landing.first_at,
                contract.service_level if contract else None,
                self._house.working_days(),
            )
        )
        config = self._house.scoring()
        card = score((*validation.results, *facts), config)
        period = Partition.parse(validation.partition)
        row = {
            "subject": validation.dataset,
            "partition": validation.partition,
            "period_end": period.end,
            "sequence": landing.sequence,
            "delivery": validation.delivery,
            "validation_id": run,
            "contract_sha256": validation.contract_sha256,
            "accounting": validation.accounting.model_dump(mode="json"),
            "facts": [fact.model_dump(mode="json") for fact in facts],
        }
        _append(connection, row | _columns(card, validation.results), {"validation_id": run})
        return card

    def _score_build(self, connection: Connection, build: int) -> int:
        config = self._house.scoring()
        table = tables.standardisation
        at: datetime = connection.execute(
            select(table.c.saved_at).where(table.c.id == build)
        ).scalar_one()
        added = 0
        for subject, results in _table_results(connection, build).items():
            row = {
                "subject": subject,
                "partition": "",
                "period_end": at.astimezone(ZONE).date(),
                "sequence": 0,
                "delivery": "",
                "standardisation_id": build,
                "contract_sha256": "",
                "accounting": None,
                "facts": [],
            }
            key = {"standardisation_id": build, "subject": subject}
            added += _append(connection, row | _columns(score(results, config), results), key)
        return added


def delivery_facts(
    validation: Validation,
    first_at: datetime | None,
    promise: ServiceLevel | None,
    working_days: WorkingDays,
) -> Iterator[RuleResult]:
    """Verdicts on a delivery itself, which no rule of the contract gives.

    Args:
        validation: Its counts.
        first_at: When the partition's first delivery landed: a correction is no second delay.
        promise: From the contract; None when there is none any more.
        working_days: For a latency in working days.

    Yields:
        ``readable`` (0602): records that could be read, of those that are no total rows or notes;
        ``complete`` (0202), if the department declared a number: whether as many came;
        ``on_time`` (0502): whether the partition came when it was due.
    """
    counts = validation.accounting
    records = counts.extracted - counts.expected_rejects
    if records:
        unreadable = counts.rejected - counts.expected_rejects
        yield _fact(validation, "readable", "0602", "accessibility", records, unreadable)
    if counts.declared is not None:
        wrong = int(counts.declared != counts.extracted)
        yield _fact(validation, "complete", "0202", "completeness", 1, wrong)
    if first_at is not None and promise is not None:
        due = due_at(Partition.parse(validation.partition).end, promise, working_days)
        yield _fact(validation, "on_time", "0502", "timeliness", 1, int(first_at > due))


def _fact(
    validation: Validation, name: str, code: str, dimension: str, evaluated: int, failed: int
) -> RuleResult:
    return RuleResult(
        key=f"{validation.dataset}._delivery.{name}",
        rule=name,
        columns=(),
        scope=Scope.DATASET,
        severity=Severity.INFO,
        gb_code=code,
        dimension=dimension,
        evaluated=evaluated,
        failed=failed,
        status=RuleStatus.WARNING if failed else RuleStatus.PASSED,
    )


def _columns(card: ScoreCard, results: Sequence[RuleResult]) -> dict[str, Any]:
    counts = sorted(card.tally.counts.items())
    return {
        "config_sha256": card.config_sha256,
        "codes": [code for code, _ in counts],
        "evaluated": [count.evaluated for _, count in counts],
        "failed": [count.failed for _, count in counts],
        "rules": [count.rules for _, count in counts],
        "broken": sum(result.status in _BROKEN for result in results),
        "scores": card.scores.model_dump(mode="json"),
        "record": card.model_dump(mode="json"),
    }


def _append(connection: Connection, row: Mapping[str, Any], key: Mapping[str, Any]) -> int:
    """Add a score unless it equals the newest of its key; 1 if it was added, else 0."""
    table = tables.score
    turn = "/".join(["score", *map(str, key.values())])
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(turn, 0))))
    newest = (
        select(table.c.config_sha256, table.c.record, table.c.sequence)
        .where(*(table.c[name] == value for name, value in key.items()))
        .order_by(table.c.id.desc())
        .limit(1)
    )
    known = connection.execute(newest).first()
    if known == (row["config_sha256"], row["record"], row["sequence"]):
        return 0
    connection.execute(insert(table).values(**row))
    return 1


def _newest_validation(validation: Validation) -> Any:
    table = tables.validation
    return select(func.max(table.c.id)).where(
        table.c.dataset == validation.dataset,
        table.c.partition == validation.partition,
        table.c.delivery == validation.delivery,
        table.c.contract_sha256 == validation.contract_sha256,
    )


def _landing(connection: Connection, validation: Validation) -> _Landing:
    table = tables.delivery
    rows = connection.execute(
        select(table.c.delivery, table.c.sequence, table.c.landed_at)
        .where(table.c.dataset == validation.dataset, table.c.partition == validation.partition)
        .order_by(table.c.sequence)
    ).all()
    if not rows:
        return _Landing()
    sequences = {row.delivery: row.sequence for row in rows}
    return _Landing(sequences.get(validation.delivery, 0), rows[0].landed_at)


def _table_results(connection: Connection, build: int) -> dict[str, list[RuleResult]]:
    table = tables.table_result
    query = select(table.c.subject, table.c.record).where(table.c.standardisation_id == build)
    found: dict[str, list[RuleResult]] = {}
    for row in connection.execute(query.order_by(table.c.id)):
        found.setdefault(row.subject, []).append(RuleResult.model_validate(row.record))
    return found


def _ids(connection: Connection, table: Any, column: str, config: str) -> Iterable[int]:
    """Ids of a journal's rows that have no score under a configuration, oldest first."""
    scored = tables.score
    match = and_(scored.c[column] == table.c.id, scored.c.config_sha256 == config)
    query = select(table.c.id).where(~select(scored.c.id).where(match).exists())
    return connection.scalars(query.order_by(table.c.id)).all()
