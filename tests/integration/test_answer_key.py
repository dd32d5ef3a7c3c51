"""The real lifecycle on the demo city, held against the answer key to the row."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import polars as pl
import pytest
from cityledger.contracts.identity import Partition
from cityledger.contracts.model import Contract
from cityledger.contracts.registry import load_contracts
from cityledger.demo.generate.answers import AnswerKey, DeliveryAnswer
from cityledger.demo.generate.generator import generate, redeliver
from cityledger.lifecycle.extract import extract
from cityledger.lifecycle.land import land
from cityledger.lifecycle.parse import parse
from cityledger.lifecycle.release import release
from cityledger.lifecycle.validate import validate
from cityledger.records import ObjectRef, Receipt, RuleStatus, Validation
from cityledger.settings import PROJECT_DIR, Settings
from cityledger.storage.objects import ObjectStore

from quality_checks.compiler import compile_suite

CONTRACTS = PROJECT_DIR / "contracts"
SCALE, SEED = 0.05, 1


class Outcome(NamedTuple):
    """What the pipeline made of one delivery, beside what it should have made."""

    answer: DeliveryAnswer
    contract: Contract
    receipt: Receipt
    validation: Validation
    store: ObjectStore

    def frame(self, ref: ObjectRef | None) -> pl.DataFrame:
        """A Parquet object with the columns ``file``, ``member``, ``row`` of the key."""
        if ref is None:
            return pl.DataFrame(schema={"file": pl.String, "member": pl.String, "row": pl.Int64})
        with self.store.open(ref) as stream:
            frame = pl.read_parquet(io.BytesIO(stream.read()))
        paths = {file.sha256: file.path for file in self.answer.files}
        files = {landed.uri: paths[landed.sha256] for landed in self.receipt.objects}
        parts = pl.col("_source_object").str.split_exact("#", 1).struct
        return frame.with_columns(
            file=parts.field("field_0").replace_strict(files),
            member=parts.field("field_1"),
            row=pl.col("_source_row"),
        )


def _run(answer: DeliveryAnswer, contract: Contract, settings: Settings) -> Outcome:
    partition = Partition.parse(answer.partition)
    store = ObjectStore.from_settings(settings)
    extraction = extract(
        contract, partition, spool_dir=settings.spool_dir, drop_dir=settings.drop_dir
    )
    receipt = land(extraction, contract, store=store)
    suite = compile_suite(contract, codes_dir=CONTRACTS / "codes", as_of=partition.end)
    validation = validate(
        receipt,
        contract,
        suite,
        parse(receipt, contract, suite, store=store),
        store=store,
        scratch_dir=settings.spool_dir,
    )
    return Outcome(answer, contract, receipt, validation, store)


@pytest.fixture
def outcomes(ready_settings: Settings) -> list[Outcome]:
    """Every delivery of a small city, run."""
    key: AnswerKey = generate(ready_settings.drop_dir, scale=SCALE, seed=SEED)
    contracts = load_contracts(CONTRACTS)
    return [_run(answer, contracts[answer.dataset], ready_settings) for answer in key.deliveries]


def test_the_answer_key_matches_to_the_row(outcomes: list[Outcome]) -> None:
    """Prevents a pipeline that misses a planted defect, or finds one where there is none.

    Nor may the gate hold a batch: the demo would wait for a steward.
    """
    assert len(outcomes) == 10
    differences = [line for outcome in outcomes for line in _differences(outcome)]
    assert not differences, "\n".join(differences)
    verdicts = [release(outcome.validation, outcome.contract) for outcome in outcomes]
    assert [verdict.reasons for verdict in verdicts if not verdict.released] == []


@pytest.mark.parametrize("dataset", ["hotline.tickets", "market.enterprises"])
def test_a_corrected_delivery_is_judged_anew(ready_settings: Settings, dataset: str) -> None:
    """Prevents a second delivery that is mixed up with the first, or taken for it."""
    contract = load_contracts(CONTRACTS)[dataset]
    key = generate(ready_settings.drop_dir, scale=SCALE, seed=SEED)
    first = _run(next(a for a in key.deliveries if a.dataset == dataset), contract, ready_settings)
    again = redeliver(ready_settings.drop_dir, dataset).deliveries[-1]
    second = _run(again, contract, ready_settings)
    assert (first.receipt.sequence, second.receipt.sequence) == (1, again.sequence) == (1, 2)
    assert second.validation.accounting.quarantined < first.validation.accounting.quarantined
    assert not list(_differences(second))


def _differences(outcome: Outcome) -> Iterator[str]:
    answer = outcome.answer
    name = f"{answer.dataset} {answer.partition}"
    for what, expected, found in (
        ("accounting", _expected_accounting(answer), outcome.validation.accounting.model_dump()),
        ("rejects", answer.rejects, outcome.validation.rejects),
        ("rules", answer.rules, _failing_rules(outcome.validation)),
        ("rejected", _expected_rejects(answer), _found_rejects(outcome)),
        ("quarantined", _expected_quarantine(answer), _found_quarantine(outcome)),
        ("values", *_values(outcome)),
    ):
        yield from (f"{name} {what}: {line}" for line in _compare(expected, found))
    notes = outcome.validation.drift
    for text in answer.drift:
        if not any(f"'{text}'" in note for note in notes):
            yield f"{name} drift: '{text}' not noted"
    if len(notes) != len(answer.drift):
        yield f"{name} drift: {len(answer.drift)} notes expected, {notes}"
    for result in outcome.validation.results:
        if result.status is RuleStatus.ERROR:
            yield f"{name} {result.key}: {result.message}"


def _compare(expected: dict[Any, Any], found: dict[Any, Any]) -> Iterator[str]:
    for key in sorted(expected.keys() | found.keys(), key=str):
        if expected.get(key, "nothing") != found.get(key, "nothing"):
            yield f"{key}: {expected.get(key, 'nothing')} expected, {found.get(key, 'nothing')}"


def _expected_accounting(answer: DeliveryAnswer) -> dict[str, int | None]:
    names = ("declared", "extracted", "rejected", "expected_rejects", "parsed")
    return {name: getattr(answer, name) for name in (*names, "quarantined", "validated")}


def _failing_rules(validation: Validation) -> dict[str, int]:
    return {result.key: result.failed for result in validation.results if result.failed}


def _expected_rejects(answer: DeliveryAnswer) -> dict[Any, Any]:
    return {(r.file, r.member, r.row): r.reason for r in answer.rejected_records}


def _found_rejects(outcome: Outcome) -> dict[Any, Any]:
    frame = outcome.frame(outcome.validation.rejected)
    return {(r["file"], r["member"], r["row"]): r["_reason"] for r in frame.iter_rows(named=True)}


def _expected_quarantine(answer: DeliveryAnswer) -> dict[Any, Any]:
    return {(r.file, r.member, r.row): sorted(r.rules) for r in answer.quarantined_rows}


def _found_quarantine(outcome: Outcome) -> dict[Any, Any]:
    frame = outcome.frame(outcome.validation.quarantined)
    return {
        (r["file"], r["member"], r["row"]): sorted(r["_rules"]) for r in frame.iter_rows(named=True)
    }


def _values(outcome: Outcome) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Tolerated cells: the value they must be read as, and the one in the validated Parquet."""
    frame = outcome.frame(outcome.validation.validated)
    rows = {(r["file"], r["member"], r["row"]): r for r in frame.iter_rows(named=True)}
    expected, found = {}, {}
    for cell in outcome.answer.tolerated:
        place = (cell.file, cell.member, cell.row)
        value = rows[place][cell.column] if place in rows else "not validated"
        expected[(*place, cell.column, cell.defect)] = _number(cell.value, value)
        found[(*place, cell.column, cell.defect)] = _text(value)
    return expected, found


def _number(expected: str | None, like: object) -> str | None:
    """Numbers compare as numbers: 2 and 2.00 are the same fare."""
    if expected is None or not isinstance(like, Decimal | float | int) or isinstance(like, bool):
        return expected
    return str(Decimal(expected).normalize())


def _text(value: object) -> str | None:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal | float | int):
        return str(Decimal(str(value)).normalize())
    return None if value is None else str(value)
