"""Judges the bytes of a lineage event: which kind it is, and what is wrong with it.

A fault in a facet does not make the event worthless: it is *flawed*, and the rest of it counts. An
event whose frame is broken (no JSON, no run id, no job…) is *invalid*: it is kept and reported, but
nothing can be read from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json

from cityledger.ledger.spec import DatasetEvent, JobEvent, RunEvent

_FACETS = frozenset({"facets", "inputFacets", "outputFacets"})
_MOST_REASONS = 20


class Verdict(StrEnum):
    """What an event is worth."""

    VALID = "valid"
    FLAWED = "flawed"
    INVALID = "invalid"


class EventKind(StrEnum):
    """The three kinds of OpenLineage events."""

    RUN = "run"
    JOB = "job"
    DATASET = "dataset"


_MODELS: dict[EventKind, type[BaseModel]] = {
    EventKind.RUN: RunEvent,
    EventKind.JOB: JobEvent,
    EventKind.DATASET: DatasetEvent,
}


@dataclass(frozen=True, slots=True)
class Judged:
    """An event that was read.

    Attributes:
        body: The event without its faulty facets; empty when it is invalid.
        reasons: Where and what, e.g. ``run.runId: badly formed hexadecimal UUID string``; never a
            value.
    """

    verdict: Verdict
    kind: EventKind | None
    body: Mapping[str, Any]
    reasons: tuple[str, ...] = ()


def judge(raw: bytes) -> Judged:
    """Read an event and check it against the specification."""
    try:
        event = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        return _invalid(f"not JSON: {_plain(str(error))}")
    if not isinstance(event, dict):
        return _invalid("not a JSON object")
    kind = _kind(event)
    if kind is None:
        return _invalid("neither a run, a job nor a dataset event: one of the three it must be")
    try:
        _MODELS[kind].model_validate(event)
    except ValidationError as error:
        return _faulty(event, kind, error.errors(include_url=False, include_input=False))
    return Judged(Verdict.VALID, kind, event)


def _kind(event: Mapping[str, Any]) -> EventKind | None:
    if "run" in event:
        return EventKind.RUN
    if "dataset" in event:
        return None if "job" in event else EventKind.DATASET
    return EventKind.JOB if "job" in event else None


def _invalid(reason: str) -> Judged:
    return Judged(Verdict.INVALID, None, {}, (reason,))


def _faulty(event: dict[str, Any], kind: EventKind, errors: list[ErrorDetails]) -> Judged:
    reasons = tuple(_reason(error) for error in errors[:_MOST_REASONS])
    if len(errors) > _MOST_REASONS:
        reasons += (f"and {len(errors) - _MOST_REASONS} more",)
    frames = [_facet_of(error["loc"]) for error in errors]
    if any(frame is None for frame in frames):
        return Judged(Verdict.INVALID, kind, {}, reasons)
    for frame in frames:
        _drop(event, frame or ())
    return Judged(Verdict.FLAWED, kind, event, reasons)


def _facet_of(place: tuple[str | int, ...]) -> tuple[str | int, ...] | None:
    """The path of the facet (or of the whole group of facets) that a fault lies in."""
    for position, part in enumerate(place):
        if part in _FACETS:
            return place[: position + 2]
    return None


def _drop(event: dict[str, Any], path: tuple[str | int, ...]) -> None:
    holder: Any = event
    for part in path[:-1]:
        holder = holder[part] if not isinstance(holder, dict) else holder.get(part, {})
    if isinstance(holder, dict):
        holder.pop(path[-1], None)


def _reason(error: ErrorDetails) -> str:
    place = ".".join(_plain(str(part)) for part in error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    # The words of fromisoformat and of literal errors repeat the value; the rule is enough.
    if "Invalid isoformat" in message:
        message = "not an ISO 8601 time"
    return f"{place}: {message}"


def _plain(text: str) -> str:
    """A part of a hostile event as a short, printable text."""
    return "".join(one if one.isprintable() else "�" for one in text[:120])
