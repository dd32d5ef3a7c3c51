"""Routes that take events: the bytes are kept first, then judged, then answered."""

from __future__ import annotations

import asyncio
import json

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import TypeAdapter

from cityledger.collector.http import Check, NameRoute, read_body
from cityledger.collector.service import Collector
from cityledger.collector.shapes import Accepted, BatchAnswer, BatchFailure, BatchSummary
from cityledger.ledger.event_store import Stored
from cityledger.ledger.events import Judged, Verdict, judge

_EVENT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "description": "A RunEvent, JobEvent or DatasetEvent of OpenLineage 2-0-2",
                }
            }
        },
    }
}
_BATCH_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "array",
                    "items": {"type": "object"},
                    "description": "RunEvents, JobEvents and DatasetEvents of OpenLineage 2-0-2",
                }
            }
        },
    }
}
_ACCEPTED = TypeAdapter(Accepted)
_BATCH = TypeAdapter(BatchAnswer)


def write_routes(collector: Collector, may_write: Check) -> APIRouter:
    """The routes that take events."""
    router = APIRouter(route_class=NameRoute, tags=["Lineage"], dependencies=[Depends(may_write)])

    @router.post(
        "/lineage",
        status_code=201,
        response_class=Response,
        openapi_extra=_EVENT_BODY,
        responses={
            201: {"model": Accepted, "description": "Kept. The verdict tells of faulty facets."},
            400: {"model": Accepted, "description": "Kept, but it is no OpenLineage event."},
            413: {"description": "Too large; not kept."},
        },
    )
    async def record_lineage(request: Request) -> Response:
        """Take one event."""
        raw = await read_body(request, collector.body_limit)
        kept = asyncio.ensure_future(collector.writer.append(raw))
        await asyncio.sleep(0)  # it is on its way to the disk while we look at it
        judged = judge(raw)
        stored = await kept
        status = 400 if judged.verdict is Verdict.INVALID else 201
        return _json(_ACCEPTED.dump_json(_accepted(stored, judged), by_alias=True), status)

    @router.post(
        "/lineage/batch",
        response_class=Response,
        openapi_extra=_BATCH_BODY,
        responses={
            200: {"model": BatchAnswer, "description": "All kept, each with its verdict."},
            400: {"model": Accepted, "description": "Kept as it is, but it is no JSON array."},
            413: {"description": "Too large; nothing kept."},
        },
    )
    async def record_batch(request: Request) -> Response:
        """Take many events in one transaction; each is judged for itself."""
        body = await read_body(request, collector.body_limit)
        return await run_in_threadpool(_take_batch, collector, body)

    return router


def _take_batch(collector: Collector, body: bytes) -> Response:
    raws = split_array(body)
    if raws is None:
        (stored,) = collector.store.append([body])
        reasons = ("not a JSON array of events",)
        broken = _accepted(stored, Judged(Verdict.INVALID, None, {}, reasons))
        return _json(_ACCEPTED.dump_json(broken, by_alias=True), 400)
    kept = collector.store.append(raws)
    events = [_accepted(one, judge(raw)) for one, raw in zip(kept, raws, strict=True)]
    failures = [
        BatchFailure(index=index, reason="; ".join(event.reasons), retriable=False)
        for index, event in enumerate(events)
        if event.verdict == "invalid"
    ]
    answer = BatchAnswer(
        status="partial_success" if failures else "success",
        summary=BatchSummary(
            received=len(events),
            successful=len(events) - len(failures),
            failed=len(failures),
            retriable=0,
            non_retriable=len(failures),
        ),
        failed_events=failures,
        events=events,
    )
    return _json(_BATCH.dump_json(answer), 200)


def split_array(body: bytes) -> list[bytes] | None:
    """The elements of a JSON array, each with its bytes as they came; None if it is none."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    decoder, elements = json.JSONDecoder(), []
    place = _skip(text, 0)
    if text[place : place + 1] != "[":
        return None
    place = _skip(text, place + 1)
    if text[place : place + 1] == "]":
        return [] if _skip(text, place + 1) == len(text) else None
    while True:
        try:
            _, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return None
        elements.append(text[place:end].encode())
        place = _skip(text, end)
        sign = text[place : place + 1]
        place = _skip(text, place + 1)
        if sign == "]":
            return elements if place == len(text) else None
        if sign != ",":
            return None


def _skip(text: str, place: int) -> int:
    while text[place : place + 1] in {" ", "\t", "\n", "\r"}:
        place += 1
    return place


def _accepted(stored: Stored, judged: Judged) -> Accepted:
    return Accepted(
        id=stored.id,
        sha256=stored.sha256,
        duplicate=not stored.new,
        verdict=judged.verdict.value,
        reasons=list(judged.reasons),
    )


def _json(content: bytes, status: int) -> Response:
    return Response(content, status_code=status, media_type="application/json")
