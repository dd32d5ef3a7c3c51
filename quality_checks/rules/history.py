"""Rules over the periods of a table; also good inside one delivery that covers many periods."""

from __future__ import annotations

from datetime import date

import polars as pl
from cityledger.contracts.model import Scope

from quality_checks.rules.base import Call, Example, row_rule
from quality_checks.rules.totals import selection

_DAYS = [date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)]


def _judged_rows(call: Call) -> pl.Expr:
    here = call.value.is_not_null()
    return here if call.get("where") is None else here & selection(call, "where")


@row_rule(
    looks_at=_judged_rows,
    gb_code="0402",
    source="GB/T 36344 0402; 7 falling province-days in a public series of cumulative counts",
    required=("orderBy",),
    optional=("by", "where"),
    scopes=(Scope.HISTORY,),
    example=Example(
        good={"a": [1, 1, None], "day": _DAYS},
        bad={"a": [0], "day": [date(2026, 3, 4)]},
        arguments={"orderBy": "day"},
        columns=("a",),
    ),
)
def non_decreasing(call: Call) -> pl.Expr:
    """A cumulative value never falls below the one before it.

    ``orderBy`` is the column of time, ``by`` the columns that make up one series, ``where`` the
    rows to judge (``{city: null}``; default all). A row without a value is passed over.
    """
    by = [pl.col(name) for name in call.get("by", ())] or [pl.lit(1)]
    value = call.value
    if call.get("where") is not None:
        value = pl.when(selection(call, "where")).then(value)
    before = value.forward_fill().shift(1).over(by, order_by=str(call.get("orderBy")))
    return (value >= before).fill_null(value=True)
