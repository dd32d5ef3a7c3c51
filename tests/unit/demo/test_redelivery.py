"""A department delivers again: same rows, some defects corrected."""

from __future__ import annotations

from pathlib import Path

import pytest
from cityledger.demo.generate.answers import DeliveryAnswer
from cityledger.demo.generate.generator import (
    CORRECTIONS,
    RECIPES,
    generate,
    key_path,
    load_key,
    redeliver,
)
from cityledger.errors import BadInputError

SCALE = 0.02


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    """A generated drop folder."""
    generate(tmp_path / "drop", scale=SCALE, seed=3)
    return tmp_path / "drop"


def _both(drop: Path, dataset: str) -> list[tuple[DeliveryAnswer, DeliveryAnswer]]:
    first = {a.partition: a for a in load_key(drop).deliveries if a.dataset == dataset}
    second = [
        a for a in redeliver(drop, dataset).deliveries if (a.dataset, a.sequence) == (dataset, 2)
    ]
    return [(first[answer.partition], answer) for answer in second]


@pytest.mark.parametrize("dataset", [recipe.dataset for recipe in RECIPES])
def test_corrected_defects_are_gone_and_the_others_stay(drop: Path, dataset: str) -> None:
    """Prevents a second delivery that is the first one again, or another day altogether."""
    pairs = _both(drop, dataset)
    assert pairs
    for first, second in pairs:
        assert first.files != second.files
        assert not set(second.defects) & CORRECTIONS
        rest = {name: n for name, n in first.defects.items() if name not in CORRECTIONS}
        assert second.defects == rest
        assert second.extracted == first.extracted
        assert second.quarantined < first.quarantined
        kept = {(row.row, row.member, row.rules) for row in second.quarantined_rows}
        assert kept <= {(row.row, row.member, row.rules) for row in first.quarantined_rows}
        for file in second.files:
            assert (drop / file.path).stat().st_size == file.size


def test_delivering_twice_again_changes_nothing(drop: Path) -> None:
    """Prevents a key that grows with every call."""
    redeliver(drop, "hotline.tickets")
    once = key_path(drop).read_bytes()
    redeliver(drop, "hotline.tickets")
    assert key_path(drop).read_bytes() == once


def test_unknown_dataset_and_missing_key_are_told(drop: Path, tmp_path: Path) -> None:
    """Prevents a redelivery that silently writes nothing."""
    with pytest.raises(BadInputError, match="has no dataset"):
        redeliver(drop, "hotline.calls")
    with pytest.raises(BadInputError, match="no answer key"):
        redeliver(tmp_path / "elsewhere", "hotline.tickets")
