"""Texts as a matrix of bytes, for check digits by numpy look-up tables.

Polars can't index characters without making a string of each; a matrix of the column's own buffer
costs a copy and a few array operations.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

NOT_A_SYMBOL = 255


def byte_matrix(texts: pl.Series, width: int) -> Bytes:
    """The bytes of texts that are all ``width`` bytes long, a row per text."""
    array = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
    if not len(array):
        return np.empty((0, width), dtype=np.uint8)
    offsets = np.frombuffer(array.buffers()[1], dtype=np.int64, count=len(array) + array.offset + 1)
    start, end = offsets[array.offset], offsets[-1]
    flat = np.frombuffer(array.buffers()[2], dtype=np.uint8)[start:end]
    return flat.reshape(len(array), width)


def symbol_values(alphabet: str) -> Bytes:
    """Byte → position in the alphabet; :data:`NOT_A_SYMBOL` for every other byte."""
    table = np.full(256, NOT_A_SYMBOL, dtype=np.uint8)
    for value, symbol in enumerate(alphabet):
        table[ord(symbol)] = value
    return table


def weighted_sum(values: Bytes, weights: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Per row the sum of values times weights, over the first ``len(weights)`` columns."""
    total = np.zeros(len(values), dtype=np.int64)
    for place, weight in enumerate(weights):
        total += values[:, place].astype(np.int64) * weight
    return total
