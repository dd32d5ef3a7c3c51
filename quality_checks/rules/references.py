"""Rules that look at another dataset: does it know this key, does it say the same?

They judge the table over all partitions, against what is released of the other dataset.
"""

from __future__ import annotations

import polars as pl
from cityledger.contracts.model import Scope

from quality_checks.rules.base import PARTITION, Call, Example, Judge, stream_rule
from quality_checks.rules.comparisons import all_given

_ROW = "__row__"


def _other_columns(call: Call, argument: str, default: tuple[str, ...]) -> tuple[str, ...]:
    given = call.get(argument)
    names = default if given is None else (given,) if isinstance(given, str) else tuple(given)
    if len(names) != len(default):
        raise call.refuse(f"'{argument}' needs {len(default)} names", "one for each column here")
    return tuple(str(name) for name in names)


def _released(call: Call, columns: tuple[str, ...]) -> pl.DataFrame:
    newest = call.get("partition", "all")
    if newest not in ("all", "newest"):
        raise call.refuse(f"no partition is called '{newest}'", "write all or newest")
    if newest == "all":
        return call.other_table(columns)
    table = call.other_table((*columns, PARTITION))
    return table.filter(pl.col(PARTITION) == pl.col(PARTITION).max()).drop(PARTITION)


def _scattered(whole: pl.Series, good: pl.Series) -> pl.Series:
    """The verdicts of the rows that are looked at, among rows that are good."""
    verdict = pl.repeat(value=True, n=len(whole), dtype=pl.Boolean, eager=True)
    return verdict.scatter(whole.arg_true(), good)


@stream_rule(
    looks_at=all_given,
    gb_code="0102",
    source="GB/T 36344 0102 数据模型 (foreign key); DB31/T 1523 040204 跨表逻辑",
    required=("dataset",),
    optional=("column", "partition"),
    scopes=(Scope.HISTORY,),
    example=Example(
        good={"a": ["x", None]},
        bad={"a": ["z"]},
        arguments={"dataset": "health.other", "column": "id"},
        tables={"health.other": {"id": ["x", "y"]}},
    ),
)
def references(call: Call) -> Judge:
    """The value (or combination) is known to another dataset, as it is released now.

    ``dataset`` names it, ``column`` its key (default: the same names); ``partition`` is ``all`` or
    ``newest`` (registers that deliver everything each time).
    """
    own = call.spec.columns
    theirs = _other_columns(call, "column", own)

    def judge(batch: pl.DataFrame) -> pl.Series:
        known = _released(call, theirs)
        known = known.select(
            pl.col(there).alias(here) for here, there in zip(own, theirs, strict=True)
        )
        rows = batch.select(own).with_row_index(_ROW)
        whole = rows.select(pl.all_horizontal(pl.col(own).is_not_null())).to_series()
        asked = rows.filter(whole)
        known = known.cast({name: asked.schema[name] for name in own}).unique()
        found = asked.join(known, on=list(own), how="semi")
        return _scattered(whole, asked[_ROW].is_in(found[_ROW].implode()))

    return judge


@stream_rule(
    looks_at=all_given,
    gb_code="0401",
    source="GB/T 36344 0401 相同数据一致性; DB31/T 1523 040203 跨表等值",
    required=("dataset",),
    optional=("column", "key", "partition"),
    least_columns=2,
    scopes=(Scope.HISTORY,),
    example=Example(
        good={"a": ["云港区", None, "甲"], "k": ["1", "1", "9"]},
        bad={"a": ["松溪区"], "k": ["1"]},
        arguments={"dataset": "health.other", "column": "name", "key": "id"},
        tables={"health.other": {"id": ["1"], "name": ["云港区"]}},
    ),
)
def agrees_with(call: Call) -> Judge:
    """The first column says what another dataset says under the same key (the second column).

    ``dataset`` names it, ``column`` and ``key`` its columns (default: the same names). A key that
    it does not know, and an empty value on either side, leave nothing to compare.
    """
    own_value, own_key = call.spec.columns[:2]
    (value,) = _other_columns(call, "column", (own_value,))
    (key,) = _other_columns(call, "key", (own_key,))

    def judge(batch: pl.DataFrame) -> pl.Series:
        theirs = _released(call, (key, value)).drop_nulls()
        rows = batch.select(own=own_value, key=own_key).with_row_index(_ROW)
        whole = rows.select(pl.col("own").is_not_null() & pl.col("key").is_not_null()).to_series()
        asked = rows.filter(whole)
        said = theirs.select(key=pl.col(key), own=pl.col(value)).cast(
            {name: asked.schema[name] for name in ("key", "own")}
        )
        known = asked.join(said, on="key", how="semi")
        equal = asked.join(said.unique(), on=["key", "own"], how="semi")
        wrong = known.join(equal, on=_ROW, how="anti")
        return _scattered(whole, ~asked[_ROW].is_in(wrong[_ROW].implode()))

    return judge
