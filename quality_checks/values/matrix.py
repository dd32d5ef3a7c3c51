"""Texts as bytes, for check digits and tests by numpy look-up tables.

Polars can't index characters without making a string of each; the bytes of a whole column cost a
copy and a few array operations.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

NOT_A_SYMBOL = 255


def flat_bytes(texts: pl.Series) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """The bytes of all texts in a row, and where each text starts and the last one ends."""
    array = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    if not len(array) or data is None:
        return np.empty(0, dtype=np.uint8), np.zeros(len(array) + 1, dtype=np.int64)
    places = np.frombuffer(offsets, dtype=np.int64, count=len(array) + array.offset + 1)
    places = places[array.offset :]
    return np.frombuffer(data, dtype=np.uint8)[: places[-1]], places


def byte_matrix(texts: pl.Series, width: int) -> Bytes:
    """The bytes of texts that are all ``width`` bytes long, a row per text."""
    flat, places = flat_bytes(texts)
    return flat[places[0] :].reshape(len(texts), width)


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
