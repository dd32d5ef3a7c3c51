"""A good contract to spoil: the one that docs/contracts.md shows, so the page can't go stale."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cityledger.contracts.catalogue import RuleCatalogue, RuleFacts, ValueTypeFacts
from cityledger.contracts.model import ColumnType, Scope

PROJECT = Path(__file__).parents[3]
PAGE = PROJECT / "docs" / "contracts.md"


def documented_contract() -> str:
    """The whole contract on the reference page."""
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return next(block for block in blocks if block.startswith("apiVersion:"))


CATALOGUE = RuleCatalogue(
    rules={
        "not_before": RuleFacts(
            allowed=frozenset({"strict"}), least_columns=2, scopes=frozenset({Scope.ROW})
        ),
        "in_set": RuleFacts(allowed=frozenset({"values", "codes"}), least_columns=1),
        "sum_of": RuleFacts(
            allowed=frozenset({"tolerance"}),
            required=frozenset({"tolerance"}),
            scopes=frozenset({Scope.DATASET}),
        ),
    },
    value_types={
        "money": ValueTypeFacts(
            allowed=frozenset({"unit"}),
            types=frozenset({ColumnType.NUMBER}),
            suffixes=frozenset({"currency"}),
        ),
    },
    connectors={"drop_folder": None},
)

WriteContract = Callable[[Any], Path]


@pytest.fixture
def good() -> dict[str, Any]:
    """The documented contract as plain data, to be changed at will."""
    return copy.deepcopy(yaml.safe_load(documented_contract()))


@pytest.fixture
def write(tmp_path: Path) -> WriteContract:
    """Writes a contract (data or text) to where its id says it belongs."""

    def _write(content: Any, name: str = "transport/metro_trips.odcs.yaml") -> Path:
        path = tmp_path / "contracts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else dump(content)
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def dump(data: Any) -> str:
    """Block-style YAML, one key a line."""
    return yaml.safe_dump(data, allow_unicode=True, sort_keys=False, default_flow_style=False)
