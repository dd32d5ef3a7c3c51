"""Checks of the ledger: how far it is behind, and when somebody last looked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from cityledger.errors import CityLedgerError
from cityledger.observability.metrics import catalogue
from cityledger.observability.metrics.catalogue import Metric
from cityledger.observability.metrics.families import Figures
from cityledger.observability.metrics.ledger import Ledger
from cityledger.settings import Settings
from cityledger.storage.database import Database
from sqlalchemy.exc import SQLAlchemyError

from cityledger_stack.findings import Finding, finding

_HOUR: Final = 3600.0
#: Signed every hour, examined every night; twice that may pass on a bad day.
_UNSIGNED_HOURS: Final = 3
_EXAMINED_HOURS: Final = 48
_OUTBOX_HOURS: Final = 1
_UNINDEXED: Final = 10_000


def ledger(settings: Settings) -> Iterator[Finding]:
    """How far outbox, index, log and examination are behind; needs a database that answers."""
    try:
        figures = Ledger(settings, Database.from_settings(settings)).figures()
    except (CityLedgerError, SQLAlchemyError):
        return  # the checks of the database say why
    yield _outbox(figures)
    yield _index(figures)
    yield _signatures(figures)
    yield from _examination(figures)
    if catalogue.SIGNED in figures.values:
        yield _key(settings)


def _outbox(figures: Figures) -> Finding:
    waiting, refused = _value(figures, catalogue.OUTBOX), _value(figures, catalogue.OUTBOX_REFUSED)
    hours = _hours_since(figures, catalogue.OUTBOX_SINCE)
    detail = f"{waiting:.0f} events wait, {refused:.0f} were refused"
    fix = (
        "look at the folder outbox/refused in the home folder"
        if refused
        else "any run sends them; if they stay, check CITYLEDGER_COLLECTOR_URL and the database"
    )
    good = not refused and hours < _OUTBOX_HOURS
    return finding("ledger outbox", good, detail, fix, bad="warning")


def _index(figures: Figures) -> Finding:
    behind = _value(figures, catalogue.UNINDEXED)
    fix = "run the DAG ledger, or open a lineage page: both catch up"
    detail = f"{behind:.0f} events behind"
    return finding("ledger index", behind < _UNINDEXED, detail, fix, bad="warning")


def _signatures(figures: Figures) -> Finding:
    count = _value(figures, catalogue.UNSIGNED)
    hours = _hours_since(figures, catalogue.UNSIGNED_SINCE)
    detail = f"{count:.0f} events are not signed, the oldest for {hours:.1f} h"
    fix = "cityledger ledger checkpoint; the DAG ledger does it every hour: is it paused?"
    good = hours < _UNSIGNED_HOURS
    return finding("ledger signatures", good, detail, fix, bad="warning")


def _examination(figures: Figures) -> Iterator[Finding]:
    found = _value(figures, catalogue.FINDINGS)
    if found:
        fix = "keep database and bucket as they are; `cityledger ledger verify` names each one"
        detail = f"{found:.0f} things are not as they were signed"
        yield Finding("ledger log", "problem", detail, fix)
    if catalogue.SIGNED not in figures.values:
        return
    hours = _hours_since(figures, catalogue.VERIFIED_AT)
    known = catalogue.VERIFIED_AT in figures.values
    detail = f"{hours:.1f} h ago" if known else "never"
    fix = "cityledger ledger verify; the DAG ledger_verify does it every night: is it paused?"
    good = known and hours < _EXAMINED_HOURS
    yield finding("ledger examined", good, detail, fix, bad="warning")


def _key(settings: Settings) -> Finding:
    path = settings.home / "secrets" / "ledger.key"
    if settings.ledger_key is not None:
        return Finding("ledger key", "ok", "given by CITYLEDGER_LEDGER_KEY")
    if not path.exists():
        fix = "restore it from the backup, or `cityledger ledger new-key` and say why"
        return Finding("ledger key", "problem", f"{path} is gone: nothing can be signed", fix)
    mode = path.stat().st_mode & 0o777
    return finding("ledger key", mode & 0o077 == 0, f"has mode {mode:04o}", f"chmod 600 {path}")


def _value(figures: Figures, metric: Metric) -> float:
    found: Any = figures.values.get(metric, {}).get((), 0.0)
    return float(found)


def _hours_since(figures: Figures, metric: Metric) -> float:
    """Hours since a moment; 0 without one."""
    moment = _value(figures, metric)
    return (time.time() - moment) / _HOUR if moment else 0.0
