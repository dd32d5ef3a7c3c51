"""What a value type is: how one column's texts become values, reasons and extra columns.

Speed comes from one pattern. A native polars expression (a cast, a fixed ``strptime`` format)
reads the common, clean spellings. Only the rows that it leaves empty go to a slow reader, each
distinct text once (:func:`rescue`). Clean columns never meet Python.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import ClassVar

import polars as pl
from cityledger.contracts.codes import CodeList
from cityledger.contracts.model import Column, ColumnType

Precision = tuple[int, int] | None
OutputType = tuple[ColumnType, Precision]

BLANKS = " \t\r\n\v\f\u3000\u00a0\u200b\u200c\u200d\ufeff"
"""What is stripped from both ends of a text: white space, full-width, no-break, zero-width."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a value type may know beside the column.

    Attributes:
        as_of: The delivery's reference date (last day of its partition): births lie before it.
        null_tokens: Texts that mean "no value" in this column (dataset's and column's own).
        codes: Finds a code list by name.
        types: Output types of the dataset's other columns, for types that look at them.
    """

    as_of: date
    null_tokens: tuple[str, ...]
    codes: Callable[[str], CodeList]
    types: Mapping[str, ColumnType] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """How to get a column's value from its text.

    Attributes:
        value: The typed value; null where the text says "no value" or cannot be read.
        reason: String, null when good, else a reason code; None when nothing can go wrong.
        extras: Suffix → expression of an extra column.
        prepare: Temporary columns that must be computed first, by name.
    """

    value: pl.Expr
    reason: pl.Expr | None = None
    extras: Mapping[str, pl.Expr] = field(default_factory=dict)
    prepare: Mapping[str, pl.Expr] = field(default_factory=dict)


class ValueType(ABC):
    """A named way of reading text.

    Attributes:
        name: What contracts call it in ``valueType`` / ``semanticType``.
        extra_columns: Suffix → type of the columns it adds.
        logical_types: Types that a column of this value type may declare.
        options: Names of the options it understands.
        default_precision: Digits and scale of its numbers when the contract gives none.
    """

    name: ClassVar[str]
    extra_columns: ClassVar[Mapping[str, ColumnType]] = MappingProxyType({})
    logical_types: ClassVar[tuple[ColumnType, ...]] = (ColumnType.STRING,)
    options: ClassVar[tuple[str, ...]] = ()
    default_precision: ClassVar[Precision] = None

    @abstractmethod
    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:
        """Build the expressions that read ``text`` (String) as ``column``."""

    def needs(self, column: Column) -> tuple[str, ...]:  # noqa: ARG002 - for types that override it
        """Columns that must be read first; their values are found as ``__value__<name>``."""
        return ()


def polars_type(kind: ColumnType, precision: Precision = None) -> pl.DataType:
    """The polars type that holds a column type (timestamps: wall clock of Asia/Shanghai, µs)."""
    if kind is ColumnType.NUMBER:
        return pl.Decimal(*precision) if precision else pl.Float64()
    return {
        ColumnType.STRING: pl.String(),
        ColumnType.INTEGER: pl.Int64(),
        ColumnType.BOOLEAN: pl.Boolean(),
        ColumnType.DATE: pl.Date(),
        ColumnType.TIMESTAMP: pl.Datetime("us"),
        ColumnType.TIME: pl.Time(),
    }[kind]


def without_tokens(text: pl.Expr, tokens: tuple[str, ...]) -> pl.Expr:
    """``text`` with those null tokens emptied that a fast path could take for a value.

    A token without a digit (``N/A``, ``—``) can't be read by a cast, so the slow path sees to it;
    only tokens such as ``-999`` must go before.
    """
    risky = [token for token in tokens if any(char.isdigit() for char in token)]
    if not risky:
        return text
    return pl.when(text.is_in(risky)).then(None).otherwise(text)


SlowReader = Callable[[pl.Series], pl.DataFrame]
"""Texts (distinct, stripped, no null tokens) → frame of ``value``, ``reason`` and the extras."""


def rescue(
    text: pl.Expr,
    fast: Mapping[str, pl.Expr],
    slow: SlowReader,
    schema: Mapping[str, pl.DataType],
    tokens: tuple[str, ...],
) -> pl.Expr:
    """A Struct of ``schema``'s fields and ``reason``: ``fast``, and ``slow`` where that is empty.

    Args:
        text: The texts.
        fast: Field → native expression; ``value`` must be among them.
        slow: Reads what ``fast`` could not; sees each distinct text once.
        schema: Field → type; a field that ``fast`` lacks is empty on fast rows.
        tokens: Texts that mean "no value".
    """
    names = list(fast)
    fields = {**schema, "reason": pl.String()}

    def fill(columns: Sequence[pl.Series]) -> pl.Series:
        raw, *quick = columns
        frame = _fast_frame(quick, names, fields, len(raw))
        return _completed(raw, frame, slow, tokens).to_struct("work")

    dtype = pl.Struct(dict(fields))
    return pl.map_batches([text, *fast.values()], fill, return_dtype=dtype, is_elementwise=True)


def rescue_columns(
    text: pl.Expr,
    fast: SlowReader,
    slow: SlowReader,
    schema: Mapping[str, pl.DataType],
    tokens: tuple[str, ...],
) -> pl.Expr:
    """As :func:`rescue`, for a fast path that works on a whole column at once (numpy).

    ``fast`` returns the same fields as ``slow``, but sees all texts as they came, nulls included.
    """
    fields = {**schema, "reason": pl.String()}

    def fill(raw: pl.Series) -> pl.Series:
        frame = fast(raw).select(pl.col(name).cast(dtype) for name, dtype in fields.items())
        return _completed(raw, frame, slow, tokens).to_struct("work")

    return text.map_batches(fill, return_dtype=pl.Struct(dict(fields)), is_elementwise=True)


def _completed(
    raw: pl.Series, frame: pl.DataFrame, slow: SlowReader, tokens: tuple[str, ...]
) -> pl.DataFrame:
    open_rows = frame["value"].is_null() & raw.is_not_null()
    if not open_rows.any():
        return frame
    return _scatter(frame, open_rows, _read_slowly(raw.filter(open_rows), slow, tokens))


def _fast_frame(
    quick: list[pl.Series], names: list[str], fields: Mapping[str, pl.DataType], rows: int
) -> pl.DataFrame:
    columns = dict(zip(names, (_of_length(series, rows) for series in quick), strict=True))
    return pl.DataFrame(
        [
            columns[name].alias(name).cast(dtype)
            if name in columns
            else pl.Series(name, [None], dtype).new_from_index(0, rows)
            for name, dtype in fields.items()
        ]
    )


def _of_length(series: pl.Series, rows: int) -> pl.Series:
    """A literal comes as one value."""
    return series.new_from_index(0, rows) if len(series) == 1 and rows != 1 else series


def _read_slowly(texts: pl.Series, slow: SlowReader, tokens: tuple[str, ...]) -> pl.DataFrame:
    texts = texts.alias("text")
    distinct = texts.unique(maintain_order=True)
    clean = distinct.str.strip_chars(BLANKS)
    keep = ~(clean.is_in(list(tokens)) | (clean == ""))
    read = slow(clean.filter(keep).alias("clean"))
    known = read.with_columns(distinct.filter(keep).alias("text"))
    return texts.to_frame().join(known, on="text", how="left", maintain_order="left").drop("text")


def _scatter(frame: pl.DataFrame, rows: pl.Series, found: pl.DataFrame) -> pl.DataFrame:
    where = rows.arg_true()
    return frame.with_columns(
        frame[name].clone().scatter(where, found[name].cast(frame[name].dtype))
        for name in frame.columns
        if name in found.columns
    )


def reading_of(
    column: Column, work: pl.Expr, extras: tuple[str, ...] = (), field_of: str = "value"
) -> Reading:
    """A reading whose parts are the fields of one Struct expression."""
    name = f"__work__{column.name}"
    struct = pl.col(name).struct
    return Reading(
        value=struct.field(field_of),
        reason=struct.field("reason"),
        extras={suffix: struct.field(suffix) for suffix in extras},
        prepare={name: work},
    )
