"""Why did this number change between two publications?"""

from __future__ import annotations

import difflib
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse

from cityledger.console.comparison import Comparer, Tongue
from cityledger.console.errors import MissingError
from cityledger.console.i18n import mark
from cityledger.console.identity import require
from cityledger.console.ledger_desk import LedgerDesk
from cityledger.console.pages.dataset import sentences
from cityledger.console.pages.lineage import READERS
from cityledger.console.view import CurrentView, View
from cityledger.ledger.builds import find_build, read_sources
from cityledger.storage.objects import ObjectStore

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
    comparer = Comparer(view.desk.database, desk.store, _tongue(view))
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


@router.get("/compare/file/{path:path}")
def file_difference(
    view: CurrentView,
    path: str,
    before: Annotated[int, Query(ge=0, le=2**62)],
    after: Annotated[int, Query(ge=0, le=2**62)],
) -> HTMLResponse:
    """How a file of the project, or a contract, differs between two builds."""
    store = LedgerDesk(view).store
    old, new = (_kept(store, snapshot, path) for snapshot in (before, after))
    if old is None and new is None:
        raise MissingError(path)
    lines = difflib.unified_diff(
        (old or "").splitlines(), (new or "").splitlines(), str(before), str(after), lineterm=""
    )
    return view.page(
        "compare_file.html",
        path=path,
        lines=list(islice(lines, _LINES)),
        before=before,
        after=after,
    )


def _kept(store: ObjectStore, snapshot: int, path: str) -> str | None:
    """A file as a build kept it; None where the build has none of that name."""
    build, _ = find_build(store, snapshot)
    sha256 = build.files.get(path)
    if sha256 is None:
        return None
    return read_sources(store, build)[sha256].decode("utf-8", "replace")


def _tongue(view: View) -> Tongue:
    contracts = view.desk.house.contracts

    def title(dataset: str) -> str:
        found = contracts.get(dataset)
        return view.named(found.title, dataset) if found else dataset

    def rule(dataset: str, key: str) -> str:
        found = contracts.get(dataset)
        return sentences(found, view.language).get(key, key) if found else key

    return Tongue(view.gettext, title, rule)


def _previous(snapshots: list[int], later: int | None) -> int | None:
    """The publication before another one."""
    older = [one for one in snapshots if later is not None and one < later]
    return older[0] if older else None
