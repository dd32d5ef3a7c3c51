"""A suite of ten rules on three million rows, with the split into good and quarantined rows.

Ours against hand-written polars expressions and against Great Expectations, on the same file; what
is measured is the suite with the split, inside each process, after the file has been read. The
verdicts of all of them and of datacontract-cli go into ``docs/quality-comparison.md``.

The other tools need packages that don't agree with ours: ``--install`` makes environments for them
below the project's working folder (``CITYLEDGER_HOME``), which no lock file knows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import (
    Column,
    ColumnType,
    Contract,
    Layout,
    RuleSpec,
    Scope,
    ServiceLevel,
    Severity,
    SourceSpec,
    Threshold,
)
from cityledger.settings import PROJECT_DIR, home_dir

ROWS = 3_000_000
RUNS = 5
BATCH = 500_000
LIMITS = {"great-expectations": 2.0, "polars": 1.5}
TOOLS = {
    "great-expectations": (
        "great-expectations",
        "pyarrow",
        "sqlalchemy",
        "duckdb",
        "duckdb-engine",
    ),
    "datacontract-cli": ("datacontract-cli[csv,parquet]",),
}
PAGE = PROJECT_DIR / "docs" / "quality-comparison.md"
HERE = Path(__file__).parent

AREAS = ["990102", "990103", "990104", "990105", "990106", "990181"]
CHANNELS = ["网上", "窗口", "自助终端", "移动端"]
STATES = ["已办结", "办理中", "已退回"]
_T = ColumnType
COLUMNS = {
    "row_id": _T.INTEGER,
    "case_no": _T.STRING,
    "item_code": _T.STRING,
    "area_code": _T.STRING,
    "applicant": _T.STRING,
    "channel": _T.STRING,
    "state": _T.STRING,
    "fee": _T.NUMBER,
    "score": _T.INTEGER,
    "accepted_at": _T.TIMESTAMP,
    "finished_at": _T.TIMESTAMP,
}
RULES: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "case_no.not_null": ("not_null", ("case_no",), {}),
    "case_no.unique": ("unique", ("case_no",), {}),
    "item_code.pattern": ("pattern", ("item_code",), {"pattern": "[0-9]{6}"}),
    "area_code.in_set": ("in_set", ("area_code",), {"values": AREAS}),
    "applicant.length": ("length", ("applicant",), {"minimum": 2, "maximum": 20}),
    "channel.in_set": ("in_set", ("channel",), {"values": CHANNELS}),
    "state.in_set": ("in_set", ("state",), {"values": STATES}),
    "fee.between": ("between", ("fee",), {"minimum": 0, "maximum": 900}),
    "score.between": ("between", ("score",), {"minimum": 1, "maximum": 5}),
    "_row.not_before": ("not_before", ("finished_at", "accepted_at"), {}),
}


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Run everything, print a table, write ``suites.json`` and the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--install", action="store_true", help="make the other tools' environments")
    parser.add_argument("--page", action="store_true", help="write docs/quality-comparison.md")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(_measure(*options.child, options.runs)))
        return {}
    folder = home_dir() / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    if options.install:
        for tool, packages in TOOLS.items():
            _install(folder / tool, packages)
    result = _compare(folder, options.rows, options.runs)
    (folder / "suites.json").write_text(json.dumps(result, indent=2, ensure_ascii=False))
    if options.page:
        PAGE.write_text(page(result), encoding="utf-8")
    print("\n".join(_table(result)))
    return result


# --- data --------------------------------------------------------------------------------------


def write(path: Path, rows: int) -> None:
    """Write the generated file; each rule is broken by about one row in 400."""
    random = np.random.default_rng(7)

    def spoilt(values: pl.Series, wrong: Any) -> pl.Series:
        bad = random.random(rows) < 0.0025
        return values.scatter(np.flatnonzero(bad), wrong)

    def pick(values: list[str]) -> pl.Series:
        return pl.Series(values).gather(random.integers(0, len(values), rows))

    number = pl.Series(np.arange(rows))
    case_no = (number + 10**9).cast(pl.String)
    case_no = spoilt(spoilt(case_no, case_no[0]), None)
    accepted = pl.Series(1_774_900_000 + random.integers(0, 80_000, rows))
    finished = accepted + pl.Series(random.integers(60, 900_000, rows))
    frame = pl.DataFrame(
        {
            "row_id": number,
            "case_no": case_no,
            "item_code": spoilt(
                pl.Series(random.integers(100_000, 999_999, rows)).cast(pl.String), "A1"
            ),
            "area_code": spoilt(pick(AREAS), "110101"),
            "applicant": spoilt(pick(["张明", "某科技有限公司", "李小平", "欧阳"]), "甲"),
            "channel": spoilt(pick(CHANNELS), "电话"),
            "state": spoilt(pick(STATES), "?"),
            "fee": spoilt(pl.Series(np.round(random.random(rows) * 900, 2)), -1.0),
            "score": spoilt(pl.Series(random.integers(1, 6, rows)), 9),
            "accepted_at": pl.from_epoch(accepted).cast(pl.Datetime("us")),
            "finished_at": pl.from_epoch(spoilt(finished, 1_600_000_000)).cast(pl.Datetime("us")),
        }
    )
    frame.write_parquet(path)


def contract() -> Contract:
    """The file's contract, as the house reads it."""
    return Contract(
        id=DatasetId("bench", "cases"),
        version="1.0.0",
        title="bench",
        path=Path("cases.odcs.yaml"),
        sha256="0" * 64,
        columns=tuple(Column(name, kind, name, (name,)) for name, kind in COLUMNS.items()),
        rules=tuple(
            RuleSpec(
                key=key,
                rule=rule,
                columns=columns,
                severity=Severity.BLOCK,
                gb_code="0302",
                dimension="accuracy",
                scope=Scope.DATASET if rule == "unique" else Scope.ROW,
                arguments=given,
                threshold=Threshold(0.0),
            )
            for key, (rule, columns, given) in RULES.items()
        ),
        source=SourceSpec("drop_folder", {}),
        layout=Layout(),
        service_level=ServiceLevel("day", timedelta(days=1), timedelta(days=1)),
    )


