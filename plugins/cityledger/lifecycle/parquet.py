"""Parquet written batch by batch; the same batches give the same bytes."""

from __future__ import annotations

from io import RawIOBase
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

# A dictionary of a column whose values mostly differ is built and thrown away: half of the time
# that writing takes.
_MOST_DISTINCT = 0.1
# Decimals of more digits are no 64 bit integers.
_INTEGER_DIGITS = 18


class ParquetFile:
    """One Parquet file, a row group per batch; created with the first batch.

    Args:
        target: A path, or a binary file, which stays open.
    """

    def __init__(self, target: Path | RawIOBase) -> None:
        self.rows = 0
        self._target = target
        self._writer: Any = None

    def append(self, frame: pl.DataFrame) -> None:
        """Add rows; every frame has the first one's schema."""
        if self._writer is not None and not frame.height:
            return
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._writer = _writer(self._target, table.schema, _repetitive(frame))
        self._writer.write_table(table, row_group_size=max(frame.height, 1))
        self.rows += frame.height

    def close(self) -> None:
        """Write the footer."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _repetitive(frame: pl.DataFrame) -> list[str]:
    """Columns that a dictionary makes smaller, as far as the first batch shows."""
    flat = [name for name, kind in frame.schema.items() if not kind.is_nested()]
    return [name for name in flat if frame[name].n_unique() <= _MOST_DISTINCT * frame.height]


def _writer(target: Path | RawIOBase, schema: pa.Schema, repetitive: list[str]) -> Any:
    # Staging reads whole files, so smallest and largest texts would be computed for nobody.
    texts = {field.name for field in schema if pa.types.is_large_string(field.type)}
    # Numbers that mostly differ, and times: their differences take two thirds of the time and room.
    numbers = [
        field.name
        for field in schema
        if field.name not in repetitive and _is_whole_number(field.type)
    ]
    # Level 1 of zstd makes 55 % of snappy's bytes for a seventh more time; sending and storing the
    # difference would take longer.
    return pq.ParquetWriter(
        target,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=repetitive,
        column_encoding=dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
        store_decimal_as_integer=True,
        write_statistics=[field.name for field in schema if field.name not in texts],
    )


def _is_whole_number(kind: pa.DataType) -> bool:
    """Whether Parquet stores the type as integers of 32 or 64 bits."""
    if pa.types.is_decimal(kind):
        return bool(kind.precision <= _INTEGER_DIGITS)
    return bool(pa.types.is_integer(kind) or pa.types.is_temporal(kind))
