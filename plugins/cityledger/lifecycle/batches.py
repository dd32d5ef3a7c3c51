"""What parse streams to validate, batch by batch.

The stages don't import each other: both know this shape, and the runner wires them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import polars as pl


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one stretch of one file.

    Attributes:
        text: Contract columns as text in the contract's order (null for a column that the file
            doesn't have), then ``_source_object``, ``_source_row`` and ``_row_id``.
        typed: ``Suite.read(text)``: the same rows in the same order.
        rejects: ``_source_object``, ``_source_row``, ``_reason``, ``_text`` of what is no record
            of the contract's shape; may be empty.
    """

    text: pl.DataFrame
    typed: pl.DataFrame
    rejects: pl.DataFrame


@dataclass(frozen=True, slots=True)
class ParseSummary:
    """Known when all batches have been read.

    Attributes:
        declared: Rows that the department said it handed in.
        extracted: Records below the headers, blank lines apart.
        rejects: Reason → count; ``extracted`` less their sum is what was parsed.
        expected_rejects: Those that layouts foresee: totals, notes, group headings, blank rows.
        control_totals: Texts of 合计 rows by column name (``_marker`` holds the marker), and one
            entry per group heading (group column, ``_marker`` ``group``, ``_count``).
        drift: Notes on columns and on a declared count that doesn't fit.
        corrected: Parsed rows whose text came from a correction.
    """

    declared: int | None
    extracted: int
    rejects: dict[str, int]
    expected_rejects: int
    control_totals: list[dict[str, str]]
    drift: tuple[str, ...]
    corrected: int = 0


class Batches(Protocol):
    """One pass over a delivery: iterate once, then ask for the summary."""

    def __iter__(self) -> Iterator[Batch]: ...

    def summary(self) -> ParseSummary: ...