def odcs(parquet: Path) -> dict[str, Any]:
    """The same as a file of the standard, for datacontract-cli; two rules it says in SQL."""

    def library(metric: str, **arguments: Any) -> dict[str, Any]:
        given = {"arguments": arguments} if arguments else {}
        return {"type": "library", "metric": metric, **given, "mustBe": 0, "unit": "rows"}

    def sql(where: str) -> dict[str, Any]:
        query = f"SELECT count(*) FROM cases WHERE {where}"
        return {"type": "sql", "query": query, "mustBe": 0}

    quality = {
        "case_no": [library("nullValues"), library("duplicateValues")],
        "item_code": [library("invalidValues", pattern="^[0-9]{6}$")],
        "area_code": [library("invalidValues", validValues=AREAS)],
        "applicant": [sql("length(applicant) NOT BETWEEN 2 AND 20")],
        "channel": [library("invalidValues", validValues=CHANNELS)],
        "state": [library("invalidValues", validValues=STATES)],
        "fee": [sql("fee NOT BETWEEN 0 AND 900")],
        "score": [sql("score NOT BETWEEN 1 AND 5")],
        "finished_at": [sql("finished_at < accepted_at")],
    }
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "bench.cases",
        "name": "bench",
        "version": "1.0.0",
        "status": "active",
        "servers": [
            {"server": "local", "type": "local", "path": str(parquet), "format": "parquet"}
        ],
        "schema": [
            {
                "name": "cases",
                "physicalType": "table",
                "properties": [
                    {"name": name, "logicalType": kind.value, "quality": quality.get(name, [])}
                    for name, kind in COLUMNS.items()
                ],
            }
        ],
    }


# --- what is measured --------------------------------------------------------------------------


def ours(frame: pl.DataFrame) -> dict[str, Any]:
    """The compiled suite, batch by batch as deliveries are judged."""
    from quality_checks.suite import compile_suite

    session = compile_suite(contract(), codes_dir=HERE, as_of=date(2026, 3, 31)).session()
    good, bad = [], []
    for batch in frame.iter_slices(BATCH):
        verdict = session.check(batch)
        good.append(batch.filter(~verdict.blocked))
        bad.append(batch.with_columns(verdict.rules.alias("_rules")).filter(verdict.blocked))
    results = session.finish()
    return {
        "failed": {result.key: result.failed for result in results},
        "quarantined": sum(part.height for part in bad),
        "kept": sum(part.height for part in good),
    }


