"""A small contract and a reader of bytes; all data is made up."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import (
    Column,
    ColumnType,
    Contract,
    Drift,
    Layout,
    ServiceLevel,
    SourceSpec,
)
from cityledger.lifecycle.readers import read_chunks
from cityledger.lifecycle.readers.base import Reject


def column(name: str, business: str, *synonyms: str, **more: Any) -> Column:
    return Column(name, ColumnType.STRING, business, (business, name, *synonyms), **more)


COLUMNS = (
    column("case_no", "办件编号", "流水号", required=True, primary_key=True),
    column("area", "区划代码", "行政区划"),
    column("fee", "费用"),
)


def contract(
    columns: tuple[Column, ...] = COLUMNS, drift: Drift = Drift.FREEZE, **layout: Any
) -> Contract:
    return Contract(
        id=DatasetId("gov", "cases"),
        version="1.0.0",
        title="办件",
        path=Path("contracts/gov/cases.odcs.yaml"),
        sha256="c" * 64,
        columns=columns,
        rules=(),
        source=SourceSpec("drop_folder", {"path": "gov/cases.csv"}),
        layout=Layout(**layout),
        service_level=ServiceLevel("day", timedelta(days=1), timedelta(days=30)),
        drift=drift,
    )


@dataclass
class Read:
    """Everything that came out of a file."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    totals: list[dict[str, str]] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)
    members: list[str | None] = field(default_factory=list)

    @property
    def values(self) -> list[tuple[Any, ...]]:
        return [
            tuple(value for name, value in row.items() if name != "_source_row")
            for row in self.rows
        ]

    @property
    def lines(self) -> list[int]:
        return [row["_source_row"] for row in self.rows]

    @property
    def reasons(self) -> list[tuple[int, str]]:
        return sorted((entry.row, entry.reason) for entry in self.rejects)


def read(data: bytes, contract_: Contract | None = None, name: str = "cases.csv") -> Read:
    result = Read()
    stream = io.BytesIO(data)
    for member in read_chunks(stream, name, len(data), contract_ or contract()):
        result.members.append(member.name)
        for chunk in member.chunks:
            result.rows.extend(chunk.frame.iter_rows(named=True))
            result.rejects.extend(chunk.rejects)
            result.totals.extend(chunk.totals)
            result.drift.extend(chunk.drift)
    return result


@pytest.fixture(name="read")
def _read() -> Callable[..., Read]:
    return read


@pytest.fixture(name="contract")
def _contract() -> Callable[..., Contract]:
    return contract


@pytest.fixture(name="column")
def _column() -> Callable[..., Column]:
    return column


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> int:
    """Blocks so small that every kind of record straddles them."""
    monkeypatch.setattr("cityledger.lifecycle.readers.encoding.BLOCK", 61)
    return 61
