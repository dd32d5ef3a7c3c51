"""Uniqueness over a whole delivery, batch by batch, without keeping the keys."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from quality_checks.rules.base import Call, Example, stream_rule

Hashes = npt.NDArray[np.uint64]

_SEEDS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
_RUN_LIMIT = 4_000_000
"""Keys in the largest sorted run: bounds the memory that merging two runs takes for a moment."""


class KeySet:
    """A growing set of 128-bit key hashes: 16 bytes a key, in sorted runs.

    Runs of like size are merged (each key takes part in few merges); look-ups are binary searches
    with sorted queries, which touch memory in order. With 128 bits, two different keys of
    10⁹ meet with a probability below 10⁻²⁰.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[Hashes, Hashes]] = []

    def add(self, first: Hashes, second: Hashes) -> npt.NDArray[np.bool_]:
        """Add keys and tell which of them were there before, in this call or an earlier one."""
        order = np.argsort(first, kind="stable")
        head, tail = first[order], second[order]
        repeated = _repeated(head, tail)
        for run in self._runs:
            repeated |= _found(run, head, tail)
        fresh = ~repeated
        self._keep(head[fresh], tail[fresh])
        seen = np.empty(len(order), dtype=np.bool_)
        seen[order] = repeated
        return seen

    def _keep(self, head: Hashes, tail: Hashes) -> None:
        while self._runs and len(self._runs[-1][0]) <= 2 * len(head):
            if len(head) + len(self._runs[-1][0]) > _RUN_LIMIT:
                break
            old_head, old_tail = self._runs.pop()
            head, tail = np.concatenate([old_head, head]), np.concatenate([old_tail, tail])
            order = np.argsort(head, kind="stable")
            head, tail = head[order], tail[order]
        if len(head):
            self._runs.append((head, tail))


def _repeated(head: Hashes, tail: Hashes) -> npt.NDArray[np.bool_]:
    """Which keys of a batch sorted by head stand after an equal one."""
    repeated = np.zeros(len(head), dtype=np.bool_)
    same_head = head[1:] == head[:-1]
    same_tail = tail[1:] == tail[:-1]
    repeated[1:] = same_head & same_tail
    for place in np.flatnonzero(same_head & ~same_tail) + 1:  # a 64-bit collision: hardly ever
        start = np.searchsorted(head, head[place])
        repeated[place] = tail[place] in tail[start:place]
    return repeated


def _found(run: tuple[Hashes, Hashes], head: Hashes, tail: Hashes) -> npt.NDArray[np.bool_]:
    """Which keys a run holds already."""
    run_head, run_tail = run
    place = np.minimum(np.searchsorted(run_head, head), len(run_head) - 1)
    near = run_head[place] == head
    hit = near & (run_tail[place] == tail)
    for index in np.flatnonzero(near & ~hit):  # a 64-bit collision: hardly ever
        end = np.searchsorted(run_head, head[index], side="right")
        hit[index] = tail[index] in run_tail[place[index] : end]
    return np.asarray(hit, dtype=np.bool_)


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
        hashes = [keys.hash_rows(seed=seed).to_numpy() for seed in _SEEDS]
        fresh = pl.Series("ok", ~self._keys.add(*hashes))
        if complete:
            return fresh
        verdict = pl.Series("ok", [True]).new_from_index(0, batch.height)
        return verdict.scatter(whole.arg_true(), fresh)


@stream_rule(
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
