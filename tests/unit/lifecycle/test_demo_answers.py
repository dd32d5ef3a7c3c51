"""The demo city's extracts through the readers: each planted defect is found, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest
from cityledger.contracts.identity import Partition
from cityledger.contracts.registry import load_contracts
from cityledger.demo.generate.answers import AnswerKey, DeliveryAnswer
from cityledger.demo.generate.generator import generate
from cityledger.lifecycle.extract import extract
from cityledger.lifecycle.parse import parse
from cityledger.lifecycle.validate import validate
from cityledger.records import Accounting, LandedObject, Receipt, Validation
from cityledger.settings import PROJECT_DIR
from cityledger.storage.keys import delivery_id
from cityledger.storage.objects import ObjectStore

from quality_checks.suite import compile_suite

CONTRACTS = PROJECT_DIR / "contracts"
COUNTS = tuple(Accounting.model_fields)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AnswerKey]:
    folder = tmp_path_factory.mktemp("city")
    return folder, generate(folder / "drop", scale=0.02, seed=7)


def ingest(folder: Path, answer: DeliveryAnswer, store: Any) -> Validation:
    contract = load_contracts(CONTRACTS)[answer.dataset]
    period = Partition.parse(answer.partition)
    extraction = extract(contract, period, spool_dir=folder / "spool", drop_dir=folder / "drop")
    objects = []
    for file in extraction.files:
        ref = store.put_bytes("landing", f"{answer.dataset}/{file.name}", file.path.read_bytes())
        objects.append(LandedObject(**ref.model_dump(), name=file.name, source_uri=file.source_uri))
    now = datetime.now(UTC)
    receipt = Receipt(
        dataset=answer.dataset,
        partition=answer.partition,
        delivery=delivery_id((item.name, item.sha256) for item in objects),
        sequence=1,
        objects=tuple(objects),
        landed_at=now,
        retain_until=now,
        contract_version=contract.version,
        contract_sha256=contract.sha256,
        declared_rows=extraction.declared_rows,
    )
    suite = compile_suite(contract, codes_dir=CONTRACTS / "codes", as_of=period.end)
    batches = parse(receipt, contract, suite, store=cast(ObjectStore, store))
    return validate(
        receipt,
        contract,
        suite,
        batches,
        store=cast(ObjectStore, store),
        scratch_dir=folder / "scratch",
    )


def places(frame: pl.DataFrame, what: str) -> dict[tuple[str, str | None, int], Any]:
    found = {}
    for source, row, value in frame.select("_source_object", "_source_row", what).iter_rows():
        key, _, member = source.partition("#")
        place = (key.rpartition("/")[2], member or None, row)
        found[place] = tuple(sorted(value)) if what == "_rules" else value
    return found


def test_the_answer_key_matches_to_the_row(city: tuple[Path, AnswerKey], folder_store: Any) -> None:
    """Prevents a defect from being missed, a good row from being held, and any wrong line."""
    folder, key = city
    assert len(key.deliveries) >= 9
    for answer in key.deliveries:
        store = folder_store(folder / "store")
        result = ingest(folder, answer, store)
        counts = result.accounting
        assert {name: getattr(counts, name) for name in COUNTS} == {
            name: getattr(answer, name) for name in COUNTS
        }, answer.dataset
        assert result.rejects == answer.rejects
        assert all(any(text in note for note in result.drift) for text in answer.drift)
        held = store.frame(result.quarantined) if result.quarantined else None
        assert (places(held, "_rules") if held is not None else {}) == {
            (Path(row.file).name, row.member, row.row): row.rules for row in answer.quarantined_rows
        }
        rejected = store.frame(result.rejected) if result.rejected else None
        assert (places(rejected, "_reason") if rejected is not None else {}) == {
            (Path(row.file).name, row.member, row.row): row.reason
            for row in answer.rejected_records
        }
