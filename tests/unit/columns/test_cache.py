"""Column lineage that is remembered is the lineage that would be found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cityledger.ledger.columns import TableLineage, column_lineage, project


def _model(name: str, sql: str, *parents: str) -> dict[str, Any]:
    return {
        "resource_type": "model",
        "name": name,
        "schema": "core",
        "alias": name,
        "compiled_code": sql,
        "columns": {},
        "config": {"enabled": True, "meta": {}},
        "depends_on": {"nodes": list(parents)},
    }


def _trace(folder: Path, below: str, above: str) -> list[TableLineage]:
    nodes = {"below": _model("below", below), "above": _model("above", above, "below")}
    (folder / "manifest.json").write_text(json.dumps({"nodes": nodes}))
    return column_lineage(folder, folder, cache=folder / "cache" / "lineage.json")


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models that were traced and not remembered."""
    names: list[str] = []
    trace = project._model

    def noted(node: Any, *rest: Any) -> TableLineage:
        names.append(node["name"])
        return trace(node, *rest)

    monkeypatch.setattr(project, "_model", noted)
    return names


BELOW, ABOVE = "select 1 as one", "select * from lake.core.below"


def test_unchanged_models_are_remembered(tmp_path: Path, traced: list[str]) -> None:
    """Prevents seconds of tracing with every standardisation of the same models."""
    first = _trace(tmp_path, BELOW, ABOVE)
    assert traced == ["below", "above"]
    assert _trace(tmp_path, BELOW, ABOVE) == first
    assert traced == ["below", "above"]


def test_changed_columns_below_are_seen_above(tmp_path: Path, traced: list[str]) -> None:
    """Prevents lineage of a column that a parent no longer has, under SQL that did not change."""
    _trace(tmp_path, BELOW, ABOVE)
    again = _trace(tmp_path, "select 1 as one, 2 as two", ABOVE)
    assert [one.column for one in again[1].columns] == ["one", "two"]
    assert traced == ["below", "above"] * 2


def test_problem_is_not_remembered(tmp_path: Path, traced: list[str]) -> None:
    """Prevents a model that could not be traced once from staying so."""
    for _ in range(2):
        assert _trace(tmp_path, BELOW, "select missing from lake.core.below")[1].problem
    assert traced == ["below", "above", "above"]


@pytest.mark.parametrize("content", [b"", b"{", b'{"x": {"model": 1}}', b"\xff"])
def test_broken_cache_is_made_anew(tmp_path: Path, content: bytes) -> None:
    """Prevents half a file from stopping the standardisation."""
    first = _trace(tmp_path, BELOW, ABOVE)
    (tmp_path / "cache" / "lineage.json").write_bytes(content)
    assert _trace(tmp_path, BELOW, ABOVE) == first
