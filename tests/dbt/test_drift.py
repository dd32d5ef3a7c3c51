"""Contracts, models, cards and macros say the same; none can be changed alone."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from cityledger.contracts.model import Contract
from cityledger.contracts.registry import load_contracts
from cityledger.contracts.scaffold import model_name, scaffold, scaffold_properties
from cityledger.settings import PROJECT_DIR

from quality_checks.suite import compile_suite

CONTRACTS = PROJECT_DIR / "contracts"
PROJECT = PROJECT_DIR / "dbt_project"
MODELS = PROJECT / "models"

CARD_KEYS = {
    "code",
    "name",
    "unit",
    "definition",
    "numerator",
    "denominator",
    "frequency",
    "responsible_department",
    "areas",
    "baseline",
    "target",
    "direction",
    "thresholds",
    "standard",
    "version",
    "valid_from",
    "valid_to",
    "datasets",
}
# Time and chance would make a second build differ; the rest is syntax that other engines lack.
FORBIDDEN = {
    r"\b(now|random|uuid|current_timestamp|current_date|getdate)\s*\(": "time or chance",
    r"\bcurrent_(timestamp|date)\b": "time",
    r"::": "a cast by colons",
    r"\bqualify\b": "QUALIFY",
    r"\bexclude\s*\(": "EXCLUDE",
    r"\b(list|arg_max|arg_min|strftime|regexp_matches|unnest|any_value)\s*\(": "own function",
    r"\bgroup by all\b": "GROUP BY ALL",
    r"\b(read_parquet|read_csv|read_json|getvariable)\b": "reading by engine's own function",
    r"\b(float|real)\b": "32-bit floats",
}


@pytest.fixture(scope="module")
def contracts() -> dict[str, Contract]:
    return load_contracts(CONTRACTS)


@pytest.fixture(scope="module")
def cards() -> dict[str, dict[str, Any]]:
    """Model name → card."""
    document = yaml.safe_load((MODELS / "indicators" / "_indicators.yml").read_text("utf-8"))
    return {
        model["name"]: model.get("config", {}).get("meta", {}).get("indicator")
        for model in document["models"]
        if model["name"].startswith("ind_")
    }


def test_every_contract_has_its_staging_model_and_no_model_lacks_a_contract(
    contracts: dict[str, Contract],
) -> None:
    """A dataset without a model would land, be validated, and never arrive."""
    expected = {model_name(contract) for contract in contracts.values()}
    assert len(expected) == 9
    assert {path.stem for path in (MODELS / "staging").glob("*.sql")} == expected
    assert {path.stem for path in (MODELS / "staging").glob("*.yml")} == expected


def test_staging_models_are_what_the_contracts_say(contracts: dict[str, Contract]) -> None:
    """A column that only one of them has is dropped or NULL; `contract scaffold` repairs it."""
    for contract in contracts.values():
        suite = compile_suite(contract, codes_dir=CONTRACTS / "codes", as_of=date(2026, 3, 31))
        model = MODELS / "staging" / model_name(contract)
        columns = suite.output_columns
        assert model.with_suffix(".sql").read_text("utf-8") == scaffold(contract, columns)
        assert model.with_suffix(".yml").read_text("utf-8") == scaffold_properties(
            contract, columns
        )


def test_accounting_reads_every_staging_model() -> None:
    """A dataset that is left out of the audit would balance by not being looked at."""
    staged = {path.stem for path in (MODELS / "staging").glob("*.sql")}
    text = (MODELS / "audit" / "aud_accounting_identity.sql").read_text("utf-8")
    assert set(re.findall(r"ref\('(\w+)'\)", text)) == staged


def test_every_indicator_has_a_complete_card(cards: dict[str, dict[str, Any]]) -> None:
    """A number without a definition cannot be defended before an auditor."""
    assert {path.stem for path in (MODELS / "indicators").glob("ind_*.sql")} == set(cards)
    assert len(cards) >= 12
    for name, card in cards.items():
        assert card is not None, name
        assert set(card) == CARD_KEYS, name
        for text in ("name", "unit", "definition"):
            assert set(card[text]) == {"zh", "en"}, name
            assert all(card[text].values()), name
        assert card["direction"] in {"higher", "lower", "none"}, name
        assert card["target"]["kind"] in {"value", "reduction_percent", "none"}, name
        assert (card["target"]["kind"] == "none") == (card["direction"] == "none"), name
        assert card["target"]["kind"] != "reduction_percent" or card["baseline"], name
        assert card["frequency"] in {"day", "month", "quarter", "year"}, name
        assert card["standard"], name
    assert len({card["code"] for card in cards.values()}) == len(cards)


def test_cards_name_datasets_and_departments_that_exist(
    cards: dict[str, dict[str, Any]], contracts: dict[str, Contract]
) -> None:
    """A card that points nowhere has nobody who answers for it."""
    departments = {contract.id.department for contract in contracts.values()}
    for name, card in cards.items():
        assert card["datasets"], name
        assert set(card["datasets"]) <= set(contracts), name
        assert card["responsible_department"] in departments, name


def test_all_indicators_reach_the_published_table(cards: dict[str, dict[str, Any]]) -> None:
    """The union is a list; a model that it lacks would be built and never published."""
    text = (MODELS / "indicators" / "fct_indicator_value.sql").read_text("utf-8")
    assert set(re.findall(r"ref\('(ind_\w+)'\)", text)) == set(cards)


def _sql_files() -> list[Path]:
    files = [*MODELS.rglob("*.sql"), *(PROJECT / "macros").rglob("*.sql")]
    return [path for path in files if "adapters" not in path.parts]


@pytest.mark.parametrize("path", _sql_files(), ids=lambda path: path.stem)
def test_models_are_portable_and_repeatable(path: Path) -> None:
    """What only one engine knows belongs to macros/adapters; time and chance nowhere."""
    text = re.sub(r"\{#.*?#\}|--[^\n]*|'[^']*'", "", path.read_text("utf-8"), flags=re.DOTALL)
    for pattern, what in FORBIDDEN.items():
        assert not re.search(pattern, text.lower()), f"{path.name}: {what}"


def test_columns_are_described() -> None:
    """The descriptions are the data dictionary."""
    for path in MODELS.rglob("*.yml"):
        document = yaml.safe_load(path.read_text("utf-8"))
        for model in document.get("models", []):
            assert model.get("description"), model["name"]
            for column in model["columns"]:
                assert column.get("description"), f"{model['name']}.{column['name']}"
