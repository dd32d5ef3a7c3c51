"""Which verdicts call for an order."""

from __future__ import annotations

from collections.abc import Sequence

from cityledger.contracts.rectification import Rectification
from cityledger.records import Validation


def breaches(
    validation: Validation, terms: Rectification, held: Sequence[str] = ()
) -> tuple[str, ...]:
    """Why a delivery needs an order; empty when it does not.

    Args:
        validation: The verdict on the delivery.
        terms: From which share of bad records on; whether a held batch needs an order.
        held: The gate's objections.
    """
    counts = validation.accounting
    bad = counts.quarantined + counts.rejected - counts.expected_rejects
    records = counts.extracted - counts.expected_rejects
    reasons = tuple(held) if terms.open_on_held else ()
    # Compared without division, so that exactly the limit passes whatever the float rounding.
    if bad * 100 > terms.open_above_percent * records:
        percent = f"{100 * bad / records:.2f}"
        limit = f"{terms.open_above_percent:g}"
        share = (
            f"{bad} of {records} records quarantined or rejected ({percent} %), an order is due "
            f"above {limit} %（问题记录 {bad}/{records}，占 {percent}%，整改阈值 {limit}%）"
        )
        return (share, *reasons)
    return reasons


def judgement_key(validation: Validation) -> str:
    """What makes a verdict the same verdict: delivery, contract, and the rows that passed.

    A replay with a waiver, or another contract, is another verdict on the same delivery.
    """
    return ":".join(
        (
            validation.delivery,
            validation.contract_sha256[:16],
            validation.validated.sha256[:16],
            str(validation.accounting.quarantined),
        )
    )
