"""The lint of a whole house: everything at once, nothing twice, no secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from cityledger.contracts.lint import examine, lint
from cityledger.contracts.registry import load_contract, load_contracts
from cityledger.contracts.violations import ContractError

from .conftest import CATALOGUE, WriteContract, documented_contract

HERE = Path(__file__).parent
BAD_HOUSE = HERE / "bad_house"


def test_golden_report_of_a_bad_house() -> None:
    """One run reports every violation of every file, at its place and with a fix.

    The expected file is read by people in review: a changed message or place shows there.
    """
    found = [
        str(violation).replace(f"{BAD_HOUSE}/", "") for violation in lint(BAD_HOUSE, CATALOGUE)
    ]
    expected = (HERE / "bad_house.txt").read_text(encoding="utf-8").splitlines()
    assert found == expected


def test_secrets_are_found_and_not_repeated() -> None:
    """A linter's log would otherwise spread the password it complains about."""
    report = "\n".join(str(violation) for violation in lint(BAD_HOUSE, CATALOGUE))
    assert report.count("Airflow connection") == 2
    assert "hunter2" not in report


def test_load_contracts_refuses_with_all_violations() -> None:
    """A house with one bad contract must not run on the rest as if it were whole."""
    with pytest.raises(ContractError) as caught:
        load_contracts(BAD_HOUSE, CATALOGUE)
    assert len(caught.value.violations) == len(lint(BAD_HOUSE, CATALOGUE))
    assert caught.value.exit_code == 4


def test_the_documented_contract_loads(write: WriteContract) -> None:
    """The reference page shows a contract that works."""
    path = write(documented_contract())
    contract = load_contract(path, CATALOGUE)
    assert str(contract.id) == "transport.metro_trips"
    assert load_contracts(path.parents[1]) == {"transport.metro_trips": contract}


def test_an_empty_or_missing_directory_is_an_error(tmp_path: Path) -> None:
    """`lint` on a wrong path must not report success."""
    assert [v.message for v in lint(tmp_path)] == ["no contracts here"]
    assert [v.message for v in lint(tmp_path / "none")] == ["there is no such directory"]


def test_files_that_nobody_reads_are_reported(write: WriteContract) -> None:
    """A contract under a wrong name would silently not exist."""
    path = write(documented_contract())
    (path.parent / "metro_cards.yaml").write_text("id: x\n", encoding="utf-8")
    (path.parents[1] / "codes").mkdir()
    (path.parents[1] / "codes" / "list.txt").write_text("x", encoding="utf-8")
    report = examine(path.parents[1])
    assert [(v.file.name, v.message) for v in report.violations] == [
        ("list.txt", "no code list"),
        ("metro_cards.yaml", "nobody reads this file"),
    ]


def test_an_unreadable_file_does_not_stop_the_others(write: WriteContract) -> None:
    """Broken syntax in one contract hides no violation of another."""
    write("id: [", "transport/broken.odcs.yaml")
    path = write(documented_contract().replace("kind: DataContract", "kind: Data"))
    assert [(v.file.name, v.line) for v in lint(path.parents[1])] == [
        ("broken.odcs.yaml", 2),
        ("metro_trips.odcs.yaml", 2),
    ]


@pytest.mark.parametrize("content", ["", "- a\n", "text\n", "{}\n", "schema: x\n", "schema: [1]\n"])
def test_any_yaml_ends_in_violations(write: WriteContract, content: str) -> None:
    """What is no contract at all still gets messages, not a traceback."""
    with pytest.raises(ContractError):
        load_contract(write(content))
