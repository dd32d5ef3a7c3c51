"""The contracts that ship with the project: valid for us, and valid for anybody's ODCS tool."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from cityledger.cli.contract import house_catalogue
from cityledger.contracts.codes import load_codes
from cityledger.contracts.lint import examine
from cityledger.contracts.registry import load_contract, load_contracts
from jsonschema.validators import validator_for
from open_data_contract_standard.model import OpenDataContractStandard

from .conftest import PROJECT

CONTRACTS = PROJECT / "contracts"
FILES = sorted(CONTRACTS.glob("*/*.odcs.yaml"))


def test_the_house_has_no_violations() -> None:
    """With every rule, value type and connector that is installed."""
    report = examine(CONTRACTS, house_catalogue())
    assert [str(violation) for violation in report.violations] == []
    assert len(report.contracts) == len(FILES) > 0


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_valid_by_the_official_json_schema(path: Path) -> None:
    """The standard's own schema is stricter than its pydantic model; tools check by it."""
    schema = json.loads(OpenDataContractStandard.json_schema())
    validator = validator_for(schema)(schema)
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    errors = [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(data)]
    assert errors == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_rewritten_by_the_official_model_it_means_the_same(path: Path, tmp_path: Path) -> None:
    """Nothing that we read may lie outside of what the standard keeps."""
    copy = tmp_path / path.parent.name / path.name
    copy.parent.mkdir()
    copy.write_text(OpenDataContractStandard.from_file(str(path)).to_yaml(), encoding="utf-8")
    one, other = load_contract(path), load_contract(copy)
    for part in ("columns", "rules", "source", "layout", "service_level", "gate", "sharing"):
        assert getattr(one, part) == getattr(other, part), part


def test_rule_keys_are_unique_in_the_whole_house() -> None:
    """Results are stored by rule key."""
    keys = [rule.key for c in load_contracts(CONTRACTS).values() for rule in c.rules]
    assert len(keys) == len(set(keys)) > 100


def test_every_code_list_loads() -> None:
    """A list that does not load stops a run at night, not in review."""
    names = [path.stem for path in (CONTRACTS / "codes").iterdir()]
    assert {name for name in names if not load_codes(CONTRACTS / "codes", name).entries} == set()
    assert {"sex", "industry_section", "uscc_department"} <= set(names)
