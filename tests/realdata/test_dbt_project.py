"""Contracts and models of the trial, checked without the extracts: part of every `make test`."""

from __future__ import annotations

from datetime import date

from cityledger.contracts.registry import load_contracts
from cityledger.contracts.scaffold import model_name, scaffold, scaffold_properties

from quality_checks.compiler import compile_suite
from tests.realdata.extracts import CONTRACTS, DBT_PROJECT


def test_staging_models_follow_from_the_contracts() -> None:
    """The long trial is run rarely: a rule or a column that changed meanwhile must show at once."""
    folder = DBT_PROJECT / "models" / "staging"
    expected = {}
    for contract in load_contracts(CONTRACTS).values():
        suite = compile_suite(contract, codes_dir=CONTRACTS / "codes", as_of=date(2026, 1, 1))
        columns = suite.output_columns
        expected[f"{model_name(contract)}.sql"] = scaffold(contract, columns)
        expected[f"{model_name(contract)}.yml"] = scaffold_properties(contract, columns)
    assert {path.name: path.read_text("utf-8") for path in folder.iterdir()} == expected