def by_hand(frame: pl.DataFrame) -> dict[str, Any]:
    """What somebody who knows polars would write for these ten rules and this split."""
    c = pl.col
    masks = {
        "case_no.not_null": c("case_no").is_null(),
        "case_no.unique": ~c("case_no").is_first_distinct() & c("case_no").is_not_null(),
        "item_code.pattern": ~c("item_code").str.contains(r"^[0-9]{6}$"),
        "area_code.in_set": ~c("area_code").is_in(AREAS),
        "applicant.length": ~c("applicant").str.len_chars().is_between(2, 20),
        "channel.in_set": ~c("channel").is_in(CHANNELS),
        "state.in_set": ~c("state").is_in(STATES),
        "fee.between": ~c("fee").is_between(0, 900),
        "score.between": ~c("score").is_between(1, 5),
        "_row.not_before": c("finished_at") < c("accepted_at"),
    }
    found = frame.select(mask.fill_null(value=False).alias(key) for key, mask in masks.items())
    blocked = found.select(pl.any_horizontal(pl.all())).to_series()
    names = [pl.when(key).then(pl.lit(key)) for key in masks]
    rules = found.filter(blocked).select(pl.concat_list(names).list.drop_nulls().alias("_rules"))
    good, bad = frame.filter(~blocked), frame.filter(blocked).hstack(rules)
    return {
        "failed": found.sum().row(0, named=True),
        "quarantined": bad.height,
        "kept": good.height,
    }


_WAYS: dict[str, Callable[[pl.DataFrame], dict[str, Any]]] = {"ours": ours, "polars": by_hand}


def _measure(way: str, path: str, runs: int) -> dict[str, Any]:
    frame = pl.read_parquet(path)
    _WAYS[way](frame.head(1000))  # imports are no part of it
    seconds, cpu = [], []
    outcome: dict[str, Any] = {}
    for _ in range(runs):
        wall, used = time.perf_counter(), time.process_time()
        outcome = _WAYS[way](frame)
        seconds.append(time.perf_counter() - wall)
        cpu.append(time.process_time() - used)
    return {"version": pl.__version__, "seconds": seconds, "cpu_seconds": cpu, **outcome}


# --- comparing ---------------------------------------------------------------------------------


def _install(folder: Path, packages: tuple[str, ...]) -> None:
    uv = [sys.executable, "-m", "uv"]
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, *packages], check=True)


def _compare(folder: Path, rows: int, runs: int) -> dict[str, Any]:
    parquet, written = folder / f"cases-{rows}.parquet", folder / "cases.odcs.yaml"
    if not parquet.exists():
        write(parquet, rows)
    written.write_text(yaml.safe_dump(odcs(parquet), allow_unicode=True), encoding="utf-8")
    here = [sys.executable, "-m", "tests.benchmarks.bench_suites", "--runs", str(runs), "--child"]
    found: dict[str, Any] = {}
    for way in ("polars", "ours"):
        found[way] = _child([*here, way, str(parquet)])
    script = str(HERE / "tool_great_expectations.py")
    python = str(folder / "great-expectations" / "bin" / "python")
    for engine in ("pandas", "duckdb"):
        found[f"great-expectations {engine}"] = _child([python, script, str(parquet), engine, "1"])
    python = str(folder / "datacontract-cli" / "bin" / "python")
    found["datacontract-cli"] = _child([python, str(HERE / "tool_datacontract.py"), str(written)])
    found["ours again"] = _child([*here, "ours", str(parquet)])
    found["polars again"] = _child([*here, "polars", str(parquet)])
    return {"rows": rows, "runs": runs, "tools": found}


def _child(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True)
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if "Error: " in line]
        return {"error": told[-1:] or ["it ended with an error"]}
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def _best(result: dict[str, Any], *names: str, cpu: bool = False) -> float:
    """The fastest run: on a machine that others use, too, all else is their noise."""
    key = "cpu_seconds" if cpu else "seconds"
    return min(min(result["tools"][name][key]) for name in names if key in result["tools"][name])


def _fastest(result: dict[str, Any]) -> str:
    engines = [
        n for n in result["tools"] if n.startswith("great") and "seconds" in result["tools"][n]
    ]
    return min(engines, key=lambda name: min(result["tools"][name]["seconds"]))


def _ratios(result: dict[str, Any]) -> list[tuple[str, float, float, str]]:
    """What, wall clock ratio, CPU ratio, what it must be."""
    own = ("ours", "ours again")
    polars, other = ("polars", "polars again"), _fastest(result)
    return [
        (
            "ours ÷ hand-written polars",
            _best(result, *own) / _best(result, *polars),
            _best(result, *own, cpu=True) / _best(result, *polars, cpu=True),
            "≤ 1.5",
        ),
        (
            f"{other} ÷ ours",
            _best(result, other) / _best(result, *own),
            _best(result, other, cpu=True) / _best(result, *own, cpu=True),
            "≥ 2",
        ),
    ]


