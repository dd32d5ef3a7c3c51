"""A delivery in parts through the runner and the command line, on real servers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cityledger.cli import parallel
from cityledger.cli.main import app
from cityledger.contracts.identity import Partition
from cityledger.demo.generate.generator import generate, key_path
from cityledger.errors import CityLedgerError
from cityledger.ledger.catalog import Catalog
from cityledger.ledger.graph import LineageGraph
from cityledger.lifecycle.parse import parse
from cityledger.lifecycle.readers import encoding
from cityledger.lifecycle.validate import validate
from cityledger.records import Receipt, Stage, Validation
from cityledger.runner import Runner
from cityledger.settings import Settings
from typer.testing import CliRunner

from quality_checks.suite import compile_suite

DATASET, PARTITION = "gov_services.service_cases", "2026-03-31"
PLACE = (DATASET, PARTITION)
PART_BYTES = 30_000


@pytest.fixture(scope="session")
def extracts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    drop = tmp_path_factory.mktemp("extracts") / "drop"
    generate(drop, scale=0.02, seed=1)
    return drop


@pytest.fixture
def runner(
    ready_settings: Settings, extracts: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Runner]:
    shutil.copytree(extracts, ready_settings.drop_dir, dirs_exist_ok=True)
    shutil.copy(key_path(extracts), key_path(ready_settings.drop_dir))
    # Files of the tests are small; blocks of 16 MiB would have no seams in them.
    monkeypatch.setattr(encoding, "BLOCK", 4096)
    return Runner(ready_settings)


def whole(runner: Runner, receipt: Receipt) -> Validation:
    """What one task makes of the delivery, without the journal."""
    contract = runner.contract(DATASET)
    suite = compile_suite(
        contract,
        codes_dir=runner.settings.contracts_dir / "codes",
        as_of=Partition.parse(PARTITION).end,
    )
    return validate(
        receipt,
        contract,
        suite,
        parse(receipt, contract, suite, store=runner.store),
        store=runner.store,
        scratch_dir=runner.settings.spool_dir,
    )


def left(runner: Runner) -> list[str]:
    return list(runner.store.list("lake", "parts/"))


def test_parts_through_the_runner(runner: Runner) -> None:
    """Parts that stay for ever, that the ledger does not know, or that judge otherwise."""
    receipt = runner.extract_land(*PLACE)
    numbers = runner.split(*PLACE, part_bytes=PART_BYTES)
    assert len(numbers) >= 3
    for number in reversed(numbers):
        runner.parse_part(*PLACE, number, receipt.delivery)
    runner.parse_part(*PLACE, numbers[0])  # as after a task that was killed just before its end
    assert left(runner)
    validation = runner.parse_validate(*PLACE, receipt.delivery, in_parts=True)
    assert validation == whole(runner, receipt)
    assert validation.accounting.quarantined
    assert left(runner) == []
    parsed = runner.journal.outcomes(*PLACE, Stage.PARSE)
    # Newest first: gathered, each part and one of them again, split.
    steps = ["partial"] * (len(numbers) + 2)
    assert [one.status for one in parsed] == ["success", *steps]
    assert parsed[-1].detail == {"parts": len(numbers), "whole": ""}
    assert parsed[0].detail["gathered"] == len(numbers)
    assert sorted(one.detail["part"] for one in parsed if "part" in one.detail) == sorted(
        [*numbers, numbers[0]]
    )
    assert Catalog(runner.database, LineageGraph(runner.database)).gapped_runs(10, 0).items == ()
    # Done is done, for each of the tasks.
    assert runner.split(*PLACE, part_bytes=PART_BYTES) == ()
    assert runner.parse_validate(*PLACE, in_parts=True) == validation
    assert runner.release(*PLACE).rows == validation.accounting.validated
    assert [path for path in runner.settings.spool_dir.rglob("*") if path.is_file()] == []


def test_a_delivery_whose_parts_are_not_all_there_is_read_whole(runner: Runner) -> None:
    """Half of the parts must never pass for a delivery."""
    receipt = runner.extract_land(*PLACE)
    numbers = runner.split(*PLACE, part_bytes=PART_BYTES)
    runner.parse_part(*PLACE, numbers[0])
    (row,) = runner.journal.matrix()
    assert row.stages[Stage.PARSE].status == "partial"
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["status", DATASET]).output
    (line,) = (line for line in shown.splitlines() if line.startswith(DATASET))
    assert "…" in line
    assert "✗" not in line
    with pytest.raises(CityLedgerError) as caught:
        runner.parse_part(*PLACE, 99)
    assert caught.value.code == "no_such_part"
    assert runner.parse_validate(*PLACE, in_parts=True) == whole(runner, receipt)
    assert left(runner) == []


def test_a_contract_without_parts_has_none(runner: Runner) -> None:
    """Small datasets must not pay for the splitting of large ones."""
    runner.extract_land(*PLACE)
    assert runner.split(*PLACE) == ()
    assert left(runner) == []


def test_the_command_line_parses_parts_side_by_side(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One big machine without Airflow would use one and a half of its cores."""
    asked: list[int] = []

    class Threads(ThreadPoolExecutor):
        """New processes would read in blocks of 16 MiB."""

        def __init__(self, processes: int, mp_context: Any) -> None:
            assert mp_context.get_start_method() == "spawn"
            asked.append(processes)
            super().__init__(processes)

    monkeypatch.setattr(parallel, "ProcessPoolExecutor", Threads)
    monkeypatch.setattr(parallel, "_LEAST_BYTES", PART_BYTES)
    arguments = ["run", DATASET, "-p", PARTITION, "--to-stage", "validate", "--parallel", "3"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert asked == [3]
    (receipt,) = runner.journal.receipts(*PLACE)
    done = runner.parse_validate(*PLACE)
    assert done == whole(runner, receipt)
    assert any("part" in one.detail for one in runner.journal.outcomes(*PLACE, Stage.PARSE))
