"""Small contracts for the tests: a column or two, and only the rules asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
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
)

from quality_checks.rules import all_rules
from quality_checks.suite import Suite, compile_suite

AS_OF = date(2026, 3, 31)

AREAS = """
name: areas
title: 测试区划
codes:
  - {code: "990102", name: 云港区, valid_from: 1988-01-01}
  - {code: "990106", name: 松溪区, valid_from: 2026-01-01}
  - {code: "990122", name: 松溪县, valid_from: 1988-01-01, valid_to: 2025-12-31}
"""


def make_column(name: str, kind: str = "string", **settings: Any) -> Column:
    """A column; ``value_type`` names its value type."""
    value_type = settings.pop("value_type", None)
    return Column(name, ColumnType(kind), name, (name,), semantic_type=value_type, **settings)


def make_rule(name: str, *columns: str, **settings: Any) -> RuleSpec:
    """A rule use; ``arguments``, ``severity``, ``threshold``, ``scope`` as in RuleSpec."""
    default = all_rules()[name].scopes[0] if name in all_rules() else Scope.ROW
    return RuleSpec(
        key=f"health.sample.{'_'.join(columns) or '_table'}.{name}",
        rule=name,
        columns=columns,
        severity=settings.get("severity", Severity.BLOCK),
        gb_code="0302",
        dimension="accuracy",
        scope=settings.get("scope", default),
        arguments=settings.get("arguments", {}),
        threshold=settings.get("threshold"),
    )


def make_contract(
    columns: Sequence[Column], rules: Sequence[RuleSpec], tokens: Sequence[str] = ("", "N/A", "—")
) -> Contract:
    """A contract of nothing but columns and rules."""
    return Contract(
        id=DatasetId("health", "sample"),
        version="1.0.0",
        title="样例",
        path=Path("sample.odcs.yaml"),
        sha256="0" * 64,
        columns=tuple(columns),
        rules=tuple(rules),
        source=SourceSpec("drop_folder", {}),
        layout=Layout(),
        service_level=ServiceLevel("day", timedelta(days=1), timedelta(days=1)),
        null_tokens=tuple(tokens),
    )


@pytest.fixture(scope="session")
def codes_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one effective-dated code list."""
    directory = tmp_path_factory.mktemp("contracts") / "codes"
    directory.mkdir()
    (directory / "areas.yaml").write_text(AREAS, encoding="utf-8")
    return directory


SuiteMaker = Callable[..., Suite]
Read = Callable[..., pl.DataFrame]


@pytest.fixture(scope="session")
def suite(codes_dir: Path) -> SuiteMaker:
    """Compile columns and rules: ``suite([column("a")], [rule("not_null", "a")])``."""

    def make(
        columns: Sequence[Column], rules: Sequence[RuleSpec], tables: Any = None, **settings: Any
    ) -> Suite:
        made = make_contract(columns, rules, **settings)
        return compile_suite(made, codes_dir=codes_dir, as_of=AS_OF, tables=tables)

    return make


@pytest.fixture(scope="session")
def read(suite: SuiteMaker) -> Read:
    """Read texts as one column: ``read(column("a", "date"), ["2026-01-01"])``."""

    def run(
        judged: Column, texts: Sequence[str | None], **more: Sequence[str | None]
    ) -> pl.DataFrame:
        others = [make_column(name, "date") for name in more]
        made = suite([judged, *others], [make_rule("not_null", judged.name)])
        frame = pl.DataFrame(
            {judged.name: texts, **more}, schema=dict.fromkeys((judged.name, *more), pl.String)
        )
        return made.read(frame)

    return run


@pytest.fixture(scope="session")
def column() -> Callable[..., Column]:
    """Make a column: ``column("a", "date", value_type="chinese_date")``."""
    return make_column


@pytest.fixture(scope="session")
def rule() -> Callable[..., RuleSpec]:
    """Make a rule use: ``rule("between", "a", arguments={"minimum": 1})``."""
    return make_rule


@pytest.fixture(scope="session")
def contract() -> Callable[..., Contract]:
    """Make a contract of columns and rules."""
    return make_contract
