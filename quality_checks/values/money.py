"""``money``: an amount in the base unit of its currency, exact.

Registers write the unit behind the number: ``50(万美元)``, ``100万元人民币``, ``5,000(万日元)``,
``壹佰万元整``. The value is multiplied out (50万美元 → 500000), and three columns say what stood
there:

* ``<column>_currency``: ISO 4217; ``CNY`` for bare numbers and plain 元;
* ``<column>_magnitude``: the factor applied, 1 or 10000 …;
* ``<column>_ambiguous``: true when a magnitude stands alone (``万``): 万元 of which currency is not
  said; the value assumes yuan.

Bare numbers are in the column's ``sourceUnit`` (default 元). Reason codes: ``format`` (no amount),
``unit`` (unknown unit), ``precision`` (more decimals than the column has).
"""

from __future__ import annotations

from types import MappingProxyType

import polars as pl
from cityledger.contracts.model import Column, ColumnType

from quality_checks.values.amounts import split_amounts
from quality_checks.values.base import (
    Context,
    Reading,
    ValueType,
    reading_of,
    rescue,
    without_tokens,
)
from quality_checks.values.number import as_number
from quality_checks.values.units import MAGNITUDES

DEFAULT_PRECISION = (38, 2)
CURRENCIES = MappingProxyType(
    {
        "人民币": "CNY", "CNY": "CNY", "RMB": "CNY", "¥": "CNY",
        "美元": "USD", "美金": "USD", "USD": "USD", "$": "USD",
        "港元": "HKD", "港币": "HKD", "香港元": "HKD", "HKD": "HKD",
        "澳门元": "MOP", "澳门币": "MOP", "MOP": "MOP",
        "新台币": "TWD", "台币": "TWD", "台湾元": "TWD", "新台湾元": "TWD", "TWD": "TWD",
        "日元": "JPY", "日圆": "JPY", "日币": "JPY", "JPY": "JPY",
        "欧元": "EUR", "EUR": "EUR", "€": "EUR",
        "英镑": "GBP", "GBP": "GBP", "£": "GBP",
        "韩元": "KRW", "韩国元": "KRW", "韩币": "KRW", "KRW": "KRW",
        "新加坡元": "SGD", "新元": "SGD", "SGD": "SGD",
        "澳大利亚元": "AUD", "澳元": "AUD", "澳洲元": "AUD", "AUD": "AUD",
        "加拿大元": "CAD", "加元": "CAD", "CAD": "CAD",
        "瑞士法郎": "CHF", "瑞士": "CHF", "CHF": "CHF",
        "瑞典克朗": "SEK", "SEK": "SEK", "丹麦克朗": "DKK", "DKK": "DKK",
        "挪威克朗": "NOK", "NOK": "NOK", "泰铢": "THB", "THB": "THB",
        "马来西亚林吉特": "MYR", "林吉特": "MYR", "MYR": "MYR",
        "新西兰元": "NZD", "NZD": "NZD", "卢布": "RUB", "俄罗斯卢布": "RUB", "RUB": "RUB",
        "德国马克": "DEM", "马克": "DEM", "DEM": "DEM", "法国法郎": "FRF", "FRF": "FRF",
        "意大利里拉": "ITL", "ITL": "ITL", "荷兰盾": "NLG", "NLG": "NLG",
    }
)  # fmt: skip
_YUAN = frozenset({"元", "圆", "块"})
_SCHEMA = MappingProxyType(
    {
        "value": pl.Decimal(*DEFAULT_PRECISION),
        "currency": pl.String(),
        "magnitude": pl.Int64(),
        "ambiguous": pl.Boolean(),
    }
)


def money_unit(text: str) -> tuple[str, int, bool] | None:
    """Currency, factor and ambiguity of a unit's text, or None if it is no money unit.

    The parts come in any order: ``万元人民币``, ``人民币万元``, ``万人民币``, ``USD万``.
    """
    if not text:
        return "CNY", 1, False
    for word, factor in MAGNITUDES.items():
        before, found, after = text.partition(word)
        if found:
            currency = _currency(before + after)
            alone = not before + after
            return (currency, int(factor), alone) if currency else None
    currency = _currency(text)
    return (currency, 1, False) if currency else None


def _currency(text: str) -> str | None:
    if not text or text in _YUAN:
        return "CNY"
    if text in CURRENCIES:
        return CURRENCIES[text]
    for yuan in _YUAN:
        for shorter in (text.removeprefix(yuan), text.removesuffix(yuan)):
            if shorter in CURRENCIES:
                return CURRENCIES[shorter]
    return None


class Money(ValueType):
    """``money``: value, currency, magnitude."""

    name = "money"
    logical_types = (ColumnType.NUMBER,)
    extra_columns = MappingProxyType(
        {
            "currency": ColumnType.STRING,
            "magnitude": ColumnType.INTEGER,
            "ambiguous": ColumnType.BOOLEAN,
        }
    )
    options = ("sourceUnit",)
    default_precision = DEFAULT_PRECISION

    def read(self, text: pl.Expr, column: Column, context: Context) -> Reading:
        """Bare numbers natively, units by distinct text."""
        precision = column.precision or DEFAULT_PRECISION
        bare = str(column.options.get("sourceUnit", "元"))

        def slow(texts: pl.Series) -> pl.DataFrame:
            return _slow(texts, precision, bare)

        given = without_tokens(text, context.null_tokens)
        schema = {**_SCHEMA, "value": pl.Decimal(*precision)}
        fast: dict[str, pl.Expr] = {"value": pl.lit(None, schema["value"])}
        unit = money_unit(bare)
        if unit is not None and unit[1] == 1:
            value = as_number(given, precision)
            there = pl.when(value.is_not_null())
            fast = {
                "value": value,
                "currency": there.then(pl.lit(unit[0])),
                "magnitude": there.then(1),
                "ambiguous": there.then(pl.lit(value=False)),
            }
        work = rescue(given, fast, slow, schema, context.null_tokens)
        return reading_of(column, work, tuple(self.extra_columns))


def _slow(texts: pl.Series, precision: tuple[int, int], bare: str) -> pl.DataFrame:
    parts = split_amounts(texts)
    units = parts["unit"].unique().to_list()
    known = {unit: money_unit(unit or bare) for unit in units}
    table = pl.DataFrame(
        [(unit, *found) for unit, found in known.items() if found is not None],
        schema={
            "unit": pl.String,
            "currency": pl.String,
            "magnitude": pl.Int64,
            "ambiguous": pl.Boolean,
        },
        orient="row",
    )
    rows = parts.join(table, on="unit", how="left", maintain_order="left")
    product = pl.col("number").cast(pl.Decimal(38, 8), strict=False) * pl.col("magnitude")
    rows = rows.with_columns(product=product.cast(pl.Decimal(38, 8), strict=False))
    exact = pl.col("product").cast(pl.Decimal(*precision), strict=False)
    value = pl.when(exact == pl.col("product")).then(exact)
    return _with_reasons(rows.with_columns(value=value))


def _with_reasons(rows: pl.DataFrame) -> pl.DataFrame:
    reason = (
        pl.when(pl.col("value").is_not_null())
        .then(None)
        .when(pl.col("number").is_null())
        .then(pl.lit("format"))
        .when(pl.col("magnitude").is_null())
        .then(pl.lit("unit"))
        .when(pl.col("product").is_null())
        .then(pl.lit("format"))
        .otherwise(pl.lit("precision"))
    )
    good = pl.col("value").is_not_null()
    extras = [pl.when(good).then(pl.col(name)).alias(name) for name in Money.extra_columns]
    return rows.select("value", *extras, reason=reason)
