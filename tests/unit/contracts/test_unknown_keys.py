"""A misspelt key is a rule that never runs: none may pass, at any depth."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cityledger.contracts.resolve import resolve

from .conftest import CATALOGUE, documented_contract, dump

Path_ = tuple[str | int, ...]


def _mappings(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            yield from _mappings(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _mappings(inner, (*path, index))


def _full_contract() -> dict[str, Any]:
    contract: dict[str, Any] = yaml.safe_load(documented_contract())
    quality = contract["schema"][0]["quality"]
    quality[0]["implementation"]["arguments"] = {"strict": True}
    quality.append(
        {"type": "library", "metric": "duplicateValues", "arguments": {"properties": ["fare"]}}
    )
    fare = contract["schema"][0]["properties"][-1]
    fare["customProperties"].append({"property": "options", "value": {"unit": "元"}})
    return contract


CONTRACT = _full_contract()
PLACES = list(_mappings(CONTRACT))


def test_the_contract_to_spoil_is_good(tmp_path: Path) -> None:
    """Otherwise the tests below would pass for the wrong reason."""
    path = tmp_path / "transport" / "metro_trips.odcs.yaml"
    path.parent.mkdir()
    path.write_text(dump(CONTRACT), encoding="utf-8")
    assert resolve(path, CATALOGUE).violations == []
    assert len(PLACES) > 40


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)) or "top")
def test_an_unknown_key_anywhere_is_reported_with_its_line(tmp_path: Path, place: Path_) -> None:
    """The official model forbids unknown keys at the top level only."""
    contract = copy.deepcopy(CONTRACT)
    target = contract
    for step in place:
        target = target[step]  # type: ignore[index] # a path through dicts and lists
    target["zzUnknown"] = 1
    text = dump(contract)
    path = tmp_path / "transport" / "metro_trips.odcs.yaml"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    line = next(n for n, text_ in enumerate(text.splitlines(), 1) if "zzUnknown" in text_)
    found = [v for v in resolve(path, CATALOGUE).violations if "zzUnknown" in v.message]
    assert [violation.line for violation in found] == [line]
