"""The audit trail of decisions and accesses, for auditors and stewards."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse

from cityledger.console.i18n import mark
from cityledger.console.identity import require
from cityledger.console.navigation import NavigationItem
from cityledger.console.trail import Filter, Kind, Trail
from cityledger.console.view import CurrentView
from cityledger.people import Role

_READERS = (Role.AUDITOR, Role.STEWARD)
router = APIRouter(dependencies=[Depends(require(*_READERS))])
NAVIGATION = (NavigationItem("/audit", mark("Audit trail"), roles=_READERS, order=55),)

KIND = {
    Kind.RELEASE: mark("decision on a held batch"),
    Kind.WAIVER: mark("waiver"),
    Kind.REVOCATION: mark("waiver ended"),
    Kind.CORRECTION: mark("correction handed in"),
    Kind.ORDER: mark("rectification order"),
    Kind.ACCESS: mark("rows looked at"),
    Kind.KEY: mark("key of the log"),
    Kind.CHECKPOINT: mark("log signed"),
}
#: Words of the journals.
WHAT = {
    "released": mark("let pass"),
    "held": mark("kept back"),
    "browse": mark("looked at rows, masked"),
    "download": mark("downloaded rows as handed in"),
    "trace": mark("traced a number to rows, masked"),
    "pack": mark("took an evidence pack along"),
    "active": mark("in use"),
    "revoked": mark("revoked"),
    "opened": mark("opened"),
    "breached": mark("found wanting again"),
    "acknowledged": mark("acknowledged"),
    "resubmitted": mark("resubmitted"),
    "verified": mark("verified"),
    "reopened": mark("reopened"),
    "closed": mark("closed"),
    "waived": mark("waived"),
}
_PAGE = 100


@router.get("/audit")
def audit_trail(
    view: CurrentView,
    kind: Kind | Literal[""] = "",
    person: Annotated[str, Query(max_length=200)] = "",
    department: Annotated[str, Query(max_length=200)] = "",
    dataset: Annotated[str, Query(max_length=200)] = "",
    since: date | Literal[""] = "",
    until: date | Literal[""] = "",
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> HTMLResponse:
    """Who decided what, who looked at which rows, and when the log was signed."""
    trail, house = Trail(view.desk.database), view.desk.house
    wanted = Filter(
        kind=Kind(kind) if kind else None,
        person=_clean(person),
        department=_clean(department),
        dataset=_clean(dataset),
        since=since or None,
        until=until or None,
    )
    found = trail.entries(wanted, limit=_PAGE + 1, offset=offset)
    return view.page(
        "trail.html",
        entries=found[:_PAGE],
        more=len(found) > _PAGE,
        offset=offset,
        step=_PAGE,
        wanted=wanted,
        people=trail.people(),
        departments={one: house.department_name(one, view.language) for one in house.departments},
        datasets=house.contracts,
        kinds=KIND,
        what=WHAT,
    )


def _clean(text: str) -> str | None:
    return text.replace("\0", "").strip() or None
