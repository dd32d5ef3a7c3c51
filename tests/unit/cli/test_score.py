"""`cityledger score`: what it prints, and what it says to a wrong question."""

from __future__ import annotations

import json

import pytest
from cityledger.cli.main import app
from cityledger.errors import BadInputError
from cityledger.ledger.journal import Journal
from cityledger.records import Validation
from cityledger.settings import Settings
from cityledger.storage.database import Database
from typer.testing import CliRunner

from tests.unit.ledger.conftest import Records


@pytest.fixture
def scored(settings: Settings) -> Validation:
    database = Database.from_settings(settings)
    database.migrate()
    records = Records()
    validation = records.validation(results=(records.result(evaluated=1000, failed=100),))
    Journal(database).save_validation(validation)
    return validation


def _run(*arguments: str) -> str:
    found = CliRunner().invoke(app, ["score", *arguments], env={"COLUMNS": "120"})
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.output


def test_the_card_is_printed_with_its_formula(scored: Validation) -> None:
    """Prevents a grade that nobody can explain, in either language."""
    shown = _run("--rebuild", "hotline.tickets", "-p", scored.partition)
    assert "1 scores added" in shown
    assert "03 准确性" in shown
    assert "0302 数据格式合规性 = 100 × 900 ÷ 1000 = 90.00" in shown
    assert "未评估" in shown
    english = _run("hotline.tickets", "-p", scored.partition, "--lang", "en")
    assert "0302 compliance of format = 100 × 900 ÷ 1000 = 90.00" in english
    assert "not assessed" in english


def test_json_is_one_document(scored: Validation) -> None:
    """Prevents a script from reading a table; the notes of a rebuild do not get into it."""
    found = CliRunner().invoke(app, ["score", "--rebuild", "-d", "hotline", "--json"])
    card = json.loads(found.stdout)
    assert len(card["dimensions"]) == 6
    assert card["dimensions"][2]["score"] == 90.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-p", "2026-03-31"), "a partition belongs to a dataset"),
        (("hotline.tickets", "-d", "hotline"), "a dataset and a department"),
        (("-d", "nobody"), "there is no department 'nobody'"),
        (("hotline.nothing",), "there is no contract for 'hotline.nothing'"),
        (("hotline.tickets", "-p", "2026-03-30"), "there is no score"),
        (("hotline.tickets", "-p", "yesterday"), "is not a partition key"),
    ],
)
def test_a_wrong_question_has_one_clear_answer(
    scored: Validation, arguments: tuple[str, ...], message: str
) -> None:
    """Prevents a traceback, or the city's card for a misspelt dataset."""
    with pytest.raises(BadInputError, match=message):
        _run(*arguments)
