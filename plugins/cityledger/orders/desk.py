"""Where the stages of a delivery meet its partition's rectification order."""

from __future__ import annotations

from collections.abc import Sequence

from cityledger.contracts.model import Contract
from cityledger.ledger.journal import Journal
from cityledger.orders.book import OrderBook
from cityledger.records import Channel, Receipt, Release, Validation


class OrderDesk:
    """Tells the book what became of deliveries.

    Only a partition's newest delivery counts: judging an older one again changes no order.
    Telling the same thing again adds nothing, so a task that died half-way is simply run again.
    """

    def __init__(self, book: OrderBook, journal: Journal) -> None:
        self._book, self._journal = book, journal

    def landed(self, receipt: Receipt) -> None:
        """A delivery has landed."""
        if self._is_newest(receipt):
            self._book.delivered(receipt, today=self._book.today())

    def judged(
        self, receipt: Receipt, validation: Validation, contract: Contract, held: Sequence[str]
    ) -> None:
        """A delivery has its verdict, and the gate these objections."""
        if self._is_newest(receipt):
            self._book.open_for(validation, contract, today=self._book.today(), held=held)

    def unreadable(self, receipt: Receipt, code: str) -> None:
        """A delivery could not be read at all."""
        if self._is_newest(receipt):
            self._book.unreadable(receipt, code, today=self._book.today())

    def decided(
        self, receipt: Receipt, validation: Validation, contract: Contract, verdict: Release
    ) -> None:
        """A steward has decided: a rejected batch has to be delivered again."""
        decision = verdict.decision
        if decision is None or decision.approved or decision.channel is Channel.TIMEOUT:
            return
        if self._is_newest(receipt):
            reasons = (*verdict.reasons, f"rejected by the steward（管家退回）: {decision.reason}")
            self._book.sent_back(validation, contract, today=self._book.today(), reasons=reasons)

    def _is_newest(self, receipt: Receipt) -> bool:
        newest = self._journal.current_receipt(receipt.dataset, receipt.partition)
        return newest is not None and newest.delivery == receipt.delivery
