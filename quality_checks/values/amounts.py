"""Numbers with a unit behind them: the grammar that money and quantities share."""

from __future__ import annotations

import polars as pl

from quality_checks.values.number import canonical

_NUMBER = r"[+-]?[0-9][0-9,]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_HAN = "零〇一二两三四五六七八九十百千万亿壹贰叁肆伍陆柒捌玖拾佰仟"
_AMOUNT = rf"^(?<prefix>[^0-9+\-.,{_HAN}]*)(?<number>{_NUMBER}|[{_HAN}]+)(?<unit>[^0-9+\-.,].*)?$"


def split_amounts(texts: pl.Series) -> pl.DataFrame:
    """Split texts into ``number`` (decimal text, null if none) and ``unit`` (may be empty).

    Brackets and blanks are dropped: ``50(万美元)`` and ``50万 美元`` are the same.
    """
    clean = texts.str.normalize("NFKC").str.replace_all(r"[\s()\[\]]", "")
    clean = clean.str.replace(r"[整正]$", "")
    groups = clean.str.extract_groups(_AMOUNT).struct.unnest()
    number = canonical(groups["number"].fill_null(""))
    return groups.select(
        number=pl.when(pl.col("number").is_not_null()).then(number),
        unit=pl.concat_str("prefix", "unit", ignore_nulls=True),
    )
