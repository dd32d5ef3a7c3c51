"""``scoring.yaml``: what it may say, and what the lint says about the rest."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from cityledger.contracts.lint import lint
from cityledger.contracts.scoring import Direction, ScoringConfig
from cityledger.contracts.violations import ContractError

PROJECT = Path(__file__).parents[3]
SHIPPED = (PROJECT / "contracts" / "scoring.yaml").read_text(encoding="utf-8")


def _load(folder: Path, text: str) -> ScoringConfig:
    path = folder / "scoring.yaml"
    path.write_text(text, encoding="utf-8")
    return ScoringConfig.load(path)


def test_the_shipped_file_is_the_convention(tmp_path: Path) -> None:
    """Prevents a house without the file from being scored otherwise than one with it."""
    shipped = _load(tmp_path, SHIPPED)
    assert shipped == ScoringConfig.load(tmp_path / "absent.yaml")
    assert shipped.sha256 == ScoringConfig().sha256
    assert sum(one.weight for one in shipped.dimensions) == 1


def test_a_comment_does_not_ask_for_new_scores(tmp_path: Path) -> None:
    """Prevents a rescore of the whole journal because of a remark."""
    changed = "# a remark\n" + SHIPPED.replace("from: 90", "from: 90.0")
    assert _load(tmp_path, changed).sha256 == ScoringConfig().sha256


def test_a_local_standard_may_rename_and_turn_indicators(tmp_path: Path) -> None:
    """Prevents a city from being unable to follow its own standard (DB31/T 1523 turns 0303)."""
    text = SHIPPED + 'indicators: {"0303": {name: 数据不重复率, better: high}}\n'
    changed = next(one for one in _load(tmp_path, text).indicators if one.code == "0303")
    assert (changed.name, changed.direction) == ("数据不重复率", Direction.HIGH)
    assert changed.name_en == "repetition rate"


def test_weights_are_exact(tmp_path: Path) -> None:
    """Prevents ten tenths from adding up to less than one."""
    text = SHIPPED.replace("conformity: 0.20", "conformity: 0.1")
    text = text.replace("completeness: 0.20", "completeness: 0.3")
    assert _load(tmp_path, text).dimensions[1].weight == Decimal("0.3")


@pytest.mark.parametrize(
    ("old", "new", "message", "near"),
    [
        ("basis:", "bassis:", "unknown key 'bassis'", "bassis:"),
        ("conformity: 0.20", "conformity: 0.25", "the weights add up to 1.05", "conformity:"),
        ("conformity: 0.20", "conformance: 0.20", "unknown key 'conformance'", "conformance:"),
        ("conformity: 0.20", "", "'conformity' is missing", "completeness:"),
        ("conformity: 0.20", "conformity: -0.2", "-0.2 is out of bounds", "conformity:"),
        ("conformity: 0.20", "conformity: much", "must be a number", "conformity:"),
        ("from: 80", "from: 95", "the cuts do not descend", "code: B"),
        ("from: 80", "from: 90", "the cuts do not descend", "code: B"),
        ("from: 0}", "from: 10}", "the last grade does not begin at 0", "code: E"),
        ("code: B", "code: A", "grade 'A' is given twice", "name: 良"),
        ("  - {code: B, name: 良, english: good, from: 80}\n", "", "4 grades", "code: A"),
        ("english: good, ", "", "'english' is missing", "code: B"),
        ("weights:", "wights:", "'weights' is missing", None),
    ],
)
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, message: str, near: str | None
) -> None:
    """Prevents a typing error from silently changing everybody's grade."""
    assert old in SHIPPED
    text = SHIPPED.replace(old, new, 1)
    with pytest.raises(ContractError, match=message) as caught:
        _load(tmp_path, text)
    found = next(one for one in caught.value.violations if message in one.message)
    if near is not None:
        lines = [no for no, line in enumerate(text.splitlines(), 1) if near in line]
        assert found.line in lines
    assert any(message in one.message for one in lint(tmp_path))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('"0399": {better: low}', "'0399' is no indicator"),
        ('"0303": {better: lower}', "'lower' is no known better"),
        ('"0303": {weight: 1}', "unknown key 'weight'"),
    ],
)
def test_a_wrong_indicator_is_named(tmp_path: Path, entry: str, message: str) -> None:
    """Prevents an indicator that nobody knows from being configured in vain."""
    with pytest.raises(ContractError, match=message):
        _load(tmp_path, f"{SHIPPED}indicators: {{{entry}}}\n")
