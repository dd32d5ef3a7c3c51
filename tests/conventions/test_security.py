"""The threat model names tests that exist, and every door of the list."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/security.md").read_text("utf-8")
DOORS = (
    "Drop folder and sources",
    "Airflow's page",
    "Console",
    "Collector",
    "Object store",
    "PostgreSQL",
    "Broker",
    "Command line on the host",
    "Evidence packs",
    "Backups",
    "Logs and metrics",
    "Spark",
)


def test_every_named_test_exists() -> None:
    """A control that is proved by a test that somebody removed is proved by nothing."""
    named = set(re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", TEXT))
    assert len(named) > 50
    missing = []
    for path, name in sorted(named):
        file = ROOT / path
        tree = ast.parse(file.read_text("utf-8")) if file.exists() else ast.Module([], [])
        functions = {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}
        if name not in functions:
            missing.append(f"{path}::{name}")
    assert missing == []


def test_every_door_says_what_remains() -> None:
    """A door that was forgotten, or whose risks are not told, looks safe."""
    sections = dict(
        part.split("\n", 1) for part in TEXT.partition("## What threatens")[2].split("\n### ")[1:]
    )
    assert [door for door in DOORS if door not in sections] == []
    assert [door for door in DOORS if "\nRemains" not in sections[door]] == []
