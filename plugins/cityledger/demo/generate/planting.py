"""Choosing rows for defects, and the book of what was planted where."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import gt
from typing import NamedTuple, TypeVar

import numpy as np

from cityledger.demo.generate.answers import (
    DeliveryAnswer,
    FileEntry,
    Place,
    QuarantinedRow,
    RejectedRecord,
    ToleratedCell,
    WarnedRow,
    count_rules,
)
from cityledger.demo.generate.catalogue import DEFECTS

Row = TypeVar("Row", bound=QuarantinedRow)

Corrected = frozenset[str]
"""Kinds of defects that a department has corrected in its second delivery."""

NOTHING: Corrected = frozenset()

EXPECTED_REASONS = ("total_row", "note", "group_heading")


def stream(seed: int, *names: str) -> np.random.Generator:
    """A random stream of its own for each name, so that datasets don't disturb each other."""
    words = [seed, *"/".join(names).encode()]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))


class _Bad(NamedTuple):
    row: int
    defect: str
    blocks: tuple[str, ...]
    warns: tuple[str, ...]


class _Extra(NamedTuple):
    place: Place
    defect: str
    reason: str


@dataclass(slots=True)
class Book:
    """What was planted in one delivery.

    Rows are 0-based data rows; where they came to stand is told to :meth:`close`. A row takes one
    defect at most, so its expected rules are unambiguous.

    Attributes:
        dataset: ``department.dataset``, the prefix of the rule keys.
        rows: Number of data rows.
        declared: Rows that the control file states, if there is one.
        corrected: What a second delivery has put right; empty for the first.
    """

    dataset: str
    partition: str
    rows: int
    rng: np.random.Generator
    declared: int | None = None
    corrected: Corrected = NOTHING
    _free: list[int] = field(default_factory=list)
    _bad: list[_Bad] = field(default_factory=list)
    _lost: dict[int, tuple[str, str]] = field(default_factory=dict)
    _cells: list[tuple[int, str, str, str | None]] = field(default_factory=list)
    _extras: list[_Extra] = field(default_factory=list)
    _tables: dict[str, int] = field(default_factory=dict)
    _table_defects: list[str] = field(default_factory=list)
    _drift: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._free = self.rng.permutation(self.rows).tolist()

    def take(
        self, defect: str, rate: float, fits: Callable[[int], bool] = lambda _: True
    ) -> list[int]:
        """Rows for a defect that hits a share of all rows, at least one; they are used up.

        A corrected delivery uses up the same rows and returns none of them.

        Args:
            defect: Kind of the defect.
            rate: Share of all rows.
            fits: Which rows the defect can be planted in.
        """
        taken = self._use(max(1, round(rate * self.rows)), fits)
        return [] if defect in self.corrected else taken

    def _use(self, wanted: int, fits: Callable[[int], bool]) -> list[int]:
        taken: list[int] = []
        kept: list[int] = []
        while self._free and len(taken) < wanted:
            row = self._free.pop()
            (taken if fits(row) else kept).append(row)
        self._free.extend(reversed(kept))
        if not taken:
            raise ValueError(f"{self.dataset}: no row is left for a defect")
        return sorted(taken)

    def repeats(self, rate: float) -> list[tuple[int, int]]:
        """Rows to become copies, each with a row above it to be copied; all are used up."""
        rows = self._use(max(1, round(rate * self.rows)), lambda row: row > 0)
        pairs = [(row, self._use(1, partial(gt, row))[0]) for row in rows]
        return [] if "duplicate_key" in self.corrected else pairs

    def bad(
        self, defect: str, row: int, *, blocks: Iterable[str] = (), warns: Iterable[str] = ()
    ) -> None:
        """A row that breaks rules (keys without the dataset)."""
        self._bad.append(_Bad(row, defect, tuple(blocks), tuple(warns)))

    def lost(self, defect: str, row: int, reason: str) -> None:
        """A data row that parsing must reject."""
        self._lost[row] = (defect, reason)

    def tolerated(self, defect: str, row: int, column: str, value: str | None) -> None:
        """A cell that must be normalised to ``value`` without complaint."""
        self._cells.append((row, defect, column, value))

    def beside(self, place: Place, defect: str, reason: str) -> None:
        """A record that is no data row."""
        self._extras.append(_Extra(place, defect, reason))

    def stated_off(self, defect: str, rule: str, by: int) -> int:
        """By how much a stated figure is wrong, which a rule over the whole must notice."""
        if defect in self.corrected:
            return 0
        self._tables[f"{self.dataset}.{rule}"] = 1
        self._table_defects.append(defect)
        return by

    def renamed(self, header: str) -> None:
        """A header that differs from the contract's own name."""
        self._drift.append(header)

    def close(self, place: Callable[[int], Place], files: Sequence[FileEntry]) -> DeliveryAnswer:
        """The answer, now that each row has its place.

        Args:
            place: Row number → where it came to stand.
            files: What was written.
        """
        quarantined = [self._entry(QuarantinedRow, bad, place) for bad in self._bad if bad.blocks]
        warned = [self._entry(WarnedRow, bad, place) for bad in self._bad if not bad.blocks]
        rejects = self._rejects(place)
        reasons = sorted({entry.reason for entry in rejects})
        counts = {reason: sum(e.reason == reason for e in rejects) for reason in reasons}
        extracted = self.rows + len(self._extras)
        parsed = extracted - len(rejects)
        return DeliveryAnswer(
            dataset=self.dataset,
            partition=self.partition,
            sequence=2 if self.corrected else 1,
            files=tuple(files),
            declared=self.declared,
            extracted=extracted,
            rejected=len(rejects),
            expected_rejects=sum(counts.get(reason, 0) for reason in EXPECTED_REASONS),
            rejects=counts,
            parsed=parsed,
            quarantined=len(quarantined),
            validated=parsed - len(quarantined),
            rules=count_rules([*quarantined, *warned], self._tables),
            quarantined_rows=tuple(sorted(quarantined, key=_by_place)),
            warned_rows=tuple(sorted(warned, key=_by_place)),
            rejected_records=tuple(sorted(rejects, key=_by_place)),
            tolerated=tuple(
                ToleratedCell(**place(row)._asdict(), defect=defect, column=column, value=value)
                for row, defect, column, value in sorted(self._cells, key=lambda cell: cell[0])
            ),
            drift=tuple(self._drift),
            defects=self._defect_counts(),
        )

    def _entry(self, kind: type[Row], bad: _Bad, place: Callable[[int], Place]) -> Row:
        rules = sorted(f"{self.dataset}.{rule}" for rule in (*bad.blocks, *bad.warns))
        return kind(**place(bad.row)._asdict(), defect=bad.defect, rules=tuple(rules))

    def _rejects(self, place: Callable[[int], Place]) -> list[RejectedRecord]:
        lost = [(place(row), *why) for row, why in self._lost.items()]
        return [
            RejectedRecord(**where._asdict(), defect=defect, reason=reason)
            for where, defect, reason in [*lost, *self._extras]
        ]

    def _defect_counts(self) -> dict[str, int]:
        names = [bad.defect for bad in self._bad] + [defect for defect, _ in self._lost.values()]
        names += [defect for _, defect, _, _ in self._cells]
        names += [extra.defect for extra in self._extras] + self._table_defects
        names += ["renamed_header"] * len(self._drift)
        strangers = set(names) - set(DEFECTS)
        if strangers:
            raise ValueError(f"not in the catalogue of defects: {sorted(strangers)}")
        return {name: names.count(name) for name in sorted(set(names))}


def _by_place(entry: QuarantinedRow | RejectedRecord) -> tuple[str, str, int]:
    return entry.file, entry.member or "", entry.row
