"""`cityledger demo generate` as a user sees it."""

from __future__ import annotations

import json
from pathlib import Path

from cityledger.cli.demo import app
from typer import Typer
from typer.testing import CliRunner

SMALL = ("generate", "--scale", "0.01", "--seed", "5", "--into")


def _invoke(*words: str) -> str:
    outer = Typer()
    outer.add_typer(app, name="demo")
    result = CliRunner().invoke(outer, ["demo", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_json_is_one_document_without_planted_values(tmp_path: Path) -> None:
    """Prevents progress text in the JSON, and a flood of single defects."""
    told = json.loads(_invoke(*SMALL, str(tmp_path / "drop"), "--json"))
    assert (told["scale"], told["seed"], len(told["deliveries"])) == (0.01, 5, 10)
    assert "quarantined_rows" not in told["deliveries"][0]
    for delivery in told["deliveries"]:
        for file in delivery["files"]:
            assert (tmp_path / "drop" / file["path"]).stat().st_size == file["size"]


def test_table_names_files_and_says_that_they_are_generated(tmp_path: Path) -> None:
    """Prevents somebody from taking the data for real."""
    told = _invoke(*SMALL, str(tmp_path / "drop"))
    assert "全部数据由程序生成" in told
    assert "metro_trips_20260331" in told


def test_redelivery_shows_that_department_only(tmp_path: Path) -> None:
    """Prevents a second delivery that redelivers the whole city."""
    _invoke(*SMALL, str(tmp_path / "drop"), "--json")
    told = json.loads(
        _invoke(
            "generate",
            "--into",
            str(tmp_path / "drop"),
            "--redeliver",
            "health.outpatient_visits",
            "--json",
        )
    )
    assert [(d["dataset"], d["sequence"]) for d in told["deliveries"]] == [
        ("health.outpatient_visits", 2)
    ]
