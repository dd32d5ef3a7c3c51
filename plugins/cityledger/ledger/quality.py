"""Quality as pages show it: city, department, dataset, run.

Everything is read from what the journals hold; nothing is computed from data again. A page asks one
method and gets one record (``quality_records``). Figures describe a window that ends on a day (the
partitions that count on it, see ``deliveries.SPANS``), by what is known now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection

from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError
from cityledger.ledger import quality_queries as queries
from cityledger.ledger.deliveries import (
    SPANS,
    ZONE,
    count,
    delivery,
    state,
)
from cityledger.ledger.house import House
from cityledger.ledger.journal import Journal
from cityledger.ledger.promises import promises_of, ranges
from cityledger.ledger.quality_records import (
    BrokenRule,
    Changes,
    CityView,
    DatasetStanding,
    DatasetView,
    Delivery,
    DeliveryState,
    DepartmentStanding,
    DepartmentView,
    GradeChange,
    RulePoint,
    RuleStanding,
    RunSummary,
    RunView,
    Scores,
    TableResult,
    TableStanding,
)
from cityledger.ledger.standing import Picture, Standing, last_days, total
from cityledger.ledger.sums import Sums
from cityledger.records import Receipt, Release, RuleResult, RuleStatus, Validation
from cityledger.settings import Settings
from cityledger.storage import tables
from cityledger.storage.database import Database
from cityledger.storage.shelf import Mark, Shelf
from quality_checks.scoring import ScoreCard, brief, build_card

_DAY = timedelta(days=1)
_JOURNALS = (
    tables.score,
    tables.delivery,
    tables.release,
    tables.validation,
    tables.standardisation,
)
_VIEWS = 200  # of some 100 kB each
_View = TypeVar("_View")
_LATE = (DeliveryState.LATE, DeliveryState.MISSING)


def _now() -> datetime:
    return datetime.now(UTC)


class QualityStore:
    """Answers the questions of the pages; safe for several threads.

    Args:
        database: Holds the journals.
        contracts_dir: Contracts, city, scoring, working days; read again when they change.
        clock: What time it is, with a zone.
    """

    def __init__(
        self, database: Database, contracts_dir: Path, clock: Callable[[], datetime] = _now
    ) -> None:
        self._database, self._clock = database, clock
        self._house = House(contracts_dir)
        self._journal = Journal(database)
        self._views = Shelf(_VIEWS)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The store of an installation."""
        return cls(Database.from_settings(settings), settings.contracts_dir)

    def today(self) -> date:
        """The date in Asia/Shanghai."""
        return self._clock().astimezone(ZONE).date()

    def newest_day(self, department: str | None = None) -> date | None:
        """Last day of the newest period that was scored; None when nothing was."""
        datasets = [*_of_department(self._house.contracts, department)]
        with self._database.begin() as connection:
            return queries.newest_day(connection, datasets)

    # --- pages -----------------------------------------------------------------------------------

    def city(self, day: date | None = None, *, trend_days: int = 30) -> CityView:
        """The city overview for the window that ends on a day (the newest, if none is given)."""
        return self._kept(("city", day, trend_days), lambda: self._city(day, trend_days))

    def _city(self, day: date | None, trend_days: int) -> CityView:
        day, until = self._day(day)
        contracts, now = self._house.contracts, self._clock()
        config = self._house.scoring()
        with self._database.begin() as connection:
            picture = self._picture(connection, contracts, day, trend_days, now)
            tables = self._tables(connection, contracts)
            changes = self._since_yesterday(connection, contracts, picture, day, until)
        standings = picture.standings
        sums = {dataset: one.sums(day, now) for dataset, one in standings.items()}
        datasets = tuple(
            self._dataset_standing(contract, standings[dataset], sums[dataset], day)
            for dataset, contract in contracts.items()
        )
        return CityView(
            day=day,
            card=build_card(total(sums.values()).tally(), config),
            departments=tuple(self._departments(datasets, sums)),
            datasets=datasets,
            tables=tables,
            trend=picture.trend(last_days(day, trend_days), now, config),
            changes=changes,
        )

    def department(
        self, department: str, day: date | None = None, *, trend_days: int = 30
    ) -> DepartmentView:
        """A department's page.

        Raises:
            BadInputError: there is no such department.
        """
        question = ("department", department, day, trend_days)
        return self._kept(question, lambda: self._department(department, day, trend_days))

    def _department(self, department: str, day: date | None, trend_days: int) -> DepartmentView:
        day, until = self._day(day)
        contracts, now = _of_department(self._house.contracts, department), self._clock()
        name, name_en = self._department_name(department, known=bool(contracts))
        config = self._house.scoring()
        with self._database.begin() as connection:
            picture = self._picture(connection, contracts, day, trend_days, now)
            changes = self._since_yesterday(connection, contracts, picture, day, until)
        standings = picture.standings
        sums = {dataset: one.sums(day, now) for dataset, one in standings.items()}
        return DepartmentView(
            day=day,
            department=department,
            name=name,
            name_en=name_en,
            card=build_card(total(sums.values()).tally(), config),
            datasets=tuple(
                self._dataset_standing(contract, standings[dataset], sums[dataset], day)
                for dataset, contract in contracts.items()
            ),
            trend=picture.trend(last_days(day, trend_days), now, config),
            changes=changes,
            deliveries=tuple(
                delivery(dataset, one, standing.arrivals.get(one.partition), now)
                for dataset, standing in standings.items()
                for one in standing.promises_on(day)
            ),
        )

    def dataset(
        self,
        dataset: str,
        day: date | None = None,
        *,
        trend_days: int = 30,
        run_limit: int = 30,
        history: int = 14,
    ) -> DatasetView:
        """A dataset's page.

        Args:
            dataset: Its id.
            day: Last day of the window; the newest, if none is given.
            trend_days: Points of the trend.
            run_limit: Runs to list.
            history: Runs to show of each rule; at most ``run_limit``.

        Raises:
            BadInputError: there is neither a contract nor a run of that name.
        """
        question = ("dataset", dataset, day, trend_days, run_limit, history)
        return self._kept(
            question, lambda: self._dataset(dataset, day, trend_days, run_limit, history)
        )

    def _dataset(
        self, dataset: str, day: date | None, trend_days: int, run_limit: int, history: int
    ) -> DatasetView:
        now, day = self._clock(), self._day(day)[0]
        contract = self._house.contract(dataset)
        with self._database.begin() as connection:
            listed = queries.runs(connection, dataset, run_limit)
            if contract is None and not listed:
                raise _unknown_dataset(dataset)
            picture = self._alone(connection, dataset, contract, day, trend_days, now)
            rules = _rules(connection, listed[:history])
            table_rules = queries.table_results(connection, dataset)
        config = self._house.scoring()
        standing = picture.standings[dataset]
        promises = standing.promises_on(day)
        return DatasetView(
            day=day,
            dataset=dataset,
            department=DatasetId.parse(dataset).department,
            title=contract.title if contract else dataset,
            card=build_card(standing.sums(day, now).tally(), config),
            counts=count(promises, standing.arrivals, now),
            runs=tuple(map(_run_summary, listed)),
            rules=rules,
            table_rules=tuple(map(_table_result, table_rules)),
            deliveries=tuple(
                delivery(dataset, one, standing.arrivals.get(one.partition), now)
                for one in promises
            ),
            trend=picture.trend(last_days(day, trend_days), now, config),
        )

    def runs(self, dataset: str, limit: int = 30) -> tuple[RunSummary, ...]:
        """The newest runs of a dataset, newest first."""
        with self._database.begin() as connection:
            return tuple(map(_run_summary, queries.runs(connection, dataset, limit)))

    def run(self, number: int) -> RunView:
        """One validation with everything that it left.

        Raises:
            BadInputError: there is no such run.
        """
        with self._database.begin() as connection:
            found = queries.run(connection, number)
        if found is None:
            raise BadInputError(
                f"there is no run {number}", fix="choose one from a dataset's page", code="no_run"
            )
        validation = Validation.model_validate(found["record"])
        outcomes = self._journal.outcomes(validation.dataset, validation.partition)
        return RunView(
            run=number,
            at=found["saved_at"],
            validation=validation,
            card=ScoreCard.model_validate(found["card"]) if found["card"] else None,
            facts=tuple(map(RuleResult.model_validate, found["facts"] or ())),
            receipt=Receipt.model_validate(found["receipt"]) if found["receipt"] else None,
            release=Release.model_validate(found["release"]) if found["release"] else None,
            outcomes=tuple(one for one in outcomes if one.delivery in (None, validation.delivery)),
        )

    def rule_history(self, dataset: str, key: str, limit: int = 90) -> tuple[RulePoint, ...]:
        """The verdicts of one rule in the newest runs of a dataset, oldest first."""
        with self._database.begin() as connection:
            listed = queries.runs(connection, dataset, limit)
            rows = queries.history(connection, _ids(listed), key)
        by_run = {one["validation_id"]: one for one in listed}
        return tuple(_point(row, by_run) for row in rows)

    def deliveries(self, dataset: str, start: date, end: date) -> tuple[Delivery, ...]:
        """The calendar of a dataset: partitions whose periods end within the days, oldest first.

        Raises:
            BadInputError: the dataset has no contract, hence no promise.
        """
        contract = self._house.contract(dataset)
        if contract is None:
            raise _unknown_dataset(dataset)
        now = self._clock()
        with self._database.begin() as connection:
            working = self._house.working_days()
            made = promises_of(connection, {dataset: contract}, {dataset: start}, end, now, working)
            promises = made[dataset]
            landed = queries.arrivals(connection, ranges({dataset: promises}))
        arrivals = landed.get(dataset, {})
        return tuple(delivery(dataset, one, arrivals.get(one.partition), now) for one in promises)

    def changes(self, since: datetime, until: datetime | None = None) -> Changes:
        """What changed between two moments (now, if no end is given)."""
        until = until or self._clock()
        contracts = self._house.contracts
        days = (since.astimezone(ZONE).date(), until.astimezone(ZONE).date())
        with self._database.begin() as connection:
            return self._compare(connection, contracts, None, since, until, *days)

    def card(
        self, *, dataset: str | None = None, department: str | None = None, day: date | None = None
    ) -> ScoreCard:
        """The card of a dataset, a department, or the city, over the window that ends on a day.

        Raises:
            BadInputError: there is no such dataset or department.
        """
        now, day = self._clock(), self._day(day)[0]
        contracts = self._chosen(dataset, department)
        with self._database.begin() as connection:
            picture = self._picture(connection, contracts, day, 1, now)
        sums = (standing.sums(day, now) for standing in picture.standings.values())
        return build_card(total(sums).tally(), self._house.scoring())

    def partition_card(self, dataset: str, partition: str) -> ScoreCard | None:
        """The stored card of a partition's newest delivery; None when it has none."""
        with self._database.begin() as connection:
            found = queries.partition_card(connection, dataset, partition)
        return None if found is None else ScoreCard.model_validate(found)

    def _day(self, day: date | None) -> tuple[date, datetime]:
        """The last day of a page's window, and until when its changes are told.

        Without a day it is the newest that has a score anywhere in the city, up to now: today's
        period has not ended, and a department that stopped delivering is to be seen beside the
        others. The data of a day come on the day after, so a given day's changes end with that.
        """
        now = self._clock()
        if day is None:
            return self.newest_day() or self.today(), now
        return day, min(now, datetime.combine(day + 2 * _DAY, time(), ZONE))

    def _kept(self, question: tuple[object, ...], make: Callable[[], _View]) -> _View:
        """A page's record, made anew when a journal or a contract changes, and every minute.

        Deliveries become late on the minute, and what changed within a day moves with the clock.
        """
        minute = self._clock().replace(second=0, microsecond=0)
        with self._database.begin() as connection:
            mark = Mark.of(connection, *_JOURNALS)
        return self._views.get((*question, minute, self._house.state), mark, make)

    # --- standings -------------------------------------------------------------------------------

    def _chosen(self, dataset: str | None, department: str | None) -> dict[str, Contract]:
        if dataset is not None:
            contract = self._house.contract(dataset)
            if contract is None:
                raise _unknown_dataset(dataset)
            return {dataset: contract}
        contracts = _of_department(self._house.contracts, department)
        if department is not None:
            self._department_name(department, known=bool(contracts))
        return contracts

    def _alone(
        self,
        connection: Connection,
        dataset: str,
        contract: Contract | None,
        day: date,
        days: int,
        now: datetime,
    ) -> Picture:
        """One dataset; without a contract it has scores, but owes nothing."""
        if contract is not None:
            return self._picture(connection, {dataset: contract}, day, days, now)
        spans = {dataset: SPANS["day"]}
        sums, daily = queries.windows(connection, spans, day, days)
        return Picture({dataset: Standing(window=sums[dataset])}, daily)

    def _picture(
        self,
        connection: Connection,
        contracts: Mapping[str, Contract],
        day: date,
        days: int,
        now: datetime,
    ) -> Picture:
        """What is known about datasets, as far back as the windows of the last days reach."""
        spans = {
            dataset: SPANS[contract.service_level.grain] for dataset, contract in contracts.items()
        }
        sums, daily = queries.windows(connection, spans, day, days)
        newest = queries.newest(connection, spans, day)
        starts = {dataset: day - timedelta(days=span + days - 2) for dataset, span in spans.items()}
        working = self._house.working_days()
        promises = promises_of(connection, contracts, starts, day, now, working)
        landed = queries.arrivals(connection, ranges(promises))
        standings = {
            dataset: Standing(
                span=span,
                window=sums[dataset],
                newest=newest.get(dataset),
                promises=promises[dataset],
                arrivals=landed.get(dataset, {}),
            )
            for dataset, span in spans.items()
        }
        _add_tables(standings, queries.tables(connection))
        return Picture(standings, daily)

    def _dataset_standing(
        self, contract: Contract, standing: Standing, sums: Sums, day: date
    ) -> DatasetStanding:
        newest = standing.newest
        return DatasetStanding(
            dataset=str(contract.id),
            department=contract.id.department,
            title=contract.title,
            scores=brief(sums.tally(), self._house.scoring()),
            deliveries=count(standing.promises_on(day), standing.arrivals, self._clock()),
            newest_partition=newest.partition if newest else None,
            scored_at=newest.saved_at if newest else None,
            broken_rules=newest.broken if newest else 0,
        )

    def _departments(
        self, datasets: Sequence[DatasetStanding], sums: Mapping[str, Sums]
    ) -> Iterable[DepartmentStanding]:
        config = self._house.scoring()
        for department in sorted({one.department for one in datasets}):
            mine = [one for one in datasets if one.department == department]
            name, name_en = self._department_name(department, known=True)
            counts = [one.deliveries for one in mine]
            yield DepartmentStanding(
                department=department,
                name=name,
                name_en=name_en,
                scores=brief(total(sums[one.dataset] for one in mine).tally(), config),
                deliveries=_add_counts(counts),
                datasets=len(mine),
            )

    def _department_name(self, department: str, *, known: bool) -> tuple[str, str]:
        found = self._house.city().department(department)
        if found is not None:
            return found.name, found.english or department
        if known:
            return department, department
        raise BadInputError(
            f"there is no department '{department}'",
            fix="use an id of contracts/city.yaml",
            code="unknown_department",
        )

    def _tables(
        self, connection: Connection, contracts: Mapping[str, Contract]
    ) -> tuple[TableStanding, ...]:
        build = queries.newest_build(connection)
        if build is None:
            return ()
        config = self._house.scoring()
        return tuple(
            TableStanding(
                table=row.subject,
                scores=brief(row.sums.tally(), config),
                snapshot_id=build[0],
                checked_at=build[1],
                broken_rules=row.broken,
            )
            for row in queries.tables(connection)
            if row.subject not in contracts
        )

    # --- changes ---------------------------------------------------------------------------------

    def _since_yesterday(
        self,
        connection: Connection,
        contracts: Mapping[str, Contract],
        picture: Picture,
        day: date,
        until: datetime,
    ) -> Changes:
        since = until - _DAY
        return self._compare(connection, contracts, picture, since, until, day - _DAY, day)

    def _compare(
        self,
        connection: Connection,
        contracts: Mapping[str, Contract],
        picture: Picture | None,
        since: datetime,
        until: datetime,
        before_day: date,
        day: date,
    ) -> Changes:
        """What changed from one window, known at ``since``, to another, known at ``until``."""
        days = max(1, (day - before_day).days + 1)
        now = (picture or self._picture(connection, contracts, day, days, until)).standings
        before = self._known_at(connection, now, before_day, since)
        return Changes(
            since=since,
            until=until,
            grades=tuple(self._grades(before, now, (before_day, since), (day, until))),
            broken=tuple(
                BrokenRule.model_validate(row)
                for row in queries.broken(connection, list(contracts), since, until)
            ),
            late=tuple(_newly_late(now, since, until)),
        )

    @staticmethod
    def _known_at(
        connection: Connection, now: Mapping[str, Standing], day: date, known: datetime
    ) -> dict[str, Standing]:
        """The same datasets by the scores that were known at a former moment."""
        spans = {dataset: one.span for dataset, one in now.items()}
        sums = queries.window(connection, spans, day, known=known)
        before = {
            dataset: replace(one, window=sums[dataset], table=Sums())
            for dataset, one in now.items()
        }
        _add_tables(before, queries.tables(connection, known))
        return before

    def _grades(
        self,
        before: Mapping[str, Standing],
        after: Mapping[str, Standing],
        then: tuple[date, datetime],
        now: tuple[date, datetime],
    ) -> Iterable[GradeChange]:
        config = self._house.scoring()
        for dataset, one in after.items():
            old = brief(before[dataset].sums(*then).tally(), config)
            new = brief(one.sums(*now).tally(), config)
            if old.grade != new.grade:
                yield GradeChange(dataset=dataset, before=old, after=new)


