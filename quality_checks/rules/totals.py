"""Rules about a whole delivery: how many rows, and sums that must agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from quality_checks.rules.base import Call, Example, total_rule


class _RowCount:
    def __init__(self, minimum: int, maximum: int | None) -> None:
        self._minimum, self._maximum = minimum, maximum
        self._rows = 0

    def add(self, batch: pl.DataFrame) -> None:
        self._rows += batch.height

    def table(self, control_totals: Sequence[Mapping[str, str]]) -> tuple[pl.DataFrame, pl.Expr]:  # noqa: ARG002 - not needed for a count
        good = pl.col("rows") >= self._minimum
        if self._maximum is not None:
            good = good & (pl.col("rows") <= self._maximum)
        return pl.DataFrame({"rows": [self._rows]}), good


@total_rule(
    gb_code="0202",
    source="GB/T 36344 0202 数据记录完整性",
    optional=("minimum", "maximum"),
    least_columns=0,
    example=Example(good={"a": [1, 2]}, bad={"a": [1]}, arguments={"minimum": 2}),
)
def row_count(call: Call) -> _RowCount:
    """The delivery has ``minimum`` (default 1) to ``maximum`` rows."""
    maximum = call.get("maximum")
    return _RowCount(int(call.get("minimum", 1)), None if maximum is None else int(maximum))
