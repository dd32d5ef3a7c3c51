"""A misspelt key is a rule that never runs: none may pass, at any depth."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from cityledger.contracts.resolve import resolve
from hypothesis import given, settings
from hypothesis import strategies as st

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


def _nodes(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _nodes(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _nodes(inner, (*path, index))


_LISTS: list[Any] = [[], [None], [[]], [1], [{"name": {}}]]
_MAPPINGS: list[Any] = [{}, {"a": 1}, {"name": []}]
_SCALARS: list[Any] = [None, True, 0, -1, 1.5, float("inf"), "", "x", "{", date(2026, 1, 1), 10**30]
_ODD = st.sampled_from([*_LISTS, *_MAPPINGS, *_SCALARS])


@settings(deadline=None, max_examples=250)
@given(place=st.sampled_from(list(_nodes(CONTRACT))), value=_ODD)
def test_any_value_anywhere_ends_in_violations_not_in_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, place: Path_, value: Any
) -> None:
    """The lint reads what people are still typing."""
    contract = copy.deepcopy(CONTRACT)
    target: Any = contract
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    path = tmp_path_factory.getbasetemp() / "transport" / "metro_trips.odcs.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(dump(contract), encoding="utf-8")
    for violation in resolve(path, CATALOGUE).violations:
        assert violation.fix
        assert 1 <= violation.line <= len(path.read_text(encoding="utf-8").splitlines())
