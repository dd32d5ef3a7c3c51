"""Parquet written batch by batch; the same batches give the same bytes."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

# Columns whose every value differs: a dictionary would be built and thrown away.
_DISTINCT = ("_row_id", "_source_row", "_text")


class ParquetFile:
    """One Parquet file, a row group per batch; created with the first batch.

    Args:
        path: Where to write it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._writer: Any = None

    def append(self, frame: pl.DataFrame) -> None:
        """Add rows; every frame has the first one's schema."""
        if self._writer is not None and not frame.height:
            return
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._writer = _writer(self.path, table.schema)
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


def _writer(path: Path, schema: pa.Schema) -> Any:
    return pq.ParquetWriter(
        path,
        schema,
        compression="snappy",
        use_dictionary=[field.name for field in schema if field.name not in _DISTINCT],
    )