def _of_department(
    contracts: Mapping[str, Contract], department: str | None
) -> dict[str, Contract]:
    return {
        dataset: contract
        for dataset, contract in contracts.items()
        if department in (None, contract.id.department)
    }


def _add_tables(standings: Mapping[str, Standing], checked: Iterable[queries.Checked]) -> None:
    for one in checked:
        if one.subject in standings:
            standings[one.subject].table = one.sums


def _add_counts(counts: Sequence[Any]) -> Any:
    kind = type(counts[0])
    return kind(**{name: sum(getattr(one, name) for one in counts) for name in kind.model_fields})


def _newly_late(
    standings: Mapping[str, Standing], since: datetime, until: datetime
) -> Iterable[Delivery]:
    for dataset, standing in standings.items():
        for one in standing.promises:
            arrival = standing.arrivals.get(one.partition)
            if since < one.due <= until and state(one, arrival, until) in _LATE:
                yield delivery(dataset, one, arrival, until)


def _ids(listed: Iterable[Mapping[str, Any]]) -> list[int]:
    return [one["validation_id"] for one in listed]


def _rules(connection: Connection, listed: Sequence[Mapping[str, Any]]) -> tuple[RuleStanding, ...]:
    if not listed:
        return ()
    by_run = {one["validation_id"]: one for one in listed}
    points: dict[str, list[RulePoint]] = {}
    for row in queries.history(connection, _ids(listed)):
        points.setdefault(row.key, []).append(_point(row, by_run))
    return tuple(
        RuleStanding(
            result=RuleResult.model_validate(row), history=tuple(points.get(row["key"], ()))
        )
        for row in queries.results(connection, listed[0]["validation_id"])
    )


