"""A replay: under way, broken off, or the accounting before and after."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from cityledger.console.deliveries import PLACE, CurrentPlace, Where
from cityledger.console.errors import MissingError
from cityledger.console.identity import STAFF, require
from cityledger.console.pages.dataset import sentences
from cityledger.console.replays import State, progress
from cityledger.errors import BadInputError
from cityledger.ledger.quality_records import RunView

router = APIRouter(prefix="/quarantine", dependencies=[Depends(require(*STAFF))])
#: Milliseconds since 1970 that a date can hold.
_LATEST: Final = 4_102_444_800_000


@router.get(PLACE + "/replay")
def replay_page(where: CurrentPlace, before: int, since: int = 0) -> HTMLResponse:
    """How a replay stands that was asked for when ``before`` was the newest run.

    Args:
        where: The delivery.
        before: That run.
        since: When it was asked for, in milliseconds since 1970.
    """
    view, earlier = where.view, _run(where, before)
    asked_at = datetime.fromtimestamp(min(max(since, 0), _LATEST) / 1000, UTC)
    now = progress(view.desk.database, where.place, before, asked_at)
    later = _run(where, now.after) if now.after else earlier
    return view.page(
        "replay.html",
        **where.common(),
        state=now.state,
        states=State,
        failure=now.failure,
        asked_at=asked_at,
        before=earlier,
        after=later,
        said=sentences(where.contract, view.language),
    )


def _run(where: Where, number: int) -> RunView:
    try:
        run = where.view.desk.quality.run(number)
    except BadInputError as error:
        raise MissingError(str(number)) from error
    judged = run.validation
    if (judged.dataset, judged.partition, judged.delivery) != where.place:
        raise MissingError(str(number))
    return run
