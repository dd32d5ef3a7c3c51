"""Indicator values (指标值): the published numbers agree with their parts, status and card."""

from __future__ import annotations

import polars as pl

from quality_checks.suites.base import Call, Judge, TableSuite, check, holds, judged

_VALUE, _STATUS, _UNIT = pl.col("value"), pl.col("status"), pl.col("unit")
_PERIOD = r"none|\d{4}(-Q[1-4]|-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?"
_WITH_TARGET = ("met", "at_risk", "missed", "not_yet_due")
_IS_SHARE = (_UNIT == "%") & pl.col("denominator").is_not_null()


def _met_on_the_right_side(call: Call) -> Judge:
    """A value is met exactly if it reaches the target from the side that its card names."""

    def judge(batch: pl.DataFrame) -> pl.Series:
        cards = call.other_table(("indicator_code", "direction")).unique("indicator_code")
        rows = batch.select("indicator_code", "value", "target", "status").join(
            cards, on="indicator_code", how="left", maintain_order="left"
        )
        higher, target = pl.col("direction") == "higher", pl.col("target")
        reached = pl.when(higher).then(target <= _VALUE).otherwise(target >= _VALUE)
        asked = _VALUE.is_not_null() & target.is_not_null()
        good = ~asked | ((_STATUS == "met") == reached)
        return rows.select(good.fill_null(value=False).alias("ok")).to_series()

    return judge


SUITE = TableSuite(
    "indicators.fct_indicator_value",
    (
        check(
            "unique", "indicator_code", "area_code", "period", why="一指标一地一期一行 one row each"
        ),
        check("not_null", "status", why="状态不为空 a status is never empty"),
        check(
            "in_set",
            "status",
            values=[*_WITH_TARGET, "not_applicable", "insufficient_data"],
            why="状态取值 known statuses",
        ),
        holds(
            "value_null_iff_no_data",
            _VALUE.is_null() == (_STATUS == "insufficient_data"),
            "value",
            "status",
            why="无数据当且仅当无值 no value, and no data, together",
        ),
        holds(
            "judged_only_with_target",
            pl.col("target").is_not_null() == _STATUS.is_in(_WITH_TARGET),
            "target",
            "status",
            where=_STATUS != "insufficient_data",
            why="有目标才评判 only a target can be met",
        ),
        judged(
            "met_on_the_right_side",
            _met_on_the_right_side,
            "indicator_code",
            "value",
            "target",
            "status",
            dataset="indicators.dim_indicator",
            gb_code="0301",
            why="达标方向与指标卡一致 met from the side that the card names",
        ),
        holds(
            "part_of_a_whole",
            pl.col("numerator").is_between(0, pl.col("denominator")),
            "numerator",
            "denominator",
            "unit",
            where=_IS_SHARE,
            why="占比的分子不大于分母 a part is no more than the whole",
        ),
        holds(
            "share_is_its_ratio",
            (_VALUE.cast(pl.Float64) * pl.col("denominator") - pl.col("numerator") * 100).abs()
            <= pl.col("denominator") * 1e-4,
            "value",
            "numerator",
            "denominator",
            "unit",
            where=_IS_SHARE & (pl.col("denominator") != 0),
            gb_code="0301",
            why="占比等于分子除以分母 a share is its ratio",
        ),
        check("pattern", "period", pattern=_PERIOD, why="期次写法 ISO 8601 keys"),
        check("not_before", "period_end", "period_start", why="期次首尾有序 in order"),
        holds(
            "period_key_fits_its_days",
            pl.col("period").str.slice(0, 4) == pl.col("period_start").dt.strftime("%Y"),
            "period",
            "period_start",
            where=pl.col("period_start").is_not_null(),
            why="期次与起止日一致 the key fits the days",
        ),
        check(
            "references", "area_code", dataset="core.dim_area", why="区划在维表中 the area is known"
        ),
        check(
            "references",
            "indicator_code",
            dataset="indicators.dim_indicator",
            why="指标有卡 the indicator has a card",
        ),
    ),
)