def _point(row: Any, by_run: Mapping[int, Mapping[str, Any]]) -> RulePoint:
    run = by_run[row.validation_id]
    return RulePoint(
        run=row.validation_id,
        partition=run["partition"],
        at=run["at"],
        status=RuleStatus(row.status),
        evaluated=row.evaluated,
        failed=row.failed,
    )


def _run_summary(row: Mapping[str, Any]) -> RunSummary:
    return RunSummary(
        run=row["validation_id"],
        dataset=row["subject"],
        partition=row["partition"],
        delivery=row["delivery"],
        sequence=row["sequence"] or None,
        at=row["at"],
        scores=Scores.model_validate(row["scores"]),
        accounting=row["accounting"],
        released=row["released"],
        contract_sha256=row["contract_sha256"],
    )


def _table_result(row: Mapping[str, Any]) -> TableResult:
    return TableResult(
        table=row["subject"],
        snapshot_id=row["snapshot_id"],
        at=row["saved_at"],
        result=RuleResult.model_validate(row["record"]),
    )


def _unknown_dataset(dataset: str) -> BadInputError:
    return BadInputError(
        f"there is no contract for '{dataset}'",
        fix="use a dataset of contracts/, e.g. as `cityledger contract list` names them",
        code="unknown_dataset",
    )
