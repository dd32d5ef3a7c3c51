"""Verdicts of the gate and of stewards, as the pages on decisions show them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, or_, select, true
from sqlalchemy.dialects.postgresql import distinct_on

from cityledger.people import CITY_WIDE, Person, Role
from cityledger.records import Channel, Record, Release
from cityledger.storage import tables
from cityledger.storage.database import Database


class Verdict(Record):
    """A verdict and when it was given."""

    release: Release
    at: datetime


def waiting(database: Database, person: Person) -> list[Verdict]:
    """Batches that are held and of which no steward has said anything, the oldest first.

    Only a period's newest delivery waits: what came before it has been replaced.
    """
    landed, verdict = tables.delivery, tables.release
    period = (landed.c.dataset, landed.c.partition)
    newest = (
        select(*period, landed.c.delivery)
        .ext(distinct_on(*period))
        .order_by(*period, landed.c.sequence.desc())
        .subquery()
    )
    same = and_(*(newest.c[name] == verdict.c[name] for name in newest.c.keys()))  # noqa: SIM118
    keys = (verdict.c.dataset, verdict.c.partition, verdict.c.delivery)
    last = (
        select(verdict.c.record, verdict.c.saved_at, verdict.c.released)
        .ext(distinct_on(*keys))
        .join(newest, same)
        .where(_seen_by(person))
        .order_by(*keys, verdict.c.id.desc())
        .subquery()
    )
    query = select(last.c.record, last.c.saved_at).where(~last.c.released).order_by(last.c.saved_at)
    return [one for one in _read(database, query) if is_open(one.release)]


def decided(database: Database, person: Person, limit: int = 100) -> list[Verdict]:
    """The newest decisions of people (and those that time took), newest first."""
    verdict = tables.release
    query = (
        select(verdict.c.record, verdict.c.saved_at)
        .where(verdict.c.record["decision"].astext.is_not(None), _seen_by(person))
        .order_by(verdict.c.id.desc())
        .limit(limit)
    )
    return _read(database, query)


def verdicts(database: Database, dataset: str, partition: str, delivery: str) -> list[Verdict]:
    """Every verdict on a delivery, newest first."""
    verdict = tables.release
    query = (
        select(verdict.c.record, verdict.c.saved_at)
        .where(
            verdict.c.dataset == dataset,
            verdict.c.partition == partition,
            verdict.c.delivery == delivery,
        )
        .order_by(verdict.c.id.desc())
    )
    return _read(database, query)


def is_open(release: Release) -> bool:
    """Whether a steward may still decide: held, and nobody has said anything."""
    decision = release.decision
    return not release.released and (decision is None or decision.channel is Channel.TIMEOUT)


def _seen_by(person: Person) -> ColumnElement[bool]:
    if person.has(*CITY_WIDE):
        return true()
    own: Iterable[str] = person.departments if person.has(Role.DEPARTMENT) else ()
    dataset = tables.release.c.dataset
    return or_(false(), *(dataset.startswith(f"{one}.", autoescape=True) for one in own))


def _read(database: Database, query: Select[Any]) -> list[Verdict]:
    with database.begin() as connection:
        rows = connection.execute(query).all()
    return [Verdict(release=Release.model_validate(row[0]), at=row[1]) for row in rows]
