"""Uniqueness over a whole delivery, batch by batch, without keeping the keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from quality_checks.rules.base import Call, Example, stream_rule
from quality_checks.rules.comparisons import all_given

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

_SEEDS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
_RUN_LIMIT = 4_000_000
"""Keys in the largest merged run: bounds the memory that merging takes for a moment."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Some of the keys: heads in ascending order, their tails, and the range of the key values.

    Attributes:
        low: Least value of the key's first column; ``high``: the greatest.
    """

    head: Hashes
    tail: Hashes
    low: Any
    high: Any

    def meets(self, other: _Run) -> bool:
        """Whether the two could share a key."""
        return bool(self.low <= other.high and other.low <= self.high)

    def without(self, repeated: Flags) -> _Run:
        """The keys that are not flagged."""
        if not repeated.any():
            return self
        return _Run(self.head[~repeated], self.tail[~repeated], self.low, self.high)


class KeySet:
    """A growing set of 128-bit key hashes: 16 bytes a key, in sorted runs.

    Files are mostly written in key order, so a batch's range of values meets no earlier run's:
    then nothing is looked up. Otherwise look-ups are binary searches with sorted queries, and
    meeting runs of like size are merged, so that there are few. With 128 bits, any two of 10⁹
    different keys meet with a probability below 10⁻²⁰.
    """

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def add(self, first: Hashes, second: Hashes, low: Any, high: Any) -> Flags:
        """Add keys and tell which of them were there before, in this call or an earlier one.

        Args:
            first: 64 bits of each key.
            second: 64 other bits of each key.
            low: Least value of the key's first column.
            high: Greatest value of the key's first column.
        """
        order = _settle_ties(np.argsort(first), first, second)
        run = _Run(first[order], second[order], low, high)
        repeated = np.zeros(len(order), dtype=np.bool_)
        repeated[1:] = (run.head[1:] == run.head[:-1]) & (run.tail[1:] == run.tail[:-1])
        for known in self._runs:
            if known.meets(run):
                repeated |= _found(known, run)
        self._keep(run.without(repeated))
        seen = np.empty(len(order), dtype=np.bool_)
        seen[order] = repeated
        return seen

    def _keep(self, run: _Run) -> None:
        if not len(run.head):
            return
        for known in sorted(self._runs, key=lambda known: len(known.head)):
            size = len(run.head) + len(known.head)
            if known.meets(run) and len(known.head) <= len(run.head) and size <= _RUN_LIMIT:
                self._runs = [other for other in self._runs if other is not known]
                run = _merged(known, run)
        self._runs.append(run)


def _settle_ties(order: Places, first: Hashes, second: Hashes) -> Places:
    """Put equal heads in the order of their tails, then of their rows.

    The sort is not stable (a stable one takes three times as long), and the first row of equal
    keys must stay the first.
    """
    head = first[order]
    tie = np.zeros(len(head) + 1, dtype=np.bool_)
    tie[1:-1] = head[1:] == head[:-1]
    tied = np.flatnonzero(tie[1:] | tie[:-1])
    if len(tied):
        rows = order[tied]
        order[tied] = rows[np.lexsort((rows, second[rows], first[rows]))]
    return order


def _merged(one: _Run, other: _Run) -> _Run:
    places = np.searchsorted(one.head, other.head) + np.arange(len(other.head))
    old = np.ones(len(one.head) + len(other.head), dtype=np.bool_)
    old[places] = False
    head, tail = np.empty(len(old), np.uint64), np.empty(len(old), np.uint64)
    for whole, left, right in ((head, one.head, other.head), (tail, one.tail, other.tail)):
        whole[old], whole[places] = left, right
    return _Run(head, tail, min(one.low, other.low), max(one.high, other.high))


def _found(known: _Run, run: _Run) -> Flags:
    """Which keys of a sorted run another one holds."""
    place = np.minimum(np.searchsorted(known.head, run.head), len(known.head) - 1)
    near: Flags = known.head[place] == run.head
    if not near.any():
        return near
    hit: Flags = near & (known.tail[place] == run.tail)
    for index in np.flatnonzero(near & ~hit):  # a 64-bit collision: hardly ever
        end = np.searchsorted(known.head, run.head[index], side="right")
        hit[index] = run.tail[index] in known.tail[place[index] : end]
    return hit


class _Unique:
    def __init__(self, columns: tuple[str, ...]) -> None:
        self._columns = columns
        self._keys = KeySet()

    def __call__(self, batch: pl.DataFrame) -> pl.Series:
        keys = batch.select(self._columns)
        whole = keys.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
        complete = bool(whole.all())
        if not complete:
            keys = keys.filter(whole)
        fresh = self._fresh(keys)
        if complete:
            return fresh
        verdict = pl.Series("ok", [True]).new_from_index(0, batch.height)
        return verdict.scatter(whole.arg_true(), fresh)

    def _fresh(self, keys: pl.DataFrame) -> pl.Series:
        if keys.is_empty():
            return pl.Series("ok", [], dtype=pl.Boolean)
        first, second = (keys.hash_rows(seed=seed).to_numpy() for seed in _SEEDS)
        leading = keys.to_series()
        return pl.Series("ok", ~self._keys.add(first, second, leading.min(), leading.max()))


@stream_rule(
    looks_at=all_given,
    gb_code="0304",
    source="GB/T 36344 0304 数据唯一性",
    example=Example(good={"a": ["x", "y", None, None]}, bad={"a": ["x", "y"]}),
)
def unique(call: Call) -> _Unique:
    """No earlier row of the delivery has the same value (or combination of values).

    The first row stays, later ones break the rule, and a key with a null in it is not judged.
    All delivered rows count, so a first row that another rule quarantines still has its key.
    """
    return _Unique(call.spec.columns)
