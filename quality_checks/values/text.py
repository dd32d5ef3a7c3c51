"""Plain text (``string``): stripped, null tokens emptied, otherwise as delivered.

White space goes from both ends, with the full-width blank U+3000, the no-break space U+00A0 and
zero-width characters, which departmental extracts carry as invisible padding. Inner characters
stay: a name is not ours to rewrite.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from cityledger.contracts.model import Column

from quality_checks.values.base import BLANKS, Context, Reading, ValueType
from quality_checks.values.matrix import Flags, flat_bytes


def _one_of(values: set[int]) -> Flags:
    table = np.zeros(256, dtype=np.bool_)
    table[sorted(values)] = True
    return table


_BLANKS = [blank.encode() for blank in BLANKS]
_FIRST = _one_of({blank[0] for blank in _BLANKS})
_LAST = _one_of({blank[-1] for blank in _BLANKS})
# Of a blank of one byte any byte may stand before it.
_SINGLE = _one_of({blank[0] for blank in _BLANKS if len(blank) == 1})
_BEFORE_LAST = _one_of({blank[-2] for blank in _BLANKS if len(blank) > 1})


def stripped(text: pl.Expr, tokens: tuple[str, ...]) -> pl.Expr:
    """``text`` without padding; null tokens and empty texts become null."""
    missing = ["", *tokens]

    def clean(texts: pl.Series) -> pl.Series:
        texts = _without_padding(texts)
        gone = texts.is_in(missing)
        if not gone.any():
            return texts
        return pl.select(pl.when(~gone).then(texts)).to_series()

    return text.map_batches(clean, return_dtype=pl.String(), is_elementwise=True)


def _without_padding(texts: pl.Series) -> pl.Series:
    padded = np.flatnonzero(_may_be_padded(texts))
    if not len(padded):
        return texts
    places = pl.Series(padded)
    return texts.clone().scatter(places, texts.gather(places).str.strip_chars(BLANKS))


def _may_be_padded(texts: pl.Series) -> Flags:
    """Cheap test that lets no padded text pass: stripping takes six times as long."""
    flat, places = flat_bytes(texts)
    if not len(flat):
        return np.zeros(len(texts), dtype=np.bool_)
    # An empty text is looked at as part of its neighbour, which does no harm.
    found: Flags = _FIRST[flat[np.minimum(places[:-1], len(flat) - 1)]]
    end = np.maximum(places[1:] - 1, 0)
    last = np.flatnonzero(_LAST[flat[end]])
    if len(last):
        at = end[last]
        found[last[_SINGLE[flat[at]] | _BEFORE_LAST[flat[at - 1]]]] = True
    return found


class Text(ValueType):
    """``string``: any text. There is no way to get it wrong, so there is no reason code."""

    name = "string"

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:  # noqa: ARG002 - the protocol's signature
        """Strip and empty null tokens."""
        return Reading(value=stripped(text, context.null_tokens))
