"""The house rules that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIXED_TOP_LEVEL = {
    "dags",
    "dbt_project",
    "quality_checks",
    "plugins",
    "infra",
    "tests",
    "docker-compose.yml",
    "README.md",
}


def tracked_files() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    files = [ROOT / name for name in listing.split("\0") if name]
    assert len(files) > 100, "git ls-files found almost nothing: this test would pass on air"
    return [path for path in files if path.is_file()]


def test_top_level_is_as_agreed() -> None:
    """A moved top-level folder breaks what users were promised."""
    assert {path.name for path in ROOT.iterdir()} >= FIXED_TOP_LEVEL


def test_readme_names_every_room() -> None:
    """A new top-level folder that the README does not explain is a room nobody finds."""
    folders = {
        path.relative_to(ROOT).parts[0]
        for path in tracked_files()
        if len(path.relative_to(ROOT).parts) > 1
    }
    for readme in ("README.md", "README.zh-CN.md"):
        text = (ROOT / readme).read_text(encoding="utf-8")
        missing = {name for name in folders if not name.startswith(".") and f"`{name}/" not in text}
        assert not missing, f"{readme} does not name {missing}"


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_readme_links_lead_somewhere(readme: str) -> None:
    """A dead link in the first page a reader opens."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    targets = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert targets
    assert [link for link in targets if not (ROOT / link).exists()] == []


def test_lock_has_hashes_and_names_no_host() -> None:
    """A host in the lock would send a closed network's installer to the internet."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    packages = re.findall(r"^[a-z0-9][^ ]*==", lock, flags=re.MULTILINE)
    assert len(packages) > 100
    assert lock.count("--hash=sha256:") >= len(packages)
    assert "://" not in lock


def test_no_module_is_called_utils() -> None:
    """A drawer for everything is where the second copy of a function hides."""
    drawers = {"utils.py", "helpers.py", "common.py", "misc.py"}
    assert [path for path in tracked_files() if path.name in drawers] == []


def test_no_file_names_a_registry_or_this_machine() -> None:
    """Paths of one machine and registry hosts make a clone work on that machine only."""
    hosts = ["pypi" + ".org", "files.python" + "hosted", "registry.npm" + "js"]
    homes = [f"/{name}/" for name in ("root", "work", "home")]
    offenders = []
    for path in tracked_files():
        text = path.read_text(encoding="utf-8", errors="ignore")
        found = [word for word in hosts if word in text]
        found += [home for home in homes if re.search(rf"(?<![\w.}}*]){home}\w", text)]
        if found:
            offenders.append((str(path.relative_to(ROOT)), found))
    assert offenders == []


def test_dag_files_are_thin() -> None:
    """Every part of Airflow parses these files every few seconds: logic belongs in the library."""
    files = [path for path in tracked_files() if path.parent == ROOT / "dags"]
    assert files
    for path in files:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        modules = {one.module for one in body if isinstance(one, ast.ImportFrom)} - {"__future__"}
        assert all(str(module).startswith("cityledger.airflow.") for module in modules), path
        odd = [one for one in body if not isinstance(one, ast.Expr | ast.ImportFrom | ast.Assign)]
        assert not odd, f"{path}:{odd[0].lineno}"
        assert len(body) <= 8, path
