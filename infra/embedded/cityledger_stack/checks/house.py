"""Checks of what an installation brings along: contracts, dbt project, typefaces, receivers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from cityledger.contracts.lint import examine
from cityledger.settings import Settings
from cityledger.typesetting import font_folder

from cityledger_stack.findings import Finding, finding
from cityledger_stack.plan import without_credentials

_PORTS = {"http": 80, "https": 443}


def contracts(settings: Settings) -> Iterator[Finding]:
    """Whether the contracts can be used: a broken one has no DAG."""
    folder = settings.contracts_dir
    if not folder.is_dir():
        fix = "set CITYLEDGER_CONTRACTS_DIR to the folder with city.yaml"
        yield Finding("contracts", "problem", f"there is no folder {folder}", fix)
        return
    report = examine(folder)
    count = len(report.violations)
    detail = f"{len(report.contracts)} contracts, {count} violations"
    yield finding("contracts", not count, detail, "cityledger contract lint names each one")


def dbt_project(settings: Settings) -> Iterator[Finding]:
    """Whether there is a dbt project to build."""
    file = settings.dbt_project_dir / "dbt_project.yml"
    fix = "set CITYLEDGER_DBT_PROJECT_DIR to the folder with dbt_project.yml"
    yield finding("dbt project", file.is_file(), str(settings.dbt_project_dir), fix)


def fonts() -> Iterator[Finding]:
    """Whether reports and charts can write Chinese: machines often have no typeface for it."""
    fix = "make setup (the wheel justmytype-intl-cjk brings the typeface)"
    try:
        folder = font_folder()
    except ModuleNotFoundError:
        yield Finding("fonts", "problem", "the font package is not installed", fix)
        return
    files = [*folder.glob("*.ttf"), *folder.glob("*.otf")] if folder.is_dir() else []
    detail = f"{len(files)} files of Noto Sans SC" if files else f"no typeface in {folder}"
    yield finding("fonts", bool(files), detail, fix)


def receiver(settings: Settings) -> Iterator[Finding]:
    """Whether somebody listens where traces are sent."""
    if settings.otlp_url is None:
        return
    url = settings.otlp_url.get_secret_value()
    parts = urlsplit(url)
    where = without_credentials(url)
    fix = "start the OpenTelemetry collector, or correct CITYLEDGER_OTLP_URL; runs go on without"
    address = (parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))
    try:
        socket.create_connection(address, timeout=3).close()
    except OSError:
        yield Finding("traces", "warning", f"{where} does not answer", fix)
    else:
        yield Finding("traces", "ok", f"{where} answers")
