"""The generated extract that the ingest benchmark reads, and its contract."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import (
    Column,
    ColumnType,
    Contract,
    Gate,
    Layout,
    RuleSpec,
    Scope,
    ServiceLevel,
    Severity,
    SourceSpec,
)

_PART = 500_000
_TEXT, _INTEGER = ColumnType.STRING, ColumnType.INTEGER
_TIMESTAMP, _NUMBER = ColumnType.TIMESTAMP, ColumnType.NUMBER
_AREAS = pl.Series(["990102", "990103", "990104", "990105", "990106", "990181"])
_CHANNELS = pl.Series(["网上", "窗口", "自助终端", "移动端"])
_STATES = pl.Series(["已办结", "办理中", "已退回"])


def write(path: Path, rows: int, encoding: str, seed: int = 1) -> None:
    """Write a CSV of made-up service cases: 12 columns, about 92 bytes a row in UTF-8.

    One row in 200 has a score that the rules quarantine.
    """
    random = np.random.default_rng(seed)
    with path.open("wb") as out:
        for start in range(0, rows, _PART):
            frame = _frame(start, min(_PART, rows - start), random)
            text = frame.write_csv(include_header=start == 0)
            out.write(text.encode(encoding))


def _frame(start: int, rows: int, random: np.random.Generator) -> pl.DataFrame:
    accepted = 1_774_900_000 + random.integers(0, 80_000, rows)
    score = np.where(random.random(rows) < 0.005, 9, random.integers(1, 6, rows))
    return pl.DataFrame(
        {
            "办件编号": np.arange(start, start + rows) + 10**9,
            "事项编码": random.integers(100_000, 999_999, rows),
            "区划代码": _pick(_AREAS, rows, random),
            "受理时间": _clock(accepted),
            "办结时间": _clock(accepted + random.integers(60, 900_000, rows)),
            "承诺时限": random.integers(1, 30, rows),
            "费用": np.round(random.random(rows) * 900, 2),
            "满意度": score,
            "渠道": _pick(_CHANNELS, rows, random),
            "状态": _pick(_STATES, rows, random),
            "窗口": random.integers(1, 99, rows),
            "材料数": random.integers(0, 9, rows),
        }
    )


def _pick(values: pl.Series, rows: int, random: np.random.Generator) -> pl.Series:
    return values.gather(random.integers(0, len(values), rows))


def _clock(seconds: np.ndarray[Any, Any]) -> pl.Series:
    return pl.from_epoch(pl.Series(seconds)).dt.strftime("%Y-%m-%d %H:%M:%S")


def contract(encoding: str) -> Contract:
    """The contract of the file: 12 columns, 10 rules."""
    columns = (
        _column("case_no", "办件编号", _TEXT, primary_key=True, required=True),
        _column("item_code", "事项编码", _TEXT),
        _column("area_code", "区划代码", _TEXT),
        _column("accepted_at", "受理时间", _TIMESTAMP),
        _column("finished_at", "办结时间", _TIMESTAMP),
        _column("limit_days", "承诺时限", _INTEGER),
        _column("fee", "费用", _NUMBER, precision=(18, 2)),
        _column("score", "满意度", _INTEGER),
        _column("channel", "渠道", _TEXT),
        _column("state", "状态", _TEXT),
        _column("counter", "窗口", _INTEGER),
        _column("documents", "材料数", _INTEGER),
    )
    rules = (
        _rule("case_no", "not_null"),
        _rule("case_no", "pattern", pattern=r"^\d{10}$"),
        _rule("case_no", "unique", Scope.DATASET),
        _rule("area_code", "in_set", values=_AREAS.to_list()),
        _rule("accepted_at", "type"),
        _rule("finished_at", "type"),
        _rule("limit_days", "type"),
        _rule("fee", "type"),
        _rule("score", "between", minimum=1, maximum=5),
        _rule("channel", "in_set", values=_CHANNELS.to_list()),
    )
    return Contract(
        id=DatasetId("gov", "cases"),
        version="1.0.0",
        title="办件（演示）",
        path=Path("contracts/gov/cases.odcs.yaml"),
        sha256="0" * 64,
        columns=columns,
        rules=rules,
        source=SourceSpec("drop_folder", {"path": "cases*"}),
        layout=Layout(encoding=encoding),
        service_level=ServiceLevel("day", timedelta(days=1), timedelta(days=1)),
        gate=Gate(),
    )


def _column(name: str, header: str, kind: ColumnType, **more: Any) -> Column:
    return Column(name, kind, header, (header, name), **more)


def _rule(column: str, name: str, scope: Scope = Scope.ROW, **arguments: Any) -> RuleSpec:
    key = f"gov.cases.{column}.{name}"
    return RuleSpec(key, name, (column,), Severity.BLOCK, "0302", "conformity", scope, arguments)
