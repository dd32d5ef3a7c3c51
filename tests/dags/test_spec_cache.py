"""What is kept of contracts between two parsings."""

from __future__ import annotations

from pathlib import Path

import pytest
from cityledger.airflow.specs import Specs, read_specs
from cityledger.contracts import lint, resolve
from cityledger.settings import get_settings


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the contract files that were read, in order."""
    names: list[str] = []

    def note(path: Path, *more: object) -> resolve.Resolved:
        names.append(path.name)
        return resolve.resolve(path, *more)  # type: ignore[arg-type]  # handed on as it came

    monkeypatch.setattr(lint, "resolve", note)
    return names


def specs() -> Specs:
    """As a DAG file asks for them."""
    return read_specs(get_settings())


def test_a_changed_contract_costs_one_reading(contracts: Path, read: list[str]) -> None:
    """With 1,000 contracts every typing error would cost as long as the first start."""
    before = specs()
    assert len(read) == len(before.good) >= 9
    read.clear()
    tickets = contracts / "hotline" / "tickets.odcs.yaml"
    tickets.write_text(tickets.read_text("utf-8") + "\nqualtiy: []\n", "utf-8")
    after = specs()
    assert read == ["tickets.odcs.yaml"]
    assert set(before.good) - set(after.good) == {
        spec for spec in before.good if spec.dataset == "hotline.tickets"
    }
    assert len(after.problems) == 1
    read.clear()
    assert specs() == after
    assert read == []


def test_a_contract_that_is_gone_is_forgotten(contracts: Path, read: list[str]) -> None:
    """Its DAG would go on asking for files."""
    count = len(specs().good)
    read.clear()
    (contracts / "hotline" / "tickets.odcs.yaml").unlink()
    assert len(specs().good) == count - 1
    assert read == []


def test_what_all_share_is_checked_again_with_all(contracts: Path, read: list[str]) -> None:
    """A contract that was good with the old code list may be broken with the new one."""
    specs()
    read.clear()
    (contracts / "codes" / "hotline_categories.yaml").unlink()
    after = specs()
    assert len(read) == len(list(contracts.glob("*/*.odcs.yaml")))
    assert any("hotline_categories" in problem for problem in after.problems)
    assert "hotline.tickets" not in {spec.dataset for spec in after.good}
