"""How deliveries stand: whose time is over, who is held, who is gone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from cityledger.contracts.model import Contract
from cityledger.contracts.registry import load_contracts
from cityledger.operations.retention.book import Hold, RetentionBook
from cityledger.records import Receipt, Record
from cityledger.settings import Settings
from cityledger.storage.database import Database
from cityledger.storage.tables import delivery

_PERSONAL = frozenset({"personal", "sensitive"})


class Standing(Record):
    """A delivery and its retention.

    Attributes:
        ends_at: The later of what the receipt promised and what the contract says now.
        personal: Whether it has personal or sensitive columns; None: there is no contract any more.
        holds: Numbers of the legal holds that keep it.
        due: It has to go: personal, past its time, not held, not gone.
    """

    receipt: Receipt
    ends_at: datetime
    personal: bool | None
    holds: tuple[int, ...]
    removed: bool
    due: bool


def standings(
    settings: Settings, database: Database, now: datetime, *, dataset: str | None = None
) -> list[Standing]:
    """All deliveries, in the order of their landing; of one dataset if given."""
    contracts = {str(key): one for key, one in load_contracts(settings.contracts_dir).items()}
    book = RetentionBook(database)
    holds = book.holds()
    removed = {(one.dataset, one.partition, one.delivery) for one in book.removals()}
    query = select(delivery.c.record).order_by(delivery.c.id)
    if dataset is not None:
        query = query.where(delivery.c.dataset == dataset)
    with database.begin() as connection:
        records: list[Any] = list(connection.scalars(query))
    receipts = map(Receipt.model_validate, records)
    return [_standing(one, contracts.get(one.dataset), holds, removed, now) for one in receipts]


def _standing(
    receipt: Receipt,
    contract: Contract | None,
    holds: list[Hold],
    removed: set[tuple[str, str, str]],
    now: datetime,
) -> Standing:
    ends_at, personal = receipt.retain_until, None
    if contract is not None:
        ends_at = max(ends_at, receipt.landed_at + contract.service_level.retention)
        personal = any(column.classification in _PERSONAL for column in contract.columns)
    keeping = tuple(one.id for one in holds if one.covers(receipt.dataset, receipt.partition))
    gone = (receipt.dataset, receipt.partition, receipt.delivery) in removed
    return Standing(
        receipt=receipt,
        ends_at=ends_at,
        personal=personal,
        holds=keeping,
        removed=gone,
        due=bool(personal) and ends_at <= now and not keeping and not gone,
    )
