"""One name follows a dataset through the house: path, id, prefix, dbt model, DAG.

`grep -r transport__metro_trips` must lead from the contract to everything that it drives.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from cityledger.contracts.identity import DatasetId
from cityledger.contracts.model import Contract
from cityledger.contracts.registry import load_contracts

PROJECT = Path(__file__).parents[2]
CONTRACTS = load_contracts(PROJECT / "contracts")
STAGING = PROJECT / "dbt_project" / "models" / "staging"

every_contract = pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())


@every_contract
def test_the_id_is_the_path(contract: Contract) -> None:
    """A file that moved without its id would land its data under two names."""
    assert contract.path == PROJECT / "contracts" / f"{contract.id.prefix}.odcs.yaml"
    assert DatasetId.parse(str(contract.id)) == contract.id


@every_contract
def test_rule_keys_begin_with_the_id(contract: Contract) -> None:
    """Results of all datasets lie in one table."""
    assert all(rule.key.startswith(f"{contract.id}.") for rule in contract.rules)


@every_contract
def test_there_is_a_staging_model_of_that_name(contract: Contract) -> None:
    """A released dataset that nobody stages is missing from every indicator."""
    model = STAGING / f"stg_{contract.id.model}.sql"
    assert model.is_file(), f"run: cityledger contract scaffold {contract.id}"
    assert f"'{contract.id}'" in model.read_text(encoding="utf-8")
    described = yaml.safe_load(model.with_suffix(".yml").read_text(encoding="utf-8"))
    assert [entry["name"] for entry in described["models"]] == [model.stem]


def test_there_is_no_staging_model_without_a_contract() -> None:
    """A dataset that was dropped must not live on in the warehouse."""
    expected = {f"stg_{contract.id.model}" for contract in CONTRACTS.values()}
    assert {path.stem for path in STAGING.glob("stg_*.sql")} == expected
