"""``quantity``: a number converted to the column's unit.

The column's ``unit`` (``人``, ``µg/m³``) is what is stored; a text may bring another unit of the
same kind: ``1.2万人`` → 12000 人, ``0.8 mg/m³`` → 800 µg/m³. Bare numbers are in the option
``sourceUnit`` (default: the column's unit), so a whole column in 万人 is converted here, once.

Reason codes: ``format`` (no number), ``unit`` (a unit of another kind), ``precision`` (the result
does not fit the column: a fraction of a person).
"""

from __future__ import annotations

import polars as pl
from cityledger.contracts.model import Column, ColumnType

from quality_checks.values.amounts import split_amounts
from quality_checks.values.base import (
    Context,
    Reading,
    ValueType,
    polars_type,
    reading_of,
    rescue,
    without_tokens,
)
from quality_checks.values.number import as_number
from quality_checks.values.units import conversion

_SCALE = pl.Decimal(38, 12)


class Quantity(ValueType):
    """``quantity``: a number in the column's unit."""

    name = "quantity"
    logical_types = (ColumnType.NUMBER, ColumnType.INTEGER)
    options = ("sourceUnit",)

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:
        """Bare numbers in the stored unit natively, everything else by distinct text."""
        dtype = polars_type(column.type, column.precision)
        bare = str(column.options.get("sourceUnit", column.unit or ""))

        def slow(texts: pl.Series) -> pl.DataFrame:
            return _slow(texts, column, bare)

        given = without_tokens(text, context.null_tokens)
        fast = pl.lit(None, dtype)
        if conversion(bare, column.unit or "") == 1:
            fast = _plain(given, column)
        work = rescue(given, {"value": fast}, slow, {"value": dtype}, context.null_tokens)
        return reading_of(column, work)


def _plain(text: pl.Expr, column: Column) -> pl.Expr:
    if column.type is ColumnType.INTEGER:
        return text.cast(pl.Int64, strict=False)
    return as_number(text, column.precision)


def _slow(texts: pl.Series, column: Column, bare: str) -> pl.DataFrame:
    parts = split_amounts(texts)
    factors = {unit: conversion(unit or bare, column.unit or "") for unit in parts["unit"].unique()}
    table = pl.DataFrame(
        [(unit, factor) for unit, factor in factors.items() if factor is not None],
        schema={"unit": pl.String, "factor": _SCALE},
        orient="row",
    )
    rows = parts.join(table, on="unit", how="left", maintain_order="left")
    number = pl.col("number").cast(_SCALE, strict=False)
    rows = rows.with_columns(exact=(number * pl.col("factor")).cast(_SCALE, strict=False))
    value = _stored(pl.col("exact"), column)
    reason = (
        pl.when(value.is_not_null())
        .then(None)
        .when(pl.col("number").is_null())
        .then(pl.lit("format"))
        .when(pl.col("factor").is_null())
        .then(pl.lit("unit"))
        .when(pl.col("exact").is_null())
        .then(pl.lit("format"))
        .otherwise(pl.lit("precision"))
    )
    return rows.select(value=value, reason=reason)


def _stored(exact: pl.Expr, column: Column) -> pl.Expr:
    if column.type is ColumnType.NUMBER and column.precision is None:
        return exact.cast(pl.Float64)
    scale = column.precision or (38, 0)
    rounded = exact.cast(pl.Decimal(*scale), strict=False)
    value = pl.when(rounded == exact).then(rounded)
    return value.cast(pl.Int64, strict=False) if column.type is ColumnType.INTEGER else value
