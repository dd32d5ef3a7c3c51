"""The inventory counts every file, follows no link and tells what is not what it says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cityledger.contracts.registry import load_contracts
from cityledger.errors import BadInputError
from cityledger.profiling.inventory import take_inventory
from cityledger.settings import PROJECT_DIR


def put(root: Path, path: str, content: bytes = b"x") -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def test_files_are_counted_by_department_kind_and_contract(tmp_path: Path) -> None:
    """Files that no contract takes in are the assets nobody governs yet: they must be seen."""
    contracts = load_contracts(PROJECT_DIR / "contracts")
    pattern = str(contracts["transport.metro_trips"].source.options["path"])
    covered = pattern.replace("{yyyy}", "2026").replace("{mm}", "03").replace("{dd}", "31")
    put(tmp_path, covered.replace("*", ""), b"\x1f\x8b" + b"0" * 98)
    put(tmp_path, "transport/照片/路口.JPG", b"\xff\xd8" + b"0" * 48)
    put(tmp_path, "health/报告.pdf", b"%PDF-1.7")
    put(tmp_path, "README", b"hello")
    taken = take_inventory(tmp_path, contracts.values())
    rows = {(g.department, g.kind, g.suffix): (g.files, g.size, g.covered) for g in taken.groups}
    assert rows == {
        ("transport", "archive", ".gz"): (1, 100, 1),
        ("transport", "image", ".jpg"): (1, 50, 0),
        ("health", "document", ".pdf"): (1, 8, 0),
        ("", "other", ""): (1, 5, 0),
    }
    assert (taken.files, taken.size, taken.oddities) == (4, 163, ())


def test_a_web_page_named_xls_and_an_empty_file_are_told(tmp_path: Path) -> None:
    """Exports of old systems are web pages with an Excel name; parsing them fails much later."""
    put(tmp_path, "a/export.xls", b"\n<html><table>")
    put(tmp_path, "a/empty.csv", b"")
    put(tmp_path, "a/broken.xlsx", b"nothing")
    problems = {one.path: one.problem for one in take_inventory(tmp_path, ()).oddities}
    assert problems == {
        "a/export.xls": "web_page",
        "a/empty.csv": "empty",
        "a/broken.xlsx": "other_content",
    }


def test_links_are_not_followed_and_the_walk_is_bounded(tmp_path: Path) -> None:
    """A link to / would have the inventory read the whole machine, a loop would never end."""
    root = tmp_path / "root"
    for number in range(5):
        put(root, f"a/{number}.csv")
    (root / "loop").symlink_to(root)
    (root / "outside.csv").symlink_to(os.devnull)
    assert take_inventory(root, ()).files == 5
    bounded = take_inventory(root, (), limit=3)
    assert (bounded.files, bounded.truncated) == (3, True)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A mistyped path would otherwise look like a department without any data."""
    with pytest.raises(BadInputError, match="no such folder"):
        take_inventory(tmp_path / "nowhere", ())
