"""`cityledger orders`: what a script and a clerk get to read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cityledger.cli.main import app
from cityledger.errors import BadInputError
from cityledger.settings import PROJECT_DIR, Settings
from cityledger.storage.database import Database
from typer.testing import CliRunner

from tests.unit.orders.conftest import Desk

WAY = [
    ("acknowledge", "--by", "clerk", "-d", "hotline"),
    ("resubmit", "--by", "clerk", "-d", "hotline", "--note", "sent by disk"),
    ("reopen", "--by", "wang", "--note", "one district is missing"),
    ("resubmit", "--by", "clerk", "-d", "hotline"),
    ("verify", "--by", "wang"),
    ("close", "--by", "wang", "--note", "done"),
]


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """The database that a command finds by its settings."""
    made = Database.from_settings(settings)
    made.migrate()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def contracts(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's contracts, so that the city's terms are read as a command reads them."""
    copy = tmp_path / "contracts"
    shutil.copytree(PROJECT_DIR / "contracts", copy)
    monkeypatch.setattr(settings, "contracts_dir", copy)


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(app, ["orders", *arguments, "--json"])
    if result.exception is not None:
        raise result.exception
    return json.loads(result.stdout)


def text(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["orders", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_an_order_can_be_brought_to_its_end(desk: Desk) -> None:
    """Prevents a step that only the console offers."""
    number = desk.judge().number
    states = [run(step, number, *rest)["state"] for step, *rest in WAY]
    assert states == ["acknowledged", "resubmitted", "open", "resubmitted", "verified", "closed"]
    shown = run("show", number)
    assert [event["by"] for event in shown["history"]][1:3] == ["clerk", "clerk"]
    assert shown["history"][2]["note"] == "sent by disk"
    assert run("list", "--state", "closed")[0]["number"] == number
    assert run("list", "--state", "open") == run("list", "--overdue") == []
    (figures,) = run("statistics")
    assert (figures["department"], figures["closed"]) == ("hotline", 1)


def test_what_people_read(desk: Desk) -> None:
    """Prevents a table without the figures that a clerk looks for."""
    order = desk.judge()
    assert order.number in text("list")
    assert "opened" in text("show", order.number)
    assert "hotline" in text("statistics")
    due = text("remind", "--date", "2026-04-09")
    assert "整改已逾期" in due
    assert "1 due" in due
    assert "waived" in text("waive", order.number, "--by", "wang", "--note", "known defect")
    assert "No order" in text("list", "--state", "open")
    assert "0 due" in text("remind")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "ZG-20260331-000000"), "unknown_order"),
        (("show", "{number}", "-d", "health"), "unknown_order"),
        (("acknowledge", "{number}", "--by", "x", "-d", "health"), "unknown_order"),
        (("verify", "{number}", "--by", "wang"), "wrong_state"),
        (("waive", "{number}", "--by", "wang", "--note", " "), "note_missing"),
    ],
)
def test_mistakes_get_one_clear_error(desk: Desk, arguments: tuple[str, ...], code: str) -> None:
    """Prevents a traceback, and another department's order in one's own terminal."""
    number = desk.judge().number
    with pytest.raises(BadInputError) as caught:
        run(*(argument.format(number=number) for argument in arguments))
    assert caught.value.code == code
    assert "hotline.tickets" not in str(caught.value)


def test_a_day_that_is_none() -> None:
    """Prevents reminders as of a day that somebody misspelt."""
    result = CliRunner().invoke(app, ["orders", "remind", "--date", "31.3.2026"])
    assert result.exit_code == 2
