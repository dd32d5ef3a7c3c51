"""Plain text (``string``): stripped, null tokens emptied, otherwise as delivered.

White space goes from both ends, with the full-width blank U+3000, the no-break space U+00A0 and
zero-width characters, which departmental extracts carry as invisible padding. Inner characters
stay: a name is not ours to rewrite.
"""

from __future__ import annotations

import polars as pl
from cityledger.contracts.model import Column

from quality_checks.values.base import BLANKS, Context, Reading, ValueType


def stripped(text: pl.Expr, tokens: tuple[str, ...]) -> pl.Expr:
    """``text`` without padding; null tokens and empty texts become null."""
    clean = text.str.strip_chars(BLANKS)
    return pl.when(clean.is_in(["", *tokens])).then(None).otherwise(clean)


class Text(ValueType):
    """``string``: any text. There is no way to get it wrong, so there is no reason code."""

    name = "string"

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:  # noqa: ARG002 - the protocol's signature
        """Strip and empty null tokens."""
        return Reading(value=stripped(text, context.null_tokens))
