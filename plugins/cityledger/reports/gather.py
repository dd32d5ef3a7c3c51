"""Collects what a department's report says; the only part of the reports that reads anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

from cityledger.contracts.cards import read_cards
from cityledger.contracts.city import read_city
from cityledger.contracts.identity import Partition
from cityledger.contracts.model import Contract, Severity
from cityledger.contracts.registry import load_contracts
from cityledger.errors import BadInputError
from cityledger.ledger.journal import Journal
from cityledger.ledger.quality import QualityStore
from cityledger.ledger.quality_records import DatasetStanding, DeliveryCounts
from cityledger.orders import Order, OrderBook
from cityledger.people import Person, Role
from cityledger.quarantine.reasons import explain
from cityledger.reports.month import Broken, Counts, broken_rules, month_counts
from cityledger.reports.records import DatasetMonth, DepartmentReport, Figure, Problem
from cityledger.settings import Settings
from cityledger.storage.database import Database

# Reports are made for a department; who may ask for one is decided by who calls.
_REPORTER = Person("cityledger", frozenset({Role.STEWARD}))


def gather(settings: Settings, department: str, month: str) -> DepartmentReport:
    """What a department's month looks like, by what is known now.

    Args:
        settings: Where things are.
        department: Its id, e.g. ``health``.
        month: ISO key, e.g. ``2026-03``.

    Raises:
        BadInputError: no such department or month.
        ContractError: a contract or ``city.yaml`` is broken.
    """
    database = Database.from_settings(settings)
    period = _month(month)
    contracts = {
        name: contract
        for name, contract in load_contracts(settings.contracts_dir).items()
        if contract.id.department == department
    }
    quality = QualityStore(database, settings.contracts_dir)
    view = quality.department(department, period.end, trend_days=1)
    counts = month_counts(database, [*contracts], period.start, period.end)
    city = read_city(settings.contracts_dir / "city.yaml")
    return DepartmentReport(
        city=city.name,
        city_en=city.english or city.name,
        notice=city.notice,
        department=department,
        name=view.name,
        name_en=view.name_en,
        start=period.start,
        end=period.end,
        made_on=quality.today(),
        card=view.card,
        before=quality.card(department=department, day=period.start - timedelta(days=1)),
        deliveries=_sum(view.datasets),
        datasets=tuple(_dataset(one, counts.get(one.dataset, Counts())) for one in view.datasets),
        problems=tuple(_problems(database, contracts, period)),
        orders=tuple(_orders(settings, database, department, period)),
        figures=tuple(_figures(settings, Journal(database), department)),
    )


def _month(month: str) -> Partition:
    period = Partition.parse(month)
    if period.grain != "month":
        raise BadInputError(
            f"'{month}' is no month", where="--month", fix="write it like 2026-03", code="no_month"
        )
    return period


def _dataset(standing: DatasetStanding, counts: Counts) -> DatasetMonth:
    return DatasetMonth(
        standing=standing,
        runs=counts.runs,
        extracted=counts.extracted,
        rejected=counts.rejected,
        parsed=counts.parsed,
        quarantined=counts.quarantined,
    )


def _sum(datasets: Sequence[DatasetStanding]) -> DeliveryCounts:
    names = DeliveryCounts.model_fields
    return DeliveryCounts(
        **{name: sum(getattr(one.deliveries, name) for one in datasets) for name in names}
    )


def _problems(
    database: Database, contracts: Mapping[str, Contract], period: Partition
) -> list[Problem]:
    found = broken_rules(database, [*contracts], period.start, period.end)
    return [_problem(broken, contracts[broken.dataset]) for broken in found]


def _problem(broken: Broken, contract: Contract) -> Problem:
    reason = explain([broken.key], contract)[0]
    return Problem(
        dataset=broken.dataset,
        title=contract.title,
        key=broken.key,
        severity=Severity(broken.severity),
        zh=reason.zh,
        en=reason.en,
        evaluated=broken.evaluated,
        failed=broken.failed,
    )


def _orders(
    settings: Settings, database: Database, department: str, period: Partition
) -> Iterator[Order]:
    book = OrderBook.from_settings(settings, database)
    for order in book.list(_REPORTER, department=department):
        still_open = order.finished_on is None or order.finished_on > period.end
        if order.opened_on >= period.start or still_open:
            yield order


def _figures(settings: Settings, journal: Journal, department: str) -> Iterator[Figure]:
    build = journal.latest_standardisation()
    publication = journal.find_publication(build.snapshot_id) if build else None
    if publication is None:
        return
    cards = read_cards(settings.dbt_project_dir / "models" / "indicators")
    newest = {value.code: value for value in sorted(publication.values, key=lambda v: v.period)}
    for code, value in sorted(newest.items()):
        if code in cards and cards[code].department == department:
            yield Figure(
                code=code,
                name=value.name,
                name_en=value.name_en,
                period=value.period,
                value=value.value,
                unit=value.unit,
                target=value.target,
                status=value.status.value,
            )


def previous_month(today: date) -> str:
    """The month that has ended last, e.g. ``2026-02`` on any day of March 2026."""
    return f"{today.replace(day=1) - timedelta(days=1):%Y-%m}"
