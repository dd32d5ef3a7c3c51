"""What data there is (数据资产梳理): files by kind and size, and what each dataset holds."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from cityledger.console.i18n import mark
from cityledger.console.identity import STAFF, require
from cityledger.console.navigation import NavigationItem
from cityledger.console.view import CurrentView, View
from cityledger.profiling.records import FileGroup, Inventory, Profile
from cityledger.profiling.store import ProfileStore

router = APIRouter(dependencies=[Depends(require(*STAFF))])
NAVIGATION = (NavigationItem("/stock", mark("Data assets"), roles=STAFF, order=60),)

KIND = {
    "table": mark("tables"),
    "structured": mark("structured texts"),
    "document": mark("documents"),
    "image": mark("images"),
    "recording": mark("recordings"),
    "map": mark("maps"),
    "archive": mark("archives"),
    "database": mark("databases"),
    "other": mark("other files"),
}
SUSPICION = {
    "citizen_id": mark("citizen id numbers"),
    "mobile_phone": mark("mobile phone numbers"),
    "bank_card": mark("bank card numbers"),
    "e_mail": mark("e-mail addresses"),
    "number_plate": mark("number plates"),
}
PROBLEM = {
    "empty": mark("empty (0 bytes)"),
    "unreadable": mark("can't be read"),
    "web_page": mark("a web page or XML inside, whatever the name says"),
    "other_content": mark("something else inside than the name says"),
}
CLASSIFICATION = {
    "public": mark("public data"),
    "internal": mark("internal data"),
    "personal": mark("personal data"),
    "sensitive": mark("sensitive data"),
    "unknown": mark("not classified"),
}


@router.get("/stock")
def stock(view: CurrentView) -> HTMLResponse:
    """Files of the departments, and the datasets that have a contract."""
    profiles = ProfileStore(view.desk.database)
    contracts = view.desk.house.seen_by(view.person)
    rows = [(contract, profiles.latest(name)) for name, contract in contracts.items()]
    inventory = profiles.latest_inventory()
    groups = list(_seen(view, inventory.groups)) if inventory else []
    return view.page(
        "stock.html",
        inventory=inventory,
        groups=[(_name(view, group.department), group) for group in groups],
        oddities=list(_oddities(view, inventory)) if inventory else [],
        kinds=_by_kind(groups),
        kind_names=KIND,
        problems=PROBLEM,
        rows=rows,
    )


@router.get("/stock/{dataset}")
def profile(view: CurrentView, dataset: str) -> HTMLResponse:
    """The newest profile of one dataset."""
    contract = view.contract(dataset)
    found: Profile | None = ProfileStore(view.desk.database).latest(dataset)
    return view.page(
        "profile.html",
        contract=contract,
        profile=found,
        suspicions=SUSPICION,
        classifications=CLASSIFICATION,
    )


def _seen(view: View, groups: Iterable[FileGroup]) -> Iterable[FileGroup]:
    """Groups of departments that the person sees; files of nobody are for city-wide roles."""
    return (group for group in groups if view.person.sees(group.department))


def _name(view: View, department: str) -> str:
    return view.desk.house.department_name(department, view.language) if department else ""


def _oddities(view: View, inventory: Inventory) -> Iterable[tuple[str, str]]:
    for one in inventory.oddities:
        department, slash, _ = one.path.partition("/")
        if view.person.sees(department if slash else ""):
            yield one.path, one.problem


def _by_kind(groups: Iterable[FileGroup]) -> list[tuple[str, int, int]]:
    """Kind, files, bytes; most files first."""
    sums: dict[str, tuple[int, int]] = {}
    for group in groups:
        files, size = sums.get(group.kind, (0, 0))
        sums[group.kind] = (files + group.files, size + group.size)
    return sorted(((kind, *both) for kind, both in sums.items()), key=lambda one: (-one[1], one[0]))
