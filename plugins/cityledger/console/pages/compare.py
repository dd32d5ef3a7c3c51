"""Why did this number change between two publications?"""

from __future__ import annotations

import difflib
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse

from cityledger.console.comparison import Comparer, sql_of
from cityledger.console.errors import MissingError
from cityledger.console.i18n import mark
from cityledger.console.identity import require
from cityledger.console.ledger_desk import LedgerDesk
from cityledger.console.pages.lineage import READERS
from cityledger.console.view import CurrentView
from cityledger.ledger.builds import find_build

router = APIRouter(dependencies=[Depends(require(*READERS))])

#: Kinds of differences, in the order in which people ask for them.
GROUPS = {
    "data": mark("Other data came"),
    "decisions": mark("People decided otherwise"),
    "rules": mark("Rules found something else"),
    "contracts": mark("The contract changed"),
    "definition": mark("The indicator is defined otherwise"),
    "models": mark("It is computed otherwise"),
    "code": mark("Other software ran"),
}
SAME = {
    "data": mark("data"),
    "decisions": mark("decisions"),
    "rules": mark("verdicts of the rules"),
    "contracts": mark("contracts"),
    "definition": mark("definition"),
    "models": mark("computation"),
    "code": mark("software"),
}
CODE = {
    "version": mark("version"),
    "commit": mark("commit of the code"),
    "modified": mark("code changed after its commit"),
    "lock_sha256": mark("list of dependencies"),
}
_LINES = 4000  # of a comparison of two texts

Snapshot = Annotated[int | None, Query(ge=0, le=2**62)]


@router.get("/compare")
def comparison(
    view: CurrentView,
    code: Annotated[str, Query(max_length=100)] = "",
    before: Snapshot = None,
    after: Snapshot = None,
) -> HTMLResponse:
    """Two publications of one indicator: everything that differs on the way to the number."""
    desk = LedgerDesk(view)
    comparer = Comparer(view.desk.database, desk.store, view.gettext)
    publications = comparer.publications()
    snapshots = [one.snapshot_id for one in publications]
    cards = view.desk.house.cards
    if code and code not in cards:
        raise MissingError(code)
    for wanted in (before, after):
        if wanted is not None and wanted not in snapshots:
            raise MissingError(str(wanted))
    newest = snapshots[0] if snapshots else None
    later = after if after is not None else newest
    earlier = before if before is not None else _previous(snapshots, later)
    found = None
    if code and earlier is not None and later is not None:
        found = comparer.compare(code, earlier, later)
    return view.page(
        "compare.html",
        cards=cards,
        card=cards.get(code),
        publications=publications,
        chosen={"code": code, "before": earlier, "after": later},
        found=found,
        groups=GROUPS,
        same=SAME,
        code_words=CODE,
    )


@router.get("/compare/sql/{table}")
def sql_difference(
    view: CurrentView,
    table: str,
    before: Annotated[int, Query(ge=0, le=2**62)],
    after: Annotated[int, Query(ge=0, le=2**62)],
) -> HTMLResponse:
    """How the SQL of one table differs between two builds."""
    store = LedgerDesk(view).store
    old, new = (sql_of(find_build(store, one)[0], table) for one in (before, after))
    if not (old or new):
        raise MissingError(table)
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), str(before), str(after), lineterm=""
    )
    return view.page(
        "compare_sql.html", table=table, lines=list(lines)[:_LINES], before=before, after=after
    )


def _previous(snapshots: list[int], later: int | None) -> int | None:
    """The publication before another one."""
    older = [one for one in snapshots if later is not None and one < later]
    return older[0] if older else None
