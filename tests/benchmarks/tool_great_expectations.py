"""Great Expectations on the benchmark's file; runs in an environment of its own.

Usage: ``python tool_great_expectations.py FILE.parquet ENGINE RUNS`` with ENGINE ``pandas`` or
``duckdb``. Prints JSON: seconds of each run of the suite with the split, CPU seconds, failing rows
per rule.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd

AREAS = ["990102", "990103", "990104", "990105", "990106", "990181"]
CHANNELS = ["网上", "窗口", "自助终端", "移动端"]
STATES = ["已办结", "办理中", "已退回"]


def expectations() -> dict[str, Any]:
    """The ten rules, as this tool says them."""
    return {
        "case_no.not_null": gxe.ExpectColumnValuesToNotBeNull(column="case_no"),
        "case_no.unique": gxe.ExpectColumnValuesToBeUnique(column="case_no"),
        "item_code.pattern": gxe.ExpectColumnValuesToMatchRegex(
            column="item_code", regex=r"^[0-9]{6}$"
        ),
        "area_code.in_set": gxe.ExpectColumnValuesToBeInSet(column="area_code", value_set=AREAS),
        "applicant.length": gxe.ExpectColumnValueLengthsToBeBetween(
            column="applicant", min_value=2, max_value=20
        ),
        "channel.in_set": gxe.ExpectColumnValuesToBeInSet(column="channel", value_set=CHANNELS),
        "state.in_set": gxe.ExpectColumnValuesToBeInSet(column="state", value_set=STATES),
        "fee.between": gxe.ExpectColumnValuesToBeBetween(column="fee", min_value=0, max_value=900),
        "score.between": gxe.ExpectColumnValuesToBeBetween(
            column="score", min_value=1, max_value=5
        ),
        "_row.not_before": gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="finished_at",
            column_B="accepted_at",
            or_equal=True,
            ignore_row_if="either_value_is_missing",
        ),
    }


def main(path: str, engine: str, runs: int) -> dict[str, Any]:
    """Read the file, then run the suite and split the rows, a few times."""
    frame = pd.read_parquet(path)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    suite = context.suites.add(gx.ExpectationSuite(name="bench"))
    names = {}
    for name, expectation in expectations().items():
        names[suite.add_expectation(expectation).id] = name
    batch = _batch(context, frame, path, engine)
    measured = [_run(batch, suite, names, frame, engine) for _ in range(runs)]
    return {
        "version": gx.__version__,
        "engine": engine,
        "seconds": [one["seconds"] for one in measured],
        "cpu_seconds": [one["cpu_seconds"] for one in measured],
        "failed": measured[-1]["failed"],
        "quarantined": measured[-1]["quarantined"],
    }


def _batch(context: Any, frame: pd.DataFrame, path: str, engine: str) -> Any:
    if engine == "pandas":
        asset = context.data_sources.add_pandas("data").add_dataframe_asset("rows")
        definition = asset.add_batch_definition_whole_dataframe("whole")
        return definition.get_batch({"dataframe": frame})
    import duckdb

    database = f"{path}.duckdb"
    with duckdb.connect(database) as connection:
        connection.execute(f"CREATE OR REPLACE TABLE cases AS SELECT * FROM '{path}'")
    source = context.data_sources.add_sql("data", connection_string=f"duckdb:///{database}")
    asset = source.add_table_asset("cases", table_name="cases")
    return asset.add_batch_definition_whole_table("whole").get_batch()


def _run(
    batch: Any, suite: Any, names: dict[str, str], frame: pd.DataFrame, engine: str
) -> dict[str, Any]:
    form: dict[str, Any] = {"result_format": "COMPLETE"}
    if engine != "pandas":
        form["unexpected_index_column_names"] = ["row_id"]
    wall, cpu = time.perf_counter(), time.process_time()
    result = batch.validate(suite, result_format=form)
    blocked = pd.Series(False, index=frame.index)
    failed = {}
    for one in result.results:
        if "unexpected_count" not in one.result:
            name = names[one.expectation_config.id]
            raise RuntimeError(f"{name} can't be judged by engine {engine}")
        failed[names[one.expectation_config.id]] = one.result["unexpected_count"]
        found = one.result.get("unexpected_index_list") or []
        if engine != "pandas":
            found = [row["row_id"] for row in found]
        blocked.loc[found] = True
    good, bad = frame[~blocked], frame[blocked]
    return {
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "failed": failed,
        "quarantined": len(bad) if len(good) + len(bad) == len(frame) else -1,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