def _table(result: dict[str, Any]) -> list[str]:
    lines = [f"{'tool':<30}{'best s':>9}{'median s':>10}{'CPU s':>9}"]
    for name, one in result["tools"].items():
        if "seconds" not in one:
            lines.append(f"{name:<30} {one['error']}")
            continue
        lines.append(
            f"{name:<30}{min(one['seconds']):>9.2f}{statistics.median(one['seconds']):>10.2f}"
            f"{min(one['cpu_seconds']):>9.2f}"
        )
    for what, wall, cpu, limit in _ratios(result):
        lines.append(f"{what:<45}{wall:>7.2f} wall, {cpu:.2f} CPU, must be {limit}")
    return lines


_DC_FIELDS = {
    "case_no.not_null": ("case_no", "null"),
    "case_no.unique": ("case_no", "duplicate"),
}


def _datacontract_verdict(result: dict[str, Any], key: str) -> str:
    """What datacontract-cli says about a rule: its result, and the number in its words."""
    column, rule = key.split(".")
    column = "finished_at" if column == "_row" else column
    wanted = _DC_FIELDS.get(key, (column, ""))[1]
    for check in result["tools"]["datacontract-cli"].get("checks", []):
        words = f"{check['name']} {check['type']}".lower()
        about_quality = any(
            word in words for word in ("null", "duplicate", "invalid", "sql", "custom")
        )
        if check["field"] == column and about_quality and wanted in words:
            return f"{check['result']}: {check['reason'] or ''}".strip(": ")
    return f"no check ({rule})"


def page(result: dict[str, Any]) -> str:
    """``docs/quality-comparison.md``, from the run's JSON."""
    tools, fastest = result["tools"], _fastest(result)
    lines = [
        "# Quality checks compared",
        "",
        f"Ten rules on {result['rows']:,} generated rows, with the split into good and quarantined",
        "rows. Written by `python -m tests.benchmarks.bench_suites --install --page` from the",
        "figures of that run; the data is generated (`write` in that file), the other tools run in",
        "environments of their own on the same Parquet file.",
        "",
        "## Time",
        "",
        "Measured inside each process, after the file has been read: judging and splitting only.",
        f"The best of {result['runs']} runs before and {result['runs']} after the others (these:",
        "one run). CPU seconds tell more on a machine that others use, too.",
        "",
        "| tool | version | seconds | CPU seconds |",
        "|---|---|---|---|",
    ]
    for name, one in tools.items():
        if "seconds" in one and not name.endswith("again"):
            names = (name, f"{name} again") if f"{name} again" in tools else (name,)
            wall, cpu = _best(result, *names), _best(result, *names, cpu=True)
            lines.append(f"| {name} | {one['version']} | {wall:.2f} | {cpu:.2f} |")
        elif "error" in one:
            lines.append(f"| {name} | – | did not run: {one['error'][0][:120]} | – |")
    lines += ["", "| ratio | wall clock | CPU | must be |", "|---|---|---|---|"]
    lines += [f"| {what} | {w:.2f} | {c:.2f} | {limit} |" for what, w, c, limit in _ratios(result)]
    lines += [
        "",
        "datacontract-cli reads the file itself and splits no rows, so its time compares with",
        "nothing above. Great Expectations runs on pandas, SQL databases and Spark; DuckDB is not",
        "among those it supports and was tried through SQLAlchemy. Spark was not measured.",
        "",
        "## Verdicts",
        "",
        "Failing rows by rule.",
        "",
        f"| rule | ours | polars by hand | {fastest} | datacontract-cli |",
        "|---|---|---|---|---|",
    ]
    for key in RULES:
        counts = [str(tools[name]["failed"][key]) for name in ("ours", "polars", fastest)]
        lines.append(f"| `{key}` | {' | '.join(counts)} | {_datacontract_verdict(result, key)} |")
    split = [str(tools[name]["quarantined"]) for name in ("ours", "polars", fastest)]
    lines += [
        f"| rows quarantined | {' | '.join(split)} | does not split |",
        "",
        "Where counts differ, the tools count different things. `unique`: we keep the first row of",
        "a repeated key and count the later ones, so that one good row stays; Great Expectations",
        "counts the first one as well, and datacontract-cli counts values that occur repeatedly.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
