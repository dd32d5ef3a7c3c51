"""What became of a delivery's records while they were parsed, whole or part by part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from cityledger.contracts.model import Contract
from cityledger.errors import BadInputError
from cityledger.lifecycle.batches import ParseSummary
from cityledger.lifecycle.readers.base import EXPECTED_REASONS, Chunk
from cityledger.records import Receipt


@dataclass(slots=True)
class ParseCounts:
    """Counted chunk by chunk, in file order.

    Attributes:
        parsed: Records of the contract's shape.
        rejects: Reason → count.
        totals: Texts of 合计 rows by column name.
        drift: Notes on columns.
    """

    parsed: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    totals: list[dict[str, str]] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)

    def take(self, chunk: Chunk) -> None:
        """Count the next chunk."""
        self.parsed += chunk.frame.height
        self.rejects.update(entry.reason for entry in chunk.rejects)
        self.totals.extend(chunk.totals)
        self.drift.extend(chunk.drift)

    @classmethod
    def of(cls, parts: Iterable[ParseCounts]) -> ParseCounts:
        """The sum of what was counted in parts, given in file order."""
        total = cls()
        for part in parts:
            total.parsed += part.parsed
            total.rejects.update(part.rejects)
            total.totals.extend(part.totals)
            total.drift.extend(part.drift)
        return total

    def summary(self, receipt: Receipt, corrected: int = 0) -> ParseSummary:
        """Where every record of the delivery went.

        Args:
            receipt: Says how many rows the department declared.
            corrected: Rows whose text came from a correction.
        """
        extracted = self.parsed + self.rejects.total()
        expected = sum(self.rejects[reason] for reason in EXPECTED_REASONS)
        declared = receipt.declared_rows
        drift = list(dict.fromkeys(self.drift))
        # A department may count its 合计 row or not; any other difference holds the batch.
        if declared not in (None, extracted, extracted - expected):
            drift.append(f"declared: {declared} rows, found {extracted}")
        return ParseSummary(
            declared=declared,
            extracted=extracted,
            rejects=dict(sorted(self.rejects.items())),
            expected_rejects=expected,
            control_totals=list(self.totals),
            drift=tuple(drift),
            corrected=corrected,
        )

    def check_not_empty(self, receipt: Receipt, contract: Contract) -> None:
        """Make sure that there was a record, where the contract wants one.

        Raises:
            BadInputError: ``no_records``.
        """
        unexpected = self.rejects.keys() - EXPECTED_REASONS
        if self.parsed or unexpected or contract.gate.min_rows == 0:
            return
        raise BadInputError(
            "there is no record below the header",
            where="、".join(landed.name for landed in receipt.objects),
            fix="have it handed in again; if a period without records is normal, set minRows: 0",
            code="no_records",
        )
