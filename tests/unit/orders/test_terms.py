"""The terms of orders in city.yaml and in contracts: read, merged, linted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from cityledger.contracts.city import read_city
from cityledger.contracts.lint import lint
from cityledger.contracts.rectification import Rectification
from cityledger.contracts.registry import load_contract
from cityledger.settings import PROJECT_DIR


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    copy = tmp_path / "contracts"
    shutil.copytree(PROJECT_DIR / "contracts", copy)
    city = copy / "city.yaml"
    before, _, _ = city.read_text("utf-8").partition("\nrectification:")
    city.write_text(f"{before}\n", encoding="utf-8")
    return copy


def write(contracts: Path, terms: str, *, in_city: bool) -> Path:
    if in_city:
        path = contracts / "city.yaml"
        addition = f"rectification: {terms}\n"
    else:
        path = contracts / "hotline" / "tickets.odcs.yaml"
        addition = f"  - {{property: rectification, value: {terms}}}\n"
    path.write_text(path.read_text("utf-8") + addition, encoding="utf-8")
    return path


def test_the_citys_terms_and_what_a_contract_changes(contracts: Path) -> None:
    """Prevents a contract that changes one figure from losing the city's others."""
    city = write(contracts, "{dueWorkingDays: 10, openOnHeld: false}", in_city=True)
    own = write(
        contracts,
        "{openAbovePercent: 2, escalateAfterWorkingDays: 1, escalateTo: office@yunxi.example}",
        in_city=False,
    )
    assert lint(contracts) == []
    terms = read_city(city).rectification.but(load_contract(own).rectification)
    assert terms == Rectification(
        open_above_percent=2.0,
        open_on_held=False,
        due_working_days=10,
        escalate_after_working_days=1,
        escalate_to="office@yunxi.example",
    )


def test_without_terms_there_are_defaults(contracts: Path) -> None:
    """Prevents a city without the section from opening no order at all."""
    assert read_city(contracts / "city.yaml").rectification == Rectification()
    assert load_contract(contracts / "hotline" / "tickets.odcs.yaml").rectification == {}


@pytest.mark.parametrize("in_city", [True, False])
@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ("{openAbovePercent: 101}", "101 is no percentage"),
        ("{openAbovePercent: '5'}", "must be a number"),
        ("{openOnHeld: maybe}", "must be true or false"),
        ("{dueWorkingDays: 0}", "whole number of 1 or more"),
        ("{dueWorkingDays: 400}", "more than a year"),
        ("{escalateAfterWorkingDays: 1.5}", "whole number of 1 or more"),
        ("{escalateTo: 7}", "must be text"),
        ("{dueDays: 5}", "unknown key 'dueDays'"),
        ("[5]", "a mapping is expected"),
    ],
)
def test_bad_terms_are_found_by_the_lint(
    contracts: Path, terms: Any, message: str, in_city: bool
) -> None:
    """Prevents a misspelt term from silently meaning the default."""
    path = write(contracts, terms, in_city=in_city)
    found = [str(violation) for violation in lint(contracts)]
    assert any(message in one and path.name in one for one in found), found
